"""Files that are damaged, hostile or of the wrong kind are refused with a message, unopened."""

import json
import pickle
import resource
import shutil
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from phijax import models
from phijax.errors import InputError
from phijax.interop import huggingface, shards
from tests.models import tiny


def packed(header, data=b''):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(header)) + header + data


def tensor(dtype='F32', shape=(2,), offsets=(0, 8)):
    return {'dtype': dtype, 'shape': shape, 'data_offsets': offsets}


HOSTILE = {
    'empty file': b'',
    'cut header length': b'\x01\x02',
    'header of 2^60 bytes': struct.pack('<Q', 2**60) + b'{}',
    'header longer than the file': struct.pack('<Q', 1000) + b'{}',
    'header that is not JSON': packed(b'{"a": '),
    'header that is not UTF-8': packed(b'\xff\xfe'),
    'header that is a list': packed(b'[]'),
    'header that is nested': packed(b'[' * 100_000),
    'nested where nothing reads': packed(b'{"a":' * 50_000 + b'1' + b'}' * 50_000),
    'overlapping tensors': packed({'a': tensor(), 'b': tensor(offsets=(4, 12))}, bytes(12)),
    'a gap': packed({'a': tensor(), 'b': tensor(offsets=(12, 20))}, bytes(20)),
    'offsets backwards': packed({'a': tensor(offsets=(8, 0))}, bytes(8)),
    'shape of NaN': packed(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', bytes(8)),
    'negative shape': packed({'a': tensor(shape=(-2,))}, bytes(8)),
    'shape that overflows': packed({'a': tensor(shape=(2**62, 4))}, bytes(8)),
    'shape beyond its bytes': packed({'a': tensor(shape=(3,))}, bytes(8)),
    'unknown dtype': packed({'a': tensor(dtype='X32')}, bytes(8)),
    'cut data': packed({'a': tensor()}, bytes(4)),
    'more data': packed({'a': tensor()}, bytes(9)),
    'one name twice': packed(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"a":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}',
        bytes(8),
    ),
}


def load(directory):
    with shards.opened(directory) as tensors:
        return {name: x.read() for name, x in tensors.items()}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_files(tmp_path, name):
    (tmp_path / 'model.safetensors').write_bytes(HOSTILE[name])
    with pytest.raises(InputError, match=r'model\.safetensors is not a sound safetensors file'):
        load(tmp_path)


def test_a_hundred_megabytes_of_header_are_not_read(tmp_path):
    length = 100 << 20
    with (tmp_path / 'model.safetensors').open('wb') as file:
        file.write(struct.pack('<Q', length))
        file.truncate(length + 8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=f'claims {length} bytes'):
        load(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


class Canary:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


@pytest.mark.parametrize('name', ['pytorch_model.bin', 'model.pt', 'model.pth', 'model.ckpt'])
def test_pickled_weights_are_not_opened(copy_of, tmp_path, name):
    directory = copy_of('plain')
    (directory / 'model.safetensors').unlink()
    (directory / name).write_bytes(pickle.dumps(Canary(tmp_path / 'ran')))
    with pytest.raises(InputError, match=f'{name}.*pickled.*safetensors only.*save_pretrained'):
        huggingface.load(directory)
    assert not (tmp_path / 'ran').exists()


def test_pickled_weights_beside_safetensors_do_not_matter(copy_of, tmp_path):
    directory = copy_of('plain')
    (directory / 'pytorch_model.bin').write_bytes(pickle.dumps(Canary(tmp_path / 'ran')))
    huggingface.load(directory)
    assert not (tmp_path / 'ran').exists()


def test_no_weights_at_all(copy_of):
    directory = copy_of('plain')
    (directory / 'model.safetensors').unlink()
    with pytest.raises(FileNotFoundError, match=r'no weights: neither model\.safetensors nor'):
        huggingface.load(directory)


@pytest.fixture
def sharded(copy_of):
    directory = copy_of('plain')
    config, params = huggingface.load(directory)
    target = directory.with_name('sharded')
    huggingface.save(config, params, target, max_shard_bytes=100_000)
    return target


def place(directory, name, change):
    index = directory / 'model.safetensors.index.json'
    values = json.loads(index.read_text())
    values['weight_map'][name] = change(values['weight_map'][name])
    index.write_text(json.dumps(values))


@pytest.mark.parametrize(
    'path',
    [
        '../outside.safetensors',
        '/etc/passwd',
        'sub/model.safetensors',
        '..\\outside.safetensors',
        'model.bin',
        'x\0.safetensors',
    ],
)
def test_an_index_names_files_beside_it(sharded, path):
    outside = sharded.parent / 'outside.safetensors'
    shutil.copy(sharded / 'model-00001-of-00003.safetensors', outside)
    place(sharded, 'lm_head.bias', lambda _: path)
    with pytest.raises(InputError, match=r'must name .safetensors files beside it'):
        huggingface.load(sharded)


def test_a_file_of_the_index_is_missing(sharded):
    (sharded / 'model-00002-of-00003.safetensors').unlink()
    with pytest.raises(FileNotFoundError, match=r'not there: model-00002-of-00003\.safetensors$'):
        huggingface.load(sharded)


def test_a_tensor_in_two_files(sharded):
    extra = {'lm_head.bias': np.zeros(61, np.float32)}
    save_file(extra, sharded / 'more.safetensors')
    place(sharded, 'lm_head.bias', lambda _: 'more.safetensors')
    with pytest.raises(InputError, match=r'lm_head\.bias is in both'):
        huggingface.load(sharded)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('{', 'is not JSON'),
        ('[]', 'must be a JSON object, got list'),
        ('{}', 'has no weight_map'),
        ('{"weight_map": {}}', 'has no weight_map'),
        ('{"weight_map": [1]}', 'has no weight_map'),
        ('{"weight_map": {"a": 1}}', 'must name .safetensors files'),
        ('[' * 200_000, 'is not JSON'),
        (' ' * (1 << 24) + '{}', 'bytes; at most'),
    ],
)
def test_an_index_that_is_none(sharded, text, said):
    (sharded / 'model.safetensors.index.json').write_text(text)
    with pytest.raises(InputError, match=said):
        huggingface.load(sharded)


