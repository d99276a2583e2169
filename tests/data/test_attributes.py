import numpy as np
import pytest

from phijax.data import attributes
from phijax.errors import InputError


def test_columns_come_back_as_they_were(tmp_path):
    columns = {
        'id': ['a', 'b', 'c'],
        'score': np.array([0.25, np.nan, -1.0]),
        'high': np.array([0, 1 << 63, (1 << 64) - 1], np.uint64),
        'small': np.array([1, -1, 0], np.int8),
        'flag': np.array([True, False, True]),
        'vector': np.arange(6, dtype=np.float16).reshape(3, 2),
    }
    attributes.write(tmp_path / 'a.parquet', columns)
    found = attributes.read(tmp_path / 'a.parquet')
    assert list(found) == list(columns)
    assert found['id'] == columns['id']
    for name in ('score', 'high', 'small', 'flag', 'vector'):
        np.testing.assert_array_equal(found[name], columns[name])
        assert found[name].dtype == columns[name].dtype


def test_columns_without_rows(tmp_path):
    attributes.write(tmp_path / 'a.parquet', {'vector': np.zeros((0, 4), np.float16), 'id': []})
    found = attributes.read(tmp_path / 'a.parquet', 'vector')
    assert found['vector'].shape == (0, 4)


def test_equal_columns_make_equal_files(tmp_path):
    for name in 'ab':
        attributes.write(
            tmp_path / name, {'x': np.arange(1000), 'y': [str(i) for i in range(1000)]}
        )
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()


def test_a_column_that_is_not_there(tmp_path):
    attributes.write(tmp_path / 'a.parquet', {'x': np.arange(3)})
    with pytest.raises(InputError, match='no column y'):
        attributes.read(tmp_path / 'a.parquet', 'y')


@pytest.mark.parametrize('damage', ['missing', 'short', 'other'])
def test_a_file_that_cannot_be_read(tmp_path, damage):
    path = tmp_path / 'a.parquet'
    attributes.write(path, {'x': np.arange(3000)})
    if damage == 'missing':
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == 'short' else b'no parquet')
    with pytest.raises(InputError, match=r'a\.parquet cannot be read'):
        attributes.read(path)
