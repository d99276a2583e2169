import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phijax.data import packing
from phijax.data.errors import MissingDataError
from phijax.data.tokenize import FORMAT, run
from phijax.errors import InputError
from tests.data.conftest import make_text


@pytest.fixture(scope='module')
def directory(make_tokens):
    """Forty documents in several shards, some of one token and some of many windows."""
    texts = [make_text(seed, words) for seed, words in enumerate([1, 300, 2, 5, 60, 1, 1, 9] * 5)]
    return make_tokens(part_bytes=1500, heldout_fraction=0.3, a=texts)


def read_all(directory, source='a', split='train'):
    """The documents of a split, read as plainly as can be."""
    stated = json.loads((directory / 'manifest.json').read_text())
    documents = []
    for shard in stated['sources'][source]['splits'][split]['shards']:
        tokens = np.fromfile(directory / shard['file'], stated['dtype']).tolist()
        ends = np.fromfile((directory / shard['file']).with_suffix('.ends'), '<u8').tolist()
        assert ends[-1] == len(tokens)
        documents += [tokens[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    return documents


def expected_windows(documents, length):
    """The windows by their definition, a token at a time."""
    flat = [(t, number, place) for number, d in enumerate(documents) for place, t in enumerate(d)]
    windows = []
    for start in range(0, len(flat) - 1, length):
        piece = flat[start : start + length + 1]
        tokens = [token for token, _, _ in piece]
        segments = [number - piece[0][1] + 1 for _, number, _ in piece]
        positions = [
            place if number != piece[0][1] else place - piece[0][2] for _, number, place in piece
        ]
        padding = [0] * (length + 1 - len(piece))
        windows.append((tokens + padding, segments + padding, positions + padding))
    return windows


@settings(max_examples=40)
@given(length=st.integers(1, 400), split=st.sampled_from(['train', 'heldout']))
def check_windows(directory, length, split):
    windows = packing.Windows(directory, 'a', split, length)
    expected = expected_windows(read_all(directory, split=split), length)
    assert len(windows) == len(expected)
    for index, columns in enumerate(expected):
        row = windows[index]
        assert list(row) == ['tokens', 'segments', 'positions']
        assert all(value.dtype == np.int32 for value in row.values())
        assert tuple(value.tolist() for value in row.values()) == columns


def test_windows_are_what_their_definition_says(directory):
    stated = packing.manifest(directory)['sources']['a']['splits']
    assert len(stated['train']['shards']) > 3
    assert len(stated['heldout']['shards']) > 1
    check_windows(directory)


@pytest.mark.parametrize('length', [1, 7, 64, 1000, 10**6])
def test_every_token_but_the_first_is_predicted_once(directory, length):
    windows = packing.Windows(directory, 'a', 'train', length)
    flat = [token for document in read_all(directory) for token in document]
    predicted = []
    for row in (windows[i] for i in range(len(windows))):
        predicted += row['tokens'][1:][row['segments'][1:] > 0].tolist()
    assert predicted == flat[1:]
    assert windows.tokens == len(flat)


def test_only_the_last_window_is_padded(directory):
    windows = packing.Windows(directory, 'a', 'train', 64)
    assert all(windows[i]['segments'].all() for i in range(len(windows) - 1))
    assert windows.tokens % 64 != 1
    assert not windows[len(windows) - 1]['segments'].all()


def test_windows_are_read_in_any_order(directory):
    windows = packing.Windows(directory, 'a', 'train', 50)
    forward = [windows[i]['tokens'].tolist() for i in range(len(windows))]
    backward = [windows[i]['tokens'].tolist() for i in reversed(range(len(windows)))]
    assert forward == backward[::-1]


@pytest.mark.parametrize('index', [-1, 10**6])
def test_there_is_no_window_outside(directory, index):
    with pytest.raises(IndexError, match=f'window {index} of'):
        packing.Windows(directory, 'a', 'train', 64)[index]


def test_more_shards_than_may_be_open_at_once(directory, monkeypatch):
    monkeypatch.setattr(packing, 'OPEN_SHARDS', 1)
    windows = packing.Windows(directory, 'a', 'train', 64)
    for _ in range(2):
        check = [windows[i]['tokens'] for i in range(len(windows))]
    assert len(check) == len(windows)
    assert windows._map.cache_info().currsize == 2


def test_a_manifest_is_read_without_its_shards(directory, tmp_path):
    shutil.copy(directory / 'manifest.json', tmp_path)
    assert packing.manifest(tmp_path) == packing.manifest(directory)
    assert packing.manifest(tmp_path)['format'] == packing.FORMAT == FORMAT


def test_a_missing_manifest_names_the_command(tmp_path):
    command = rf'python -m phijax\.data\.tokenize --config=\S+ --workdir={tmp_path}'
    with pytest.raises(MissingDataError, match=command):
        packing.manifest(tmp_path)
    with pytest.raises(FileNotFoundError):
        packing.Windows(tmp_path, 'a', 'train', 8)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"format": "phijax-tok', 'is damaged'),
        ('[]', 'is damaged'),
        ('{}', 'is damaged'),
        (
            '{"format": "phijax-tokens-1", "digest": "", "dtype": "<u2"}',
            r'is damaged: it has no sources, tokenizer\.',
        ),
        (
            '{"format": "phijax-tokens-9"}',
            "'phijax-tokens-9'; this version reads 'phijax-tokens-1'",
        ),
    ],
)
def test_a_manifest_that_cannot_be_read(tmp_path, content, message):
    (tmp_path / 'manifest.json').write_text(content)
    with pytest.raises(InputError, match=message):
        packing.manifest(tmp_path)


