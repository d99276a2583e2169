import json
import pathlib
import re
import subprocess
import sys

import pytest

from phijax.data import tokenizer
from phijax.data.errors import MissingDataError
from phijax.data.tokenizer import byte_pairs
from phijax.errors import InputError
from tests.data.tokenizer import exact


@pytest.fixture(scope='module')
def codegen(asset) -> tokenizer.Tokenizer:
    directory = asset('gpt2-vocabulary')
    return tokenizer.codegen(directory / 'encoder.json', directory / 'vocab.bpe')


@pytest.fixture(scope='module')
def gpt2(asset) -> tokenizer.Tokenizer:
    return tokenizer.load(asset('gpt2-vocabulary'))


@pytest.fixture(scope='module')
def trained() -> tokenizer.Tokenizer:
    source = pathlib.Path(byte_pairs.__file__).read_text()
    return tokenizer.train([source], 600)


@pytest.fixture(params=['codegen', 'gpt2', 'trained'])
def every(request: pytest.FixtureRequest) -> tokenizer.Tokenizer:
    return request.getfixturevalue(request.param)


def test_every_text_comes_back(every):
    exact.check(every)


def test_end_of_text_in_a_text_is_text(every):
    text = 'a<|endoftext|>b <|endoftext|>'
    assert every.end_of_text not in every.encode(text)
    assert every.decode(every.encode(text)) == text
    assert every.decode([every.end_of_text]) == '<|endoftext|>'


def test_every_byte_has_a_token(every):
    assert len({tuple(every.encode(chr(i))) for i in range(256)}) == 256


def test_gpt2_ids_are_openais(gpt2):
    assert gpt2.vocab_size == 50257
    assert gpt2.end_of_text == 50256
    assert gpt2.encode('Hello, world!') == [15496, 11, 995, 0]
    assert gpt2.encode('    return') == [220, 220, 220, 1441]


def test_codegen_whitespace_ids(codegen):
    assert codegen.vocab_size == 50295
    assert codegen.end_of_text == 50256
    assert {n: codegen.encode(' ' * n) for n in range(2, 32)} == {
        n: [50288 - n] for n in range(2, 32)
    }
    assert {n: codegen.encode('\t' * n) for n in range(2, 10)} == {
        n: [50296 - n] for n in range(2, 10)
    }
    assert codegen.encode(' ') == [220]
    assert codegen.encode('\t') == [197]


def test_codegen_takes_the_longest_whitespace_first(codegen):
    assert codegen.encode(' ' * 40) == [50257, 50288 - 9]
    assert codegen.encode(' ' * 32) == [50257, 220]
    assert codegen.encode('\t' * 12) == [50287, 50296 - 3]
    assert codegen.encode('x\n    return') == [87, 198, 50284, 7783]


def test_codegen_from_the_files_of_a_model(asset, codegen, tmp_path):
    directory = asset('gpt2-vocabulary')
    (tmp_path / 'vocab.json').write_bytes((directory / 'encoder.json').read_bytes())
    (tmp_path / 'merges.txt').write_bytes((directory / 'vocab.bpe').read_bytes())
    added = {' ' * n: 50288 - n for n in range(2, 32)} | {'\t' * n: 50296 - n for n in range(2, 10)}
    (tmp_path / 'added_tokens.json').write_text(json.dumps(added))
    assert tokenizer.load(tmp_path).digest == codegen.digest
    (tmp_path / 'added_tokens.json').write_text(json.dumps({'  ': 50300}))
    with pytest.raises(InputError, match=r"'  ' should have id 50300, .* 50257"):
        tokenizer.load(tmp_path)


def test_what_is_saved_is_what_is_loaded(every, tmp_path):
    every.save(tmp_path / 'new')
    for path in (tmp_path / 'new', tmp_path / 'new' / 'tokenizer.json'):
        loaded = tokenizer.load(path)
        assert loaded.digest == every.digest
        assert loaded.end_of_text == every.end_of_text
        exact.check(loaded)
    stated = json.loads((tmp_path / 'new' / 'tokenizer_config.json').read_text())
    assert stated['eos_token'] == '<|endoftext|>'
    assert stated['add_prefix_space'] is False


def test_limits_in_the_file_of_a_model_are_not_ours(trained, tmp_path):
    """Published files may cut texts, or fill them up, for whoever runs the model."""
    trained.save(tmp_path)
    definition = json.loads((tmp_path / 'tokenizer.json').read_text())
    definition['truncation'] = {
        'direction': 'Right',
        'max_length': 4,
        'strategy': 'LongestFirst',
        'stride': 0,
    }
    definition['padding'] = {
        'strategy': {'Fixed': 64},
        'direction': 'Right',
        'pad_to_multiple_of': None,
        'pad_id': 0,
        'pad_type_id': 0,
        'pad_token': '<|endoftext|>',
    }
    (tmp_path / 'tokenizer.json').write_text(json.dumps(definition))
    limited = tokenizer.load(tmp_path)
    for text in ('def f(x):', 'a text of some more tokens than four'):
        assert limited.encode(text) == trained.encode(text)
    assert limited.digest == trained.digest


def test_digest_tells_tokenizers_apart(codegen, gpt2, trained):
    other = tokenizer.train(['another text altogether, altogether'], 260)
    digests = {codegen.digest, gpt2.digest, trained.digest, other.digest}
    assert len(digests) == 4
    assert all(re.fullmatch('[0-9a-f]{64}', digest) for digest in digests)


