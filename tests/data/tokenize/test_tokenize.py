import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

from phijax.data import document, tokenize, tokenizer
from phijax.data.errors import MissingDataError
from phijax.data.files import lock
from phijax.data.tokenize import Config, Files
from phijax.data.tokenize.shards import dtype_of, split_of
from phijax.errors import InputError
from tests.data.conftest import make_text, write_rows

TEXTS = [make_text(seed, 5 + seed * 7 % 90) for seed in range(60)]


@pytest.fixture(scope='module')
def rows(tmp_path_factory) -> str:
    return write_rows(tmp_path_factory.mktemp('rows') / 'rows.jsonl', TEXTS)


@pytest.fixture
def config(rows, small_tokenizer) -> Config:
    return Config(
        {'code': Files((rows,))},
        tokenizer=str(small_tokenizer),
        part_bytes=2000,
        heldout_fraction=0.2,
    )


def tree(directory):
    """Every file's content and time, without the lock's."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(directory.rglob('*'))
        if path.is_file() and path.name != '.lock'
    }


def documents_of(directory, source='code'):
    """The text of each document of each split, decoded from the shards."""
    stated = json.loads((directory / 'manifest.json').read_text())
    codec = tokenizer.load(directory / 'tokenizer')
    texts = {}
    for split, entry in stated['sources'][source]['splits'].items():
        texts[split] = []
        for shard in entry['shards']:
            path = directory / shard['file']
            tokens = np.fromfile(path, stated['dtype'])
            ends = np.fromfile(path.with_suffix('.ends'), '<u8').astype(int)
            pieces = np.split(tokens, ends)
            assert len(pieces.pop()) == 0
            assert all(piece[-1] == codec.end_of_text for piece in pieces)
            assert all(codec.end_of_text not in piece[:-1] for piece in pieces)
            texts[split] += [codec.decode(piece[:-1]) for piece in pieces]
            assert shard['tokens'] == len(tokens)
            assert shard['documents'] == len(ends)
    return texts


def test_shards_hold_the_documents_exactly_and_in_order(config, tmp_path):
    stated = tokenize.run(config, tmp_path)
    assert json.loads((tmp_path / 'manifest.json').read_text()) == json.loads(json.dumps(stated))
    found = documents_of(tmp_path)
    for split, texts in found.items():
        assert texts == [t for t in TEXTS if split_of(document.identify(t), 0.2) == split]
        entry = stated['sources']['code']['splits'][split]
        assert entry['documents'] == len(texts) > 5
        assert entry['bytes'] == sum(len(text.encode()) for text in texts)
        assert entry['tokens'] == sum(shard['tokens'] for shard in entry['shards'])
    assert len(stated['sources']['code']['splits']['train']['shards']) > 3
    assert sum(map(len, found.values())) == len(TEXTS)


def test_the_documents_are_kept(config, tmp_path):
    tokenize.run(config, tmp_path)
    parts = sorted((tmp_path / 'documents' / 'code').glob('*.parquet'))
    kept = [each for part in parts for group in document.read(part) for each in group]
    assert [each.text for each in kept] == TEXTS
    assert {each.source for each in kept} == {'code'}
    assert kept[3].path.endswith('rows.jsonl#3')


def test_the_manifest_is_the_same_anywhere(config, tmp_path):
    stated = [tokenize.run(config, tmp_path / name) for name in 'ab']
    assert stated[0] == stated[1]
    assert len(stated[0]['digest']) == 64


@pytest.mark.parametrize(
    'change', [{'heldout_fraction': 0.3}, {'part_bytes': 4000}, {'tokenizer': ''}]
)
def test_other_tokens_have_another_digest(config, tmp_path, change):
    digest = tokenize.run(config, tmp_path / 'a')['digest']
    assert tokenize.run(dataclasses.replace(config, **change), tmp_path / 'b')['digest'] != digest


def test_what_is_finished_is_used_again(config, tmp_path):
    stated = tokenize.run(config, tmp_path)
    before = tree(tmp_path)
    assert tokenize.run(config, tmp_path) == json.loads(json.dumps(stated))
    assert tree(tmp_path) == before


def test_what_is_finished_is_not_for_another_config(config, tmp_path):
    tokenize.run(config, tmp_path)
    before = tree(tmp_path)
    other = dataclasses.replace(config, heldout_fraction=0.5, part_bytes=7)
    message = r'another config: heldout_fraction 0\.2 \(now 0\.5\); part_bytes 2000 \(now 7\)\.'
    with pytest.raises(InputError, match=message):
        tokenize.run(other, tmp_path)
    assert tree(tmp_path) == before


def test_what_is_finished_is_not_for_another_tokenizer(config, small_tokenizer, tmp_path):
    own = shutil.copytree(small_tokenizer, tmp_path / 'own')
    config = dataclasses.replace(config, tokenizer=str(own))
    tokenize.run(config, tmp_path / 'out')
    tokenizer.train(['other text'], 270).save(own)
    with pytest.raises(InputError, match=r'another config: the tokenizer at .* was another'):
        tokenize.run(config, tmp_path / 'out')


def test_what_is_begun_with_another_config_starts_over(config, tmp_path):
    expected = tokenize.run(config, tmp_path / 'clean')
    (tmp_path / 'out').mkdir()
    begun = dataclasses.replace(config, part_bytes=300, tokenizer='')
    tokenize.run(begun, tmp_path / 'out')
    (tmp_path / 'out' / 'manifest.json').unlink()
    assert tokenize.run(config, tmp_path / 'out') == expected
    assert tokenize.verify(tmp_path / 'out')['digest'] == expected['digest']


@pytest.mark.parametrize('name', ['code', 'documents', 'tokenizer'])
def test_a_directory_of_somebody_elses_is_left_alone(config, tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'theirs.txt').write_text('theirs')
    with pytest.raises(InputError, match=f'has {name} already, and not from here'):
        tokenize.run(config, tmp_path)
    assert (tmp_path / name / 'theirs.txt').read_text() == 'theirs'


def test_a_second_writer_is_refused(config, tmp_path):
    with lock(tmp_path), pytest.raises(InputError, match='Another process is writing'):
        tokenize.run(config, tmp_path)
    assert tokenize.run(config, tmp_path)


def test_everything_is_accounted_for(tmp_path, small_tokenizer):
    lines = [json.dumps({'text': text}) for text in [*TEXTS, TEXTS[3], TEXTS[4], 'x' * 2000, '']]
    (tmp_path / 'a.jsonl').write_text('\n'.join([*lines, '{"text', '{"b": 1}']))
    (tmp_path / 'b.py').write_bytes(b'\xff')
    (tmp_path / 'c.py').write_text(TEXTS[5])
    (tmp_path / 'd.parquet').write_bytes(b'PAR1')
    config = Config(
        {'code': Files((f'{tmp_path}/*.*',))},
        tokenizer=str(small_tokenizer),
        max_document_bytes=1000,
    )
    stated = tokenize.run(config, tmp_path / 'out')
    account = stated['sources']['code']['documents']
    assert account == {
        'in': 69,
        'out': 60,
        'bytes': sum(len(text.encode()) for text in TEXTS),
        'dropped': {
            'corrupt_json': 1,
            'corrupt_parquet': 1,
            'duplicate': 3,
            'empty': 1,
            'missing_column': 1,
            'not_utf8': 1,
            'too_large': 1,
        },
    }
    assert account['in'] == account['out'] + sum(account['dropped'].values())
    splits = stated['sources']['code']['splits'].values()
    assert sum(split['documents'] for split in splits) == account['out']
    lines = tokenize.summary(stated)
    assert 'code: 69 documents, 60 kept, dropped: 1 corrupt_json, 1 corrupt_parquet, 3 dup' in lines


@pytest.mark.parametrize('exactly', [False, True])
def test_max_bytes_ends_a_source(rows, config, tmp_path, exactly):
    """With the document that reaches it, also when it does so to the byte."""
    sizes = np.cumsum([len(text.encode()) for text in TEXTS])
    bound = int(sizes[3]) if exactly else 1000
    bounded = dataclasses.replace(config, sources={'code': Files((rows,), max_bytes=bound)})
    account = tokenize.run(bounded, tmp_path)['sources']['code']['documents']
    assert account['in'] == account['out']
    assert account['bytes'] == sizes[np.searchsorted(sizes, bound)]


def test_equal_texts_of_two_sources_are_on_the_same_side(rows, small_tokenizer, tmp_path):
    shuffled = write_rows(tmp_path / 'in' / 'other.jsonl', [*TEXTS[::-1], 'and one more'])
    config = Config(
        {'one': Files((rows,)), 'two': Files((shuffled,))},
        tokenizer=str(small_tokenizer),
        heldout_fraction=0.4,
    )
    tokenize.run(config, tmp_path / 'out')
    one, two = (documents_of(tmp_path / 'out', source) for source in ('one', 'two'))
    assert set(one['heldout']) == set(two['heldout']) - {'and one more'}
    assert not set(one['heldout']) & set(two['train'])


def test_ids_are_kept_in_the_narrowest_type():
    assert [dtype_of(size) for size in (2, 1 << 16, (1 << 16) + 1)] == ['<u2', '<u2', '<u4']


def test_the_longest_document_that_is_kept(config, tmp_path):
    longest = max(len(text.encode()) for text in TEXTS)
    exact = dataclasses.replace(config, max_document_bytes=longest)
    assert tokenize.run(exact, tmp_path / 'a')['sources']['code']['documents']['dropped'] == {}
    short = dataclasses.replace(config, max_document_bytes=longest - 1)
    dropped = tokenize.run(short, tmp_path / 'b')['sources']['code']['documents']['dropped']
    assert list(dropped) == ['too_large']


def test_the_heldout_fraction_is_met_and_grows():
    ids = [document.identify(str(i)) for i in range(5000)]
    assert not any(split_of(i, 0.0) == 'heldout' for i in ids)
    small, large = ({i for i in ids if split_of(i, f) == 'heldout'} for f in (0.05, 0.2))
    assert abs(len(small) / 5000 - 0.05) < 0.01
    assert abs(len(large) / 5000 - 0.2) < 0.02
    assert small < large


def test_a_trained_tokenizer_has_seen_no_heldout_text(tmp_path):
    words = ('alpha', 'bravo', 'charlie', 'delta', 'echo', 'foxtrot', 'golf', 'hotel', 'india')
    texts = [f'{word} {word}{word} ' * 20 for word in words]
    held = [text for text in texts if split_of(document.identify(text), 0.5) == 'heldout']
    assert 0 < len(held) < len(texts)
    config = Config(
        {'code': Files((write_rows(tmp_path / 'rows.jsonl', texts),))},
        heldout_fraction=0.5,
        vocab_size=400,
    )
    tokenize.run(config, tmp_path / 'out')
    codec = tokenizer.load(tmp_path / 'out' / 'tokenizer')
    counts = {text: len(codec.encode(text.split()[0])) for text in texts}
    assert all((counts[text] > 2) == (text in held) for text in texts)


def test_a_sample_is_spread_over_the_documents(tmp_path):
    texts = [f'{i:02d}' * 3000 for i in range(40)]
    documents = [document.make(text, 's', '') for text in texts]
    paths = document.write(documents, tmp_path, 50_000)
    assert len(paths) > 3
    blocks = list(tokenize.sample(paths, 0.25, 0.0))
    assert abs(sum(map(len, blocks)) - 60_000) < 5000
    assert len({block[:2] for block in blocks}) > 10
    assert ''.join(tokenize.sample(paths, 1.0, 0.0)) == ''.join(texts)


def test_a_source_without_documents(tmp_path, small_tokenizer):
    config = Config(
        {'code': Files((write_rows(tmp_path / 'a.jsonl', ['', ' ']),))},
        tokenizer=str(small_tokenizer),
    )
    with pytest.raises(InputError, match=r"code has no document left: dropped {'empty': 2}"):
        tokenize.run(config, tmp_path / 'out')
    assert not (tmp_path / 'out' / 'manifest.json').exists()


def test_a_wrong_tokenizer_is_told_before_anything_is_read(config, tmp_path):
    wrong = dataclasses.replace(config, tokenizer=str(tmp_path / 'no' / 'such' / 'path'))
    with pytest.raises(MissingDataError, match='no tokenizer at'):
        tokenize.run(wrong, tmp_path / 'out')
    assert not (tmp_path / 'out' / 'documents').exists()


@pytest.mark.parametrize('suffix', ['.tokens', '.ends'])
@pytest.mark.parametrize('damage', ['flip', 'truncate', 'remove'])
def test_verify_names_what_is_damaged(config, tmp_path, suffix, damage):
    tokenize.run(config, tmp_path)
    assert tokenize.verify(tmp_path)
    path = sorted(tmp_path.glob(f'code/train-*{suffix}'))[2]
    raw = bytearray(path.read_bytes())
    if damage == 'remove':
        path.unlink()
    elif damage == 'truncate':
        path.write_bytes(raw[:-2])
    else:
        raw[len(raw) // 2] ^= 4
        path.write_bytes(raw)
    with pytest.raises(InputError, match=f'missing or damaged: code/{path.name}\\.$'):
        tokenize.verify(tmp_path)


def test_verify_finds_another_tokenizer(config, tmp_path):
    tokenize.run(config, tmp_path)
    tokenizer.train(['other'], 258).save(tmp_path / 'tokenizer')
    with pytest.raises(InputError, match=r'missing or damaged: tokenizer\.'):
        tokenize.verify(tmp_path)


def test_verify_needs_a_manifest(tmp_path):
    with pytest.raises(MissingDataError, match=r'has no manifest\.json'):
        tokenize.verify(tmp_path)


def test_a_damaged_manifest_is_not_taken_for_none(config, tmp_path):
    tokenize.run(config, tmp_path)
    manifest = pathlib.Path(tmp_path / 'manifest.json')
    manifest.write_text(manifest.read_text()[:100])
    with pytest.raises(InputError, match=r'manifest\.json is damaged'):
        tokenize.run(config, tmp_path)