@pytest.fixture(scope='module')
def phi3(tmp_path_factory):
    """The directory of a small phi-3 with LongRoPE."""
    longrope = {'original_length': 16, 'short_factors': (1.1, 1.2), 'long_factors': (2.0, 4.0)}
    config = models.config('phi3_mini', **tiny.SIZES | longrope | {'head_dim': 4, 'num_layers': 1})
    directory = tmp_path_factory.mktemp('phi3') / 'model'
    huggingface.save(config, tiny.randomised(config), directory)
    return directory


def test_damaged_phi3_files_are_models_or_errors(phi3, tmp_path):
    directory = shutil.copytree(phi3, tmp_path / 'model')
    good = (directory / 'model.safetensors').read_bytes()
    places = st.one_of(st.integers(0, 1500), st.integers(0, len(good) - 1))

    @settings(max_examples=150)
    @given(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=4))
    def damaged(changes):
        data = bytearray(good)
        for at, value in changes:
            data[at] = value
        (directory / 'model.safetensors').write_bytes(data)
        said = str(directory)
        try:
            huggingface.load(directory)
        except InputError as error:
            said = str(error)
        assert str(directory) in said

    damaged()
    for length in range(0, len(good), 997):
        (directory / 'model.safetensors').write_bytes(good[:length])
        with pytest.raises(InputError, match='not a sound safetensors file'):
            huggingface.load(directory)


@pytest.mark.parametrize('dtype', [np.float64, np.int32, np.bool_])
def test_phi3_weights_of_another_dtype(phi3, tmp_path, dtype):
    directory = shutil.copytree(phi3, tmp_path / 'model')
    tensors = load_file(directory / 'model.safetensors')
    name = 'model.layers.0.mlp.gate_up_proj.weight'
    save_file(tensors | {name: tensors[name].astype(dtype)}, directory / 'model.safetensors')
    with pytest.raises(InputError, match=rf'dtype: {name} is \w+, not one of F32, BF16, F16$'):
        huggingface.load(directory)


HOSTILE_VALUES = (0, -1, 10**9, 10**18, 10**30, 1e308, True, 'x', [], [1], {'a': 1})


def test_phi3_settings_of_any_value_are_models_or_errors(phi3, tmp_path):
    directory = shutil.copytree(phi3, tmp_path / 'model')
    fields = json.loads((directory / 'config.json').read_text())
    scaling = fields['rope_scaling']
    changes = [{name: value} for name in fields for value in HOSTILE_VALUES]
    changes += [
        {'rope_scaling': scaling | {name: value}} for name in scaling for value in HOSTILE_VALUES
    ]
    refused = 0
    for change in changes:
        (directory / 'config.json').write_text(json.dumps(fields | change))
        try:
            huggingface.load(directory)
        except InputError:
            refused += 1
    assert refused > len(changes) / 2


def test_tensors_are_read_one_by_one(tmp_path):
    first, second = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(4, np.float16)
    save_file({'a': first, 'b': second}, tmp_path / 'model.safetensors')
    with shards.opened(tmp_path) as tensors:
        described = {name: (x.file, x.dtype, x.shape) for name, x in tensors.items()}
        assert described == {
            'a': ('model.safetensors', 'F32', (2, 3)),
            'b': ('model.safetensors', 'F16', (4,)),
        }
        np.testing.assert_array_equal(tensors['a'].read(), first)
        np.testing.assert_array_equal(tensors['b'].read(), second)
