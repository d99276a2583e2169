"""Conversations and preferences, from lines of JSON to shards with what is learned."""

import json
import shutil

import numpy as np
import pytest

from phijax.data import tokenize, tokenizer
from phijax.data.errors import MissingDataError
from phijax.errors import InputError

TALKS = [
    {
        'messages': [
            {'role': 'user', 'content': f'What is {n} + {n}?', 'name': 'ann'},
            {'role': 'assistant', 'content': f'It is {2 * n}.'},
            {'role': 'user', 'content': 'Sure? <|end|><|assistant|>'},
            {'role': 'assistant', 'content': 'Yes, é.'},
        ]
    }
    for n in range(30)
]
PAIRS = [
    {'prompt': f'Say {n}.', 'chosen': f'{n}, and no more', 'rejected': 'I will not'}
    for n in range(20)
]
PAIRS += [
    {'messages': talk['messages'][:3], 'chosen': 'Yes.', 'rejected': f'No {n}.'}
    for n, talk in enumerate(TALKS[:10])
]


def write(path, records):
    path.write_text(''.join(json.dumps(record, ensure_ascii=False) + '\n' for record in records))
    return str(path)


def make(directory, kind, records, **changes):
    """The manifest of a directory with one source, `talk`."""
    directory.mkdir(exist_ok=True)
    source = {'kind': kind, 'paths': [write(directory / 'in.jsonl', records)], 'format': 'phi3'}
    config = {'sources': {'talk': source}, 'vocab_size': 300, 'heldout_fraction': 0.0} | changes
    return tokenize.run(tokenize.from_dict(config), directory / 'out')


def documents(directory, stated):
    """The ids of each document of the training split and which are learned, in order."""
    found = []
    for shard in stated['sources']['talk']['splits']['train']['shards']:
        path = directory / 'out' / shard['file']
        ids = np.fromfile(path, stated['dtype'])
        learned = np.fromfile(path.with_suffix('.learned'), 'u1')
        ends = np.fromfile(path.with_suffix('.ends'), '<u8').astype(int)
        assert len(learned) == len(ids) == ends[-1]
        pieces = zip(np.split(ids, ends), np.split(learned, ends), strict=True)
        found += [piece for piece in pieces if len(piece[0])]
    return found


def learned_texts(codec, ids, learned):
    """The texts of the runs of learned tokens."""
    cuts = np.flatnonzero(np.diff(learned)) + 1
    pieces = zip(np.split(ids, cuts), np.split(learned, cuts), strict=True)
    return [codec.decode(piece.tolist()) for piece, own in pieces if own[0]]


def test_shards_have_the_conversations_and_what_is_learned(tmp_path):
    stated = make(tmp_path, 'chat', TALKS, part_bytes=2000)
    codec = tokenizer.load(tmp_path / 'out' / 'tokenizer')
    entry = stated['sources']['talk']
    assert (entry['form'], entry['format']) == ('chat', 'phi3')
    assert len(entry['splits']['train']['shards']) > 2
    found = documents(tmp_path, stated)
    assert len(found) == len(TALKS)
    for (ids, learned), talk in zip(found, TALKS, strict=True):
        said = [m['content'] for m in talk['messages']]
        assert learned_texts(codec, ids, learned) == [f'{text}<|end|>' for text in said[1::2]]
        text = codec.decode(ids.tolist())
        assert text.endswith('<|end|>\n<|endoftext|>')
        assert said[2] in text
        assert np.isin(ids, [codec.special('<|end|>')]).sum() == 4
    split = entry['splits']['train']
    assert split['learned'] == sum(int(learned.sum()) for _, learned in found)
    texts = [m['content'] for talk in TALKS for m in talk['messages']]
    assert split['bytes'] == sum(len(text.encode()) for text in texts)
    assert split['learned_bytes'] == sum(len(text.encode()) for text in texts[1::2])


def test_pairs_are_two_documents_after_the_same_prompt(tmp_path):
    stated = make(tmp_path, 'preference', PAIRS)
    codec = tokenizer.load(tmp_path / 'out' / 'tokenizer')
    assert stated['sources']['talk']['form'] == 'preference'
    found = documents(tmp_path, stated)
    assert len(found) == 2 * len(PAIRS)
    for pair, chosen, rejected in zip(PAIRS, found[::2], found[1::2], strict=True):
        assert learned_texts(codec, *chosen) == [f'{pair["chosen"]}<|end|>']
        assert learned_texts(codec, *rejected) == [f'{pair["rejected"]}<|end|>']
        prompts = [ids[: learned.argmax()].tolist() for ids, learned in (chosen, rejected)]
        assert prompts[0] == prompts[1]
        assert (pair.get('prompt') or 'Sure? <|end|>') in codec.decode(prompts[0])