def test_unknown_names_are_answered_with_those_there_are(directory):
    with pytest.raises(InputError, match=r"no source 'b'; there are a\."):
        packing.Windows(directory, 'b', 'train', 8)
    with pytest.raises(InputError, match=r"no split 'test'; there are heldout, train\."):
        packing.Windows(directory, 'a', 'test', 8)
    with pytest.raises(InputError, match=r'length is 0'):
        packing.Windows(directory, 'a', 'train', 0)


@pytest.mark.parametrize('suffix', ['.tokens', '.ends'])
@pytest.mark.parametrize('missing', [True, False])
def test_a_shard_of_another_size_is_named(directory, tmp_path, suffix, missing):
    shutil.copytree(directory, tmp_path / 'copy')
    shard = packing.manifest(directory)['sources']['a']['splits']['train']['shards'][1]['file']
    path = (tmp_path / 'copy' / shard).with_suffix(suffix)
    if missing:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=f'{path} is {"missing" if missing else "[0-9]+ bytes"}'):
        packing.Windows(tmp_path / 'copy', 'a', 'train', 8)


@pytest.mark.parametrize('place', [0, 7, 8])
def test_an_id_beyond_the_vocabulary_is_no_token(directory, tmp_path, place):
    """A flipped bit would else be a row of NaN in a table of embeddings."""
    shutil.copytree(directory, tmp_path / 'copy')
    shard = packing.manifest(directory)['sources']['a']['splits']['train']['shards'][0]['file']
    content = bytearray((tmp_path / 'copy' / shard).read_bytes())
    content[2 * place + 1] ^= 0x80
    (tmp_path / 'copy' / shard).write_bytes(content)
    windows = packing.Windows(tmp_path / 'copy', 'a', 'train', 4)
    damaged = {index for index in range(3) if 4 * index <= place <= 4 * index + 4}
    for index in range(3):
        if index in damaged:
            with pytest.raises(InputError, match=f'window {index} of a has token ids .* 0 to 299'):
                windows[index]
        else:
            assert windows[index]['tokens'].max() < 300


def test_a_split_without_tokens(make_tokens):
    directory = make_tokens(a=['one document'])
    with pytest.raises(InputError, match=r'a/heldout has 0 tokens'):
        packing.Windows(directory, 'a', 'heldout', 8)


def test_wide_ids(make_tokens, small_tokenizer, tmp_path):
    """A vocabulary beyond 65,536 is kept in 32 bits."""
    wide = json.loads((small_tokenizer / 'tokenizer.json').read_text())
    extra = {f'token{i}': i for i in range(300, 66_000)}
    wide['model']['vocab'] |= extra
    (tmp_path / 'wide').mkdir()
    (tmp_path / 'wide' / 'tokenizer.json').write_text(json.dumps(wide))
    source = make_tokens(a=[make_text(seed, 30) for seed in range(9)])
    from phijax.data.tokenize import from_dict

    config = packing.manifest(source)['config'] | {'tokenizer': str(tmp_path / 'wide')}
    stated = run(from_dict(config), tmp_path / 'out')
    assert stated['dtype'] == '<u4'
    assert packing.manifest(source)['dtype'] == '<u2'
    assert read_all(tmp_path / 'out') == read_all(source)
    both = [packing.Windows(d, 'a', 'train', 20)[3] for d in (source, tmp_path / 'out')]
    assert both[0]['tokens'].tolist() == both[1]['tokens'].tolist()
