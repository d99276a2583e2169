"""Records against kills, cuts, rubbish and full disks."""

import contextlib
import json
import math
import pathlib
import resource
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.train.metrics.journal import Journal

RECORDS = [{'kind': 'train', 'step': step, 'loss': 1 / step} for step in range(1, 6)]


def _everything(record):
    return True


def _strict(line):
    def refuse(name):
        raise AssertionError(f'{name} is not JSON')

    return json.loads(line, parse_constant=refuse)


def _lines(path):
    return [_strict(line) for line in path.read_text().splitlines()]


def _written(path, records):
    journal = Journal(path, _everything)
    for record in records:
        journal.append(record)
    journal.close()
    return path.read_bytes()


@given(st.dictionaries(st.text(), st.floats() | st.floats(width=32) | st.none() | st.booleans()))
def test_any_number_comes_back_exactly(values):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / 'a.jsonl'
        record = {'kind': 'train', 'step': 1, 'nested': values}
        _written(path, [record])
        (found,) = _lines(path)
    assert found.keys() == record.keys()
    for name, value in values.items():
        back = found['nested'][name]
        if not isinstance(value, float):
            assert back is value
        elif math.isfinite(value):
            assert repr(back) == repr(value)
        else:
            assert back in ('NaN', 'Infinity', '-Infinity')
            assert float(back) == value or math.isnan(value)


def test_numbers_of_numpy_are_plain(tmp_path):
    numpy = pytest.importorskip('numpy')
    value = numpy.float32(0.1)
    _written(tmp_path / 'a', [{'kind': 'train', 'step': numpy.int64(3), 'loss': value}])
    assert _lines(tmp_path / 'a') == [{'kind': 'train', 'step': 3, 'loss': float(value)}]


def test_every_cut_heals(tmp_path):
    path = tmp_path / 'a.jsonl'
    whole = _written(path, RECORDS)
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord('\n')]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        journal = Journal(path, _everything)
        # A record that lacks only its newline is whole.
        survivors = sum(end - 1 <= cut for end in ends)
        assert journal.kept == RECORDS[:survivors]
        assert journal.unreadable == (cut not in {0, *ends} and cut + 1 not in ends)
        journal.append({'kind': 'train', 'step': 99})
        journal.close()
        assert _lines(path) == [*RECORDS[:survivors], {'kind': 'train', 'step': 99}]


@pytest.mark.parametrize('rubbish', [b'\0\0\0\0', b'{"kind": "tr', b'\xff\xfe', b'[]', b'7', b'{}'])
def test_rubbish_in_the_middle_is_taken_out(tmp_path, rubbish):
    path = tmp_path / 'a.jsonl'
    lines = _written(path, RECORDS).splitlines()
    path.write_bytes(b'\n'.join([*lines[:2], rubbish, *lines[2:], b'']))
    journal = Journal(path, _everything)
    journal.close()
    assert (journal.kept, journal.unreadable) == (RECORDS, 1)
    assert _lines(path) == RECORDS


def test_what_is_kept_keeps_its_bytes(tmp_path):
    path = tmp_path / 'a.jsonl'
    odd = b'{"step":1,  "kind" : "train", "loss": 1.50}\n'
    path.write_bytes(odd + b'{"step": 2, "kind": "train"}\n')
    journal = Journal(path, lambda record: record['step'] < 2)
    journal.close()
    assert path.read_bytes() == odd
    assert journal.unreadable == 0
    assert [file.name for file in tmp_path.iterdir()] == ['a.jsonl']


def test_untouched_file_is_not_written_again(tmp_path):
    path = tmp_path / 'a.jsonl'
    _written(path, RECORDS)
    before = path.stat()
    Journal(path, _everything).close()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_record_is_in_the_file_when_append_returns(tmp_path):
    journal = Journal(tmp_path / 'a', _everything)
    for number, record in enumerate(RECORDS, 1):
        journal.append(record)
        assert _lines(tmp_path / 'a') == RECORDS[:number]
    journal.sync()
    assert journal.error is None
    journal.close()
    journal.close()


@contextlib.contextmanager
def _disk_of(num_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_holds_whole_lines_and_loses_none(tmp_path):
    path = tmp_path / 'a.jsonl'
    journal = Journal(path, _everything)
    journal.append(RECORDS[0])
    with _disk_of(path.stat().st_size + 10):
        for record in RECORDS[1:4]:
            journal.append(record)
            assert journal.error is not None
            assert _lines(path) == RECORDS[:1]
    journal.append(RECORDS[4])
    assert journal.error is None
    assert _lines(path) == RECORDS
    journal.close()


def test_close_says_what_the_disk_did_not_take(tmp_path):
    path = tmp_path / 'a.jsonl'
    journal = Journal(path, _everything)
    with _disk_of(1):
        journal.append(RECORDS[0])
        with pytest.raises(OSError, match=r'the disk took 1 of \d+ bytes'):
            journal.close()
    assert path.read_bytes() == b''
