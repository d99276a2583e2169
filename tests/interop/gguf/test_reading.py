"""The format: what is in a file, and that damaged and hostile files are refused with a message."""

import resource
import struct
import time

import gguf as library
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phijax import interop
from phijax.data import tokenizer
from phijax.errors import InputError
from phijax.interop.gguf import reading
from tests.interop.gguf import files

ONES = np.ones((2, 3), np.float32)
Q4_0 = int(library.GGMLQuantizationType.Q4_0)


def read(tmp_path, data):
    path = tmp_path / 'x.gguf'
    path.write_bytes(data)
    return reading.read(path)


def one(axes=(3, 2), kind=files.F32, offset=0, name='a', settings=None, data=24):
    """A file of one tensor, whose entry says what it is told to."""
    entry = files.described(name, list(axes), kind, offset)
    return files.padded(files.header(settings or {}, [entry])) + bytes(data)


def setting(kind, data, count=1):
    return files.header({f'a{i}': struct.pack('<I', kind) + data for i in range(count)}, [])


GOOD = files.packed({'a': 1, 'b': 'é', 'c': [1.5, 2.5], 'd': True}, {'t': ONES})
TWO = [files.described(name, [3, 2], files.F32, offset) for name, offset in (('a', 0), ('b', 16))]
HOSTILE = {
    'empty': (b'', 'it ends at byte 0, within the magic'),
    'another format': (b'PK\3\4' + bytes(100), "does not begin with 'GGUF'"),
    'only the magic': (b'GGUF', 'ends at byte 4, within the version'),
    'version 1': (b'GGUF' + struct.pack('<IQQ', 1, 0, 0), 'version is 1, not one of 2, 3'),
    'big-endian': (b'GGUF' + struct.pack('>IQQ', 3, 0, 0), 'it is big-endian'),
    'too many tensors': (files.header({}, [], (2**60, 0)), f'claims {2**60} tensors'),
    'too many settings': (files.header({}, [], (0, 2**60)), f'claims {2**60} settings'),
    'more settings than there are': (
        files.header({}, [], (0, 3)),
        'within bytes of the name of setting 0',
    ),
    'more tensors than there are': (
        files.header({}, [], (3, 0)),
        'within bytes of the name of tensor 0',
    ),
    'a long name': (files.header({'n' * 1025: 1}, []), 'claims 1025 bytes of the name of setting'),
    'a name that is not UTF-8': (one(name=b'\xff'), "'utf-8' codec can't decode"),
    'a setting twice': (
        files.header({'a': 1}, []).replace(struct.pack('<Q', 1), struct.pack('<Q', 2), 1)
        + files.text('a')
        + files.kind_and_value(1),
        'the setting a is there twice',
    ),
    'a tensor twice': (files.header({}, [TWO[0], TWO[0]]), 'the tensor a is there twice'),
    'a kind that is none': (setting(13, bytes(8)), 'a0 is of kind 13'),
    'a list in a list': (setting(9, struct.pack('<IQ', 9, 1) + bytes(20)), 'a0 is of kind 9'),
    'a long text': (setting(8, struct.pack('<Q', 2**62)), f'claims {2**62} bytes of a0'),
    'a long list': (setting(9, struct.pack('<IQ', 6, 2**62)), f'claims {2**62} items of a0'),
    'a list beyond the file': (
        setting(9, struct.pack('<IQ', 6, 2**20)),
        'ends at byte .*within a0',
    ),
    'many long lists': (
        setting(9, struct.pack('<IQ', 7, 3 << 19) + bytes(3 << 19), count=2),
        'its lists have more than 2097152 items',
    ),
    'no axes': (one(axes=()), 'a has 0 axes, not 1 to 4'),
    'many axes': (one(axes=(1,) * 5), 'a has 5 axes'),
    'an axis of none': (one(axes=(0, 2)), r'a has the shape \(2, 0\)'),
    'a shape that overflows': (one(axes=(2**62, 2**62)), 'a reaches to byte'),
    'a shape beyond its bytes': (one(axes=(3, 3)), 'a reaches to byte 132, the file to 120'),
    'an offset beyond the file': (one(offset=2**63), 'a reaches to byte'),
    'an offset between': (one(offset=4), 'not a multiple of 32'),
    'overlapping tensors': (files.header({}, TWO) + bytes(99), 'b starts at .*not a multiple'),
    'tensors on each other': (
        files.header({}, [TWO[0], files.described('b', [3, 2], 0, 0)]) + bytes(99),
        r'within the tensor before it',
    ),
    'no kind of number': (one(kind=999), 'a is stored as 999, which is no kind of number'),
    'numbers that are no weights': (one(kind=26), 'a is stored as I32, which cannot be read'),
    'parts of blocks': (one(kind=Q4_0), 'rows of 3 numbers, not a multiple of 32'),
    'alignment of none': (one(settings={'general.alignment': 0}), 'alignment 0 is not a power'),
    'an odd alignment': (one(settings={'general.alignment': 24}), 'alignment 24 is not a power'),
    'a huge alignment': (
        one(settings={'general.alignment': 1 << 30}),
        'is not a power of two up to',
    ),
    'an alignment in words': (one(settings={'general.alignment': '32'}), "alignment '32' is not"),
    'half an alignment': (one(settings={'general.alignment': 32.0}), 'alignment 32.0 is not'),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_files(tmp_path, name):
    data, said = HOSTILE[name]
    with pytest.raises(InputError, match=r'x\.gguf is not a sound GGUF file: .*' + said):
        read(tmp_path, data)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing does not exist'):
        reading.read(tmp_path / 'nothing')


@pytest.mark.parametrize('version', [2, 3])
def test_what_is_in_a_file(tmp_path, version):
    content = read(tmp_path, GOOD[:4] + struct.pack('<I', version) + GOOD[8:])
    assert content.settings == {'a': 1, 'b': 'é', 'c': [1.5, 2.5], 'd': True}
    assert content.tensors['t'].shape == (2, 3)
    np.testing.assert_array_equal(content.tensors['t'].read(), ONES)


def test_every_kind_of_setting(tmp_path):
    numbers = {0: 'B', 1: 'b', 2: 'H', 3: 'h', 4: 'I', 5: 'i', 10: 'Q', 11: 'q', 12: 'd'}
    found = read(
        tmp_path,
        files.header({c: struct.pack(f'<I{c}', kind, 7) for kind, c in numbers.items()}, []),
    )
    assert found.settings == dict.fromkeys(numbers.values(), 7)


def test_numbers_of_32_bits_are_as_short_as_they_can_be(tmp_path):
    assert read(tmp_path, files.header({'a': 1e-5}, [])).settings['a'] == 1e-5
    assert float(np.float32(1e-5)) != 1e-5


def test_another_alignment(tmp_path):
    start = files.header({'general.alignment': 64}, [files.described('a', [2], files.F32, 0)])
    data = start + bytes(-len(start) % 64) + struct.pack('<2f', 1, 2)
    assert read(tmp_path, data).tensors['a'].read().tolist() == [1, 2]


def test_a_file_that_is_cut_while_it_is_read(tmp_path):
    content = read(tmp_path, GOOD)
    (tmp_path / 'x.gguf').write_bytes(GOOD[:-20])
    with pytest.raises(InputError, match='it changed while it was read'):
        content.tensors['t'].read()


@pytest.mark.parametrize('kind', [k for k in library.GGMLQuantizationType if k < 40])
def test_numbers_in_blocks(tmp_path, kind):
    """Rows of whole blocks are the library's numbers, in order, whatever blocks they are in."""
    length, size = library.GGML_QUANT_SIZES[kind]
    blocks = np.random.default_rng(int(kind)).integers(0, 64, (2, 3, size)).astype(np.uint8)
    data = one(axes=(3 * length, 2), kind=int(kind), data=0) + blocks.tobytes()
    try:
        expected = [[library.dequantize(block, kind) for block in row] for row in blocks]
    except NotImplementedError:
        with pytest.raises(InputError, match=f'stored as {kind.name}, which cannot be read'):
            read(tmp_path, data)
        return
    found = read(tmp_path, data).tensors['a'].read()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.reshape(expected, (2, 3 * length)))


