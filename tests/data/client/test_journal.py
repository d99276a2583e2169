"""The journal: what is committed is there after anything, and what is damaged is named."""

import sqlite3
import subprocess
import sys

import pytest

from phijax.data.client import Answer, Usage
from phijax.data.client.journal import NAME, Journal
from phijax.errors import InputError

SCHEMA = {'type': 'object', 'properties': {'n': {'type': 'integer'}}}


def answer(number: int, **changes) -> Answer:
    fields = {'text': f'{{"n": {number}}}', 'usage': Usage(5, 7), 'model': 'm'} | changes
    return Answer(f'{number:064x}', 'ok', **fields)


def found_in(journal: Journal, number: int) -> Answer:
    key = number.to_bytes(32)
    return Answer.load(key, journal.find([key])[key], None)


def fill(directory, count: int = 200) -> None:
    """Answers, of which each cost 12 of 30 tokens, and three attempts that never ended."""
    journal = Journal(directory)
    for number in range(count + 3):
        attempt = journal.new_attempt()
        journal.commit(reserved=[(attempt, Usage(10, 20))])
        if number < count:
            settled = [(attempt, Usage(5, 7))]
            journal.commit(settled=settled, answers=[answer(number)], model='m')
    journal.close()


def test_all_is_there_again(tmp_path):
    fill(tmp_path)
    journal = Journal(tmp_path)
    keys = [number.to_bytes(32) for number in (150, 777, 3)]
    found = journal.find(keys)
    assert found.keys() == {keys[0], keys[2]}
    assert Answer.load(keys[0], found[keys[0]], SCHEMA).value == {'n': 150}
    assert journal.find([]) == {}
    assert journal.model == 'm'
    assert journal.totals() == (Usage(1000, 1400), Usage(30, 60), 203)
    assert journal.new_attempt() == 204
    journal.close()


def test_only_the_first_model_is_kept(tmp_path):
    journal = Journal(tmp_path)
    assert journal.model == ''
    journal.commit(model='a')
    journal.commit(model='b')
    journal.close()
    assert Journal(tmp_path).model == 'a'


def test_two_cannot_have_it(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(InputError, match='Another process'):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


def test_another_file_is_none_of_ours(tmp_path):
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute('CREATE TABLE answers (a, b)')
    connection.close()
    with pytest.raises(InputError, match='is no journal of this version'):
        Journal(tmp_path)


def killed(directory) -> None:
    """A journal whose writer was killed: what it committed is in the log alone."""
    code = (
        'import os, pathlib, signal, sys\n'
        'from tests.data.client import test_journal\n'
        'test_journal.Journal.close = lambda self: os.kill(os.getpid(), signal.SIGKILL)\n'
        f'test_journal.fill(pathlib.Path({str(directory)!r}))\n'
    )
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == -9


def test_a_kill_and_a_torn_tail_lose_nothing(tmp_path):
    killed(tmp_path)
    log = tmp_path / f'{NAME}-wal'
    assert log.stat().st_size > 0
    with log.open('ab') as file:
        file.write(b'\x13garbage' * 600)
    journal = Journal(tmp_path)
    assert journal.totals().requests == 203
    assert found_in(journal, 199) == answer(199)
    journal.close()


def test_a_log_that_was_cut_loses_only_its_end(tmp_path):
    killed(tmp_path)
    log = tmp_path / f'{NAME}-wal'
    with log.open('r+b') as file:
        file.truncate(log.stat().st_size * 3 // 4)
    journal = Journal(tmp_path)
    count = journal.totals().requests
    assert 0 < count < 203
    assert found_in(journal, 0) == answer(0)
    journal.close()


@pytest.mark.parametrize(
    'damage',
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:1000],
        lambda raw: b'not a database' * 400,
        lambda raw: raw[:4096] + b'\xff' * 4096 + raw[8192:],
        lambda raw: b'\0' * len(raw),
    ],
    ids=['half', 'stump', 'other', 'page', 'zeros'],
)
def test_damage_is_named(tmp_path, damage):
    fill(tmp_path)
    path = tmp_path / NAME
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r'is damaged|cannot be used|is no journal'):
        Journal(tmp_path)
    assert path.read_bytes() == before


def test_a_flipped_bit_in_an_answer_is_found(tmp_path):
    fill(tmp_path)
    path = tmp_path / NAME
    raw = path.read_bytes()
    place = raw.index(b'\\"n\\": 150')
    path.write_bytes(raw[:place] + b'\\"n\\": 151' + raw[place + 10 :])
    journal = Journal(tmp_path)
    with pytest.raises(InputError, match='is damaged: the answer'):
        found_in(journal, 150)
    assert found_in(journal, 149) == answer(149)
    journal.close()
