"""Answers on the disk: what is kept when a run is killed, and what is refused."""

import json

import pytest

from phijax.errors import InputError
from phijax.evaluate.samples import Samples, read

ASKED = {'task': 'piqa', 'shots': 0}


def _record(name):
    return {'id': name, 'correct': True, 'text': 'ä\u2028b'}


def _filled(path, count=3):
    list(Samples(path, ASKED).add(map(_record, 'abc'[:count])))
    return path


def test_what_was_answered_is_there_again(tmp_path):
    path = _filled(tmp_path / 'samples' / 'piqa.jsonl')
    assert list(Samples(path, ASKED).records) == ['a', 'b', 'c']
    assert read(path) == [_record(name) for name in 'abc']


@pytest.mark.parametrize('cut', [1, 5, 20])
def test_a_line_that_was_being_written_is_cut_off_and_the_rest_goes_on(tmp_path, cut):
    path = _filled(tmp_path / 'piqa.jsonl')
    path.write_bytes(path.read_bytes()[:-cut])
    samples = Samples(path, ASKED)
    assert list(samples.records) == ['a', 'b']
    list(samples.add([_record('c')]))
    assert [record['id'] for record in read(path)] == ['a', 'b', 'c']


def test_a_file_without_a_whole_line_begins_again(tmp_path):
    path = tmp_path / 'piqa.jsonl'
    path.write_text('{"asked": {"ta')
    list(Samples(path, ASKED).add([_record('a')]))
    assert json.loads(path.read_text().splitlines()[0]) == {'asked': ASKED}
    assert list(Samples(path, ASKED).records) == ['a']


def test_answers_to_other_questions_are_refused_and_kept(tmp_path):
    path = _filled(tmp_path / 'piqa.jsonl')
    before = path.read_bytes()
    with pytest.raises(InputError, match=r'other questions. Changed: shots: 0 -> 5'):
        Samples(path, ASKED | {'shots': 5})
    assert path.read_bytes() == before


def test_a_damaged_line_is_named(tmp_path):
    path = _filled(tmp_path / 'piqa.jsonl')
    lines = path.read_text().split('\n')
    path.write_text('\n'.join([*lines[:2], 'x' + lines[2], *lines[3:]]))
    with pytest.raises(InputError, match='line 3 is damaged'):
        Samples(path, ASKED)


def test_a_record_is_on_the_disk_before_it_is_told(tmp_path):
    path = tmp_path / 'piqa.jsonl'
    for number, record in enumerate(Samples(path, ASKED).add(map(_record, 'abc')), 1):
        assert read(path)[-1] == record
        assert len(read(path)) == number