def test_eight_bits_by_their_definition(tmp_path):
    scales = np.array([0.5, -2], np.float16)
    numbers = np.arange(-32, 32, dtype=np.int8).reshape(2, 32)
    blocks = b''.join(s.tobytes() + n.tobytes() for s, n in zip(scales, numbers, strict=True))
    found = read(tmp_path, one(axes=(64,), kind=8, data=0) + blocks).tensors['a'].read()
    np.testing.assert_array_equal(found, (scales[:, None] * numbers).ravel())


def test_large_claims_take_no_memory(tmp_path):
    """A sparse file of 100 GB whose header claims a tensor of all of it, and of all settings."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for data in (one(axes=(2**30, 25)), files.header({}, [], (1 << 16, 1 << 12))):
        path = tmp_path / 'x.gguf'
        with path.open('wb') as file:
            file.write(data)
            file.truncate(100 << 30)
        with pytest.raises(InputError):
            interop.open(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """The bytes of a small model with a tokenizer."""
    path = tmp_path_factory.mktemp('good') / 'good.gguf'
    config = files.small(vocab_size=280, num_layers=1, window=9)
    files.written(path, config, tokenizer=tokenizer.train(['abc'], 260))
    return path.read_bytes()


def answer(path, data):
    """Opens a file, which must end in a model or an InputError, and soon."""
    path.write_bytes(data)
    before, said = time.monotonic(), str(path)
    try:
        interop.open(path)
    except InputError as error:
        said = str(error)
    assert str(path) in said
    assert time.monotonic() - before < 10


def test_damaged_files_are_models_or_errors(good, tmp_path):
    path = tmp_path / 'x.gguf'
    places = st.one_of(st.integers(0, 2000), st.integers(0, len(good) - 1))
    damage = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=4)

    @settings(max_examples=300)
    @given(damage)
    @example([(24, 255)])
    def damaged(changes):
        data = bytearray(good)
        for at, value in changes:
            data[at] = value
        answer(path, bytes(data))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    damaged()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes


def test_cut_files_are_errors(good, tmp_path):
    path = tmp_path / 'x.gguf'
    for length in [*range(0, 2000, 37), *range(2000, len(good), 1013)]:
        path.write_bytes(good[:length])
        with pytest.raises(InputError, match=r'x\.gguf is not a sound GGUF file'):
            interop.open(path)