def test_longest_prompt_is_told_with_its_line(tmp_path):
    records = [*PAIRS[:7], PAIRS[0] | {'prompt': 'Say it ' + 'again ' * 40}, *PAIRS[7:]]
    stated = make(tmp_path, 'preference', records)
    longest = stated['sources']['talk']['splits']['train']['longest_prompt']
    assert longest['path'] == f'{tmp_path / "in.jsonl"}:8'
    assert longest['tokens'] == max(
        int(learned.argmax()) for _, learned in documents(tmp_path, stated)
    )


def test_tokenizer_learns_from_what_is_said(tmp_path):
    """Not from JSON, whose own characters would be its most frequent."""
    make(tmp_path, 'chat', TALKS, vocab_size=320)
    vocabulary = json.loads((tmp_path / 'out' / 'tokenizer' / 'tokenizer.json').read_text())
    assert not [t for t in vocabulary['model']['vocab'] if '{"' in t or '":' in t or 'role' in t]
    codec = tokenizer.load(tmp_path / 'out' / 'tokenizer')
    assert codec.special('<|assistant|>') < codec.vocab_size <= 320


def test_damaged_marks_are_found(tmp_path):
    stated = make(tmp_path, 'chat', TALKS)
    tokenize.verify(tmp_path / 'out')
    path = tmp_path / 'out' / stated['sources']['talk']['splits']['train']['shards'][0]['file']
    marks = bytearray(path.with_suffix('.learned').read_bytes())
    marks[5] ^= 1
    path.with_suffix('.learned').write_bytes(marks)
    with pytest.raises(InputError, match=r'damaged: talk/train-00000\.learned'):
        tokenize.verify(tmp_path / 'out')


def test_other_marks_are_other_data(tmp_path):
    """The same tokens with another part of them learned have another digest."""
    pairs = PAIRS[20:]
    stated = make(tmp_path / 'pairs', 'preference', pairs)
    talks = [
        {'messages': [*pair['messages'], {'role': 'assistant', 'content': pair[answer]}]}
        for pair in pairs
        for answer in ('chosen', 'rejected')
    ]
    codec = str(tmp_path / 'pairs' / 'out' / 'tokenizer')
    other = make(tmp_path / 'talks', 'chat', talks, tokenizer=codec)
    one, another = (s['sources']['talk']['splits']['train']['shards'][0] for s in (stated, other))
    assert (one['sha256'], one['ends_sha256']) == (another['sha256'], another['ends_sha256'])
    assert one['learned_sha256'] != another['learned_sha256']
    assert stated['digest'] != other['digest']


def test_given_tokenizer_must_have_the_special_tokens(tmp_path):
    tokenizer.train(['text'], 300).save(tmp_path / 'bare')
    with pytest.raises(InputError, match=r'no special token <\|system\|>, <\|user\|>'):
        make(tmp_path, 'chat', TALKS, tokenizer=str(tmp_path / 'bare'))
    assert not (tmp_path / 'out' / 'documents').exists()


def test_killed_run_goes_on_to_the_same_shards(tmp_path):
    stated = make(tmp_path / 'whole', 'chat', TALKS, part_bytes=2000)
    shutil.copytree(tmp_path / 'whole', tmp_path / 'part')
    shard = stated['sources']['talk']['splits']['train']['shards'][-1]['file']
    out = tmp_path / 'whole' / 'out'
    (out / 'manifest.json').unlink()
    (out / shard).with_suffix('.learned').unlink()
    last = sorted((out / 'documents' / 'talk').glob('*.tokens.json'))[-1]
    last.unlink()
    again = make(tmp_path / 'whole', 'chat', TALKS, part_bytes=2000)
    assert again['digest'] == stated['digest']
    tokenize.verify(out)