def test_training_is_the_same_in_another_process(trained):
    program = (
        'from phijax.data import tokenizer as t; '
        f'print(t.train([open({byte_pairs.__file__!r}).read()], 600).digest)'
    )
    for environment in ({'PYTHONHASHSEED': '1', 'RAYON_NUM_THREADS': '1'}, {'PYTHONHASHSEED': '2'}):
        root = pathlib.Path(byte_pairs.__file__).parents[3]
        done = subprocess.run(
            [sys.executable, '-c', program],
            cwd=root,
            env={**environment, 'PATH': ''},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == trained.digest


def test_training_merges_what_is_frequent():
    codec = tokenizer.train(['abcabc abcabc'] * 3, 260)
    assert codec.vocab_size == 260
    assert codec.end_of_text == 0
    assert len(codec.encode('abcabc')) < 6
    assert codec.decode(codec.encode('none of this was seen: 漢')) == 'none of this was seen: 漢'


def test_training_on_nothing_knows_the_bytes():
    codec = tokenizer.train([], 5000)
    assert codec.vocab_size == 257
    assert codec.encode('ab') == [65, 66]


def test_training_needs_room_for_the_bytes():
    with pytest.raises(InputError, match=r'vocab_size is 256; it must be at least 257'):
        tokenizer.train(['text'], 256)


def test_a_lone_surrogate_is_refused(trained):
    with pytest.raises(InputError, match=r"surrogate '\\ud800' at 3"):
        trained.encode_batch(['fine', 'bad\ud800'])


@pytest.mark.parametrize('wrong', [-1, 600, 2**40])
def test_an_unknown_id_is_refused(trained, wrong):
    with pytest.raises(InputError, match=rf'Token id {wrong} is not one of 0 to 599'):
        trained.decode([5, wrong])


def test_a_missing_vocabulary_file(tmp_path):
    with pytest.raises(MissingDataError, match=r'vocab\.json'):
        tokenizer.gpt2(tmp_path / 'vocab.json', tmp_path / 'merges.txt')


def test_lists_of_a_gguf_file_are_the_same_tokenizer(asset, gpt2):
    """As converters write phi-2: white space is matched before BPE, and unused rows fill up."""
    directory = asset('gpt2-vocabulary')
    vocab = json.loads((directory / 'encoder.json').read_text())
    merges = (directory / 'vocab.bpe').read_text().splitlines()[1:]
    tokens, types = sorted(vocab, key=vocab.get), [1] * 50256 + [3]
    made = tokenizer.from_merges(tokens, merges, types, 'gpt-2', 50256)
    assert made.digest == gpt2.digest
    assert made.ends == (50256,)
    whitespace = tokenizer.CODEGEN_WHITESPACE
    tokens += [*whitespace, '[PAD0]', '[PAD1]']
    types += [4] * len(whitespace) + [5, 5]
    made = tokenizer.from_merges(tokens, merges, types, 'phi-2', 50256)
    codec = tokenizer.codegen(directory / 'encoder.json', directory / 'vocab.bpe')
    assert made.vocab_size == codec.vocab_size
    for text in ('x\n    return\t\t\t1', ' ' * 40, 'a  b<|endoftext|>  '):
        assert made.encode(text) == codec.encode(text)
    exact.check(made)


@pytest.fixture
def listed() -> dict:
    """The arguments of a small tokenizer with ChatML's tokens."""
    tokens = [
        '<|endoftext|>',
        '<|im_start|>',
        '<|im_end|>',
        *sorted(byte_pairs.ALPHABET),
        '20',
        'ab',
    ]
    return {
        'tokens': tokens,
        'merges': ['2 0', 'a b'],
        'types': [3, 4, 3, *[1] * (len(tokens) - 3)],
        'pre': 'smollm',
        'end_of_text': 2,
    }


def test_smollm_cuts_every_digit(listed):
    made = tokenizer.from_merges(**listed)
    shown = [made.decode([i]) for i in made.encode('ab2024 20')]
    assert shown == ['ab', '2', '0', '2', '4', ' ', '2', '0']
    made = tokenizer.from_merges(**listed | {'pre': 'gpt-2'})
    assert [made.decode([i]) for i in made.encode('2024')] == ['20', '2', '4']


def test_what_lists_call_the_end_is_among_the_ends(listed, tmp_path):
    made = tokenizer.from_merges(**listed)
    assert (made.end_of_text, made.ends) == (0, (0, 2))
    assert made.special('<|im_start|>') == 1
    assert made.special('20') is None
    exact.check(made)
    made.save(tmp_path)
    loaded = tokenizer.load(tmp_path)
    assert (loaded.digest, loaded.ends) == (made.digest, made.ends)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'pre': 'llama-bpe'}, "'llama-bpe'; it must be one of gpt-2, phi-2, smollm"),
        ({'types': [1]}, 'There are 261 tokens, but types of 1'),
        ({'end_of_text': -1}, 'end_of_text is -1; it must be 0 to 260'),
        ({'merges': ['2 0', 'x']}, 'The vocabulary is not a tokenizer that can be read'),
        ({'merges': ['2 nought']}, 'The vocabulary is not a tokenizer that can be read'),
        ({'tokens': [f'word {i}' for i in range(261)]}, 'lacks 256 of the 256 bytes'),
        ({'tokens': ['twice'] * 261}, 'Of 261 tokens only 1 are different'),
    ],
)
def test_lists_that_make_no_tokenizer(listed, change, message):
    with pytest.raises(InputError, match=message):
        tokenizer.from_merges(**listed | change)