CHAT = TALKS[0]['messages']
WRONG = [
    ('chat', {'text': 'hello'}, 'there is no messages; the record has text'),
    ('chat', {}, 'there is no messages; the record has nothing'),
    ('chat', ['hello'], r"a record must be an object with named fields, got \['hello'\]"),
    ('chat', {'messages': CHAT[:3]}, 'the last message is of user, not of the assistant'),
    (
        'chat',
        {'messages': [{'role': 'bot', 'content': 'x'}]},
        "message 1 has role 'bot'; it must be",
    ),
    ('chat', {'messages': [{'role': 'user'}]}, 'message 1 has no content; it has role'),
    ('preference', {'prompt': 'x', 'chosen': 'y'}, 'there is no rejected; the record has prompt'),
    ('preference', {'chosen': 'x', 'rejected': 'y'}, 'there is no messages; the record has chosen'),
    ('preference', PAIRS[0] | {'chosen': ''}, "chosen must be a text that says something, got ''"),
    ('preference', PAIRS[0] | {'rejected': ['x']}, 'rejected must be a text that says something'),
    ('preference', PAIRS[0] | {'chosen': 'I will not'}, 'chosen and rejected are the same'),
    ('preference', PAIRS[0] | {'prompt': ''}, "message 1 of user must have a text .* got ''"),
    ('preference', PAIRS[0] | {'prompt': 3}, 'message 1 of user must have a text .* got 3'),
    (
        'preference',
        {'messages': CHAT[:2], 'chosen': 'x', 'rejected': 'y'},
        'the last message is of assistant, not of the user',
    ),
]


@pytest.mark.parametrize(('kind', 'record', 'answer'), WRONG)
def test_wrong_record_is_answered_with_file_and_line(tmp_path, kind, record, answer):
    good = {'chat': TALKS, 'preference': PAIRS}[kind]
    with pytest.raises(InputError, match=rf'in\.jsonl:3: {answer}') as caught:
        make(tmp_path, kind, [*good[:2], record, *good[2:]])
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('line', [b'{"messages": [', b'\xff{}', b'[' * 100_000])
def test_broken_line_is_answered_with_file_and_line(tmp_path, line):
    path = tmp_path / 'in.jsonl'
    path.write_bytes(json.dumps(TALKS[0]).encode() + b'\n\n' + line + b'\n')
    config = {'sources': {'talk': {'kind': 'chat', 'paths': [str(path)]}}}
    with pytest.raises(InputError, match=r'in\.jsonl:3: not a line of JSON') as caught:
        tokenize.run(tokenize.from_dict(config), tmp_path / 'out')
    assert '\n' not in str(caught.value)


def test_wrong_source_is_refused(tmp_path):
    source = {'kind': 'chat', 'paths': [str(tmp_path / '*.jsonl')]}
    for named in (source, {'kind': 'stdlib_chat'}, {'kind': 'stdlib_preference'}):
        with pytest.raises(InputError, match="format is 'phi4'; it must be one of phi3"):
            tokenize.from_dict({'sources': {'talk': named | {'format': 'phi4'}}})
    with pytest.raises(MissingDataError, match='Source talk: no file matches'):
        tokenize.run(tokenize.from_dict({'sources': {'talk': source}}), tmp_path / 'out')


def test_library_asks_about_its_functions(tmp_path):
    sources = {
        'chat': {'kind': 'stdlib_chat', 'max_bytes': 60_000},
        'pair': {'kind': 'stdlib_preference', 'max_bytes': 60_000},
    }
    config = tokenize.from_dict({'sources': sources, 'vocab_size': 300})
    found = {name: list(source.read(name)) for name, source in config.sources.items()}
    records = {name: [json.loads(each.text) for each in found[name]] for name in found}
    asked = {r['messages'][0]['content']: r['messages'][1]['content'] for r in records['chat']}
    assert (
        asked['What does textwrap.wrap do?']
        == 'Wrap a single paragraph of text, returning a list of wrapped lines.'
    )
    pair = next(r for r in records['pair'] if 'textwrap.dedent' in r['messages'][0]['content'])
    assert pair['chosen'] == 'Remove any common leading whitespace from every line in `text`.'
    assert pair['rejected'].startswith('margin = None')
    assert len(asked) > 3000
    assert not [question for question in asked if '._' in question]
    stated = tokenize.run(config, tmp_path)
    assert stated['sources']['pair']['splits']['train']['documents'] % 2 == 0
