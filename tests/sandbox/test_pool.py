"""Many verdicts at once are each on their own job, and a file keeps them."""

import dataclasses
import json
import multiprocessing
import pathlib
import time

import pytest

from phijax import sandbox
from phijax.sandbox import Job, Limits, Verdict, run_many, wanted_names
from phijax.sandbox.pool import Cache

TESTS = 'assert f(3) == 9'
RIGHT = Job(code='def f(x): return x * x', tests=TESTS, names=('f',))
WRONG = dataclasses.replace(RIGHT, code='def f(x): return x')


def judge(jobs: list[Job], cache: pathlib.Path | None = None) -> list[Verdict]:
    return [verdict for _, verdict in sorted(run_many(jobs, workers=2, cache=cache), key=_place)]


def _place(found: tuple[int, Verdict]) -> int:
    return found[0]


def test_results_are_not_mixed() -> None:
    """Each job's answer is its own number, late or early, right for two in three."""
    jobs = [
        Job(
            code=f'import time\ndef f(x):\n    time.sleep({n % 4 / 100})\n    return x + {n}',
            tests=f'assert f(1) == {n + 1 + (n % 3 == 0)}, {n}',
            names=('f',),
        )
        for n in range(60)
    ]
    found = dict(run_many(jobs, workers=8))
    assert sorted(found) == list(range(60))
    for n, verdict in found.items():
        assert verdict.passed == (n % 3 != 0)
        assert verdict.passed or f'AssertionError: {n} ' in verdict.detail


def test_jobs_are_taken_as_they_are_done() -> None:
    """A generator of jobs is not run through at once, and the first verdict comes early."""
    taken = []

    def jobs() -> object:
        for n in range(50):
            taken.append(n)
            yield RIGHT

    verdicts = run_many(jobs(), workers=2)
    next(verdicts)
    assert len(taken) < 10
    assert len(list(verdicts)) == 49


def test_verdict_is_kept(tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'cache' / 'verdicts.jsonl'
    first = judge([RIGHT, WRONG], file)
    lines = file.read_text().splitlines()
    assert len(lines) == 2
    assert judge([RIGHT, WRONG], file) == first
    assert [verdict.passed for verdict in first] == [True, False]
    assert file.read_text().splitlines() == lines


def test_kept_verdict_is_used(tmp_path: pathlib.Path) -> None:
    """The reading is real: a verdict that was changed in the file comes back changed."""
    file = tmp_path / 'verdicts.jsonl'
    judge([RIGHT], file)
    file.write_text(file.read_text().replace('passed', 'failed'))
    assert judge([RIGHT], file)[0].reason == 'failed'


@pytest.mark.parametrize(
    'change',
    [
        {'code': 'def f(x): return 9'},
        {'tests': 'assert f(4) == 16'},
        {'names': ('f', 'g')},
        {'setup': 'y = 1'},
        {'limits': Limits(cpu_seconds=6)},
        {'limits': Limits(memory_megabytes=300)},
    ],
)
def test_other_job_misses(tmp_path: pathlib.Path, change: dict) -> None:
    file = tmp_path / 'verdicts.jsonl'
    judge([RIGHT], file)
    assert judge([dataclasses.replace(RIGHT, **change)], file)[0].passed
    assert len(file.read_text().splitlines()) == 2


def test_other_isolation_misses(tmp_path: pathlib.Path) -> None:
    isolation = sandbox.require('weak')
    file = tmp_path / 'verdicts.jsonl'
    Cache(file, isolation).add(RIGHT, Verdict(reason='passed'))
    assert Cache(file, isolation).find(RIGHT) == Verdict(reason='passed')
    other = dataclasses.replace(isolation, missing={'seccomp': 'EPERM'})
    assert Cache(file, other).find(RIGHT) is None


@pytest.mark.parametrize('kept', [0, 1, 10, 40, -1])
def test_torn_line_is_passed_over(tmp_path: pathlib.Path, kept: int) -> None:
    """A writer that was killed leaves part of a line; the next one starts a line of its own."""
    file = tmp_path / 'verdicts.jsonl'
    isolation = sandbox.require('weak')
    Cache(file, isolation).add(RIGHT, Verdict(reason='passed'))
    line = file.read_bytes()
    file.write_bytes(line[:kept] if kept else line + line[:20])
    cache = Cache(file, isolation)
    assert (cache.find(RIGHT) is not None) == (kept in (0, -1))
    cache.add(WRONG, Verdict(reason='failed', detail='no'))
    again = Cache(file, isolation)
    assert again.find(WRONG) == Verdict(reason='failed', detail='no')
    assert (again.find(RIGHT) is not None) == (kept in (0, -1))


@pytest.mark.parametrize(
    'line',
    ['null', '[]', '{}', '{"key":"x"}', '{"key":"x","verdict":{"reason":"fine"}}', '\x00', '{"key'],
)
def test_line_of_something_else_is_passed_over(tmp_path: pathlib.Path, line: str) -> None:
    file = tmp_path / 'verdicts.jsonl'
    file.write_text(f'{line}\n')
    assert judge([RIGHT], file)[0].passed
    assert len(file.read_text().splitlines()) == 2


def _add_many(path: pathlib.Path, first: int) -> None:
    cache = Cache(path, sandbox.Isolation(sandbox.Level.WEAK, {}, {}, {}))
    for n in range(first, first + 200):
        cache.add(
            dataclasses.replace(RIGHT, code=f'# {n}'), Verdict(reason='failed', detail='x' * n)
        )


def test_writers_at_once_lose_nothing(tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'verdicts.jsonl'
    context = multiprocessing.get_context('spawn')
    writers = [context.Process(target=_add_many, args=(file, 200 * n)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len({line['key'] for line in lines}) == 600


def test_waiting_is_not_kept(tmp_path: pathlib.Path) -> None:
    """That a program had not answered in time may be the machine's fault."""
    file = tmp_path / 'verdicts.jsonl'
    limits = Limits(wall_seconds=0.3)
    sleeps = dataclasses.replace(RIGHT, code='import time\ndef f(x): time.sleep(9)', limits=limits)
    assert judge([sleeps], file)[0].reason == 'stalled'
    assert not file.exists()


def test_known_verdicts_are_quick(tmp_path: pathlib.Path) -> None:
    file = tmp_path / 'verdicts.jsonl'
    jobs = [dataclasses.replace(RIGHT, code=f'def f(x): return x * x + {n}') for n in range(20)]
    first = judge(jobs, file)
    started = time.monotonic()
    assert judge(jobs, file) == first
    assert time.monotonic() - started < 0.5


def test_tests_without_a_call_are_no_pass() -> None:
    [verdict] = judge([dataclasses.replace(RIGHT, tests='assert True')])
    assert verdict.reason == 'vacuous'


def test_tests_that_are_wrong_are_no_pass() -> None:
    assert judge([dataclasses.replace(RIGHT, tests='assert f(3) ==')])[0].reason == 'error'
    assert judge([dataclasses.replace(RIGHT, tests='f(print)')])[0].reason == 'error'


@pytest.mark.parametrize(
    ('tests', 'setup', 'defined', 'names'),
    [
        ('assert f(3) == g', '', (), ('f', 'g')),
        ('assert sum(1, 2) == 3', '', (), ()),
        ('assert sum(1, 2) == 3', '', ('sum', 'other'), ('sum',)),
        ('assert is_tree(root)', 'root = Node(1)', ('Node', 'is_tree'), ('Node', 'is_tree')),
        ('import math as m\nassert m.isclose(f(1), x)', 'x = 1', (), ('f',)),
        ('def check(candidate):\n    y = candidate(1)\n    assert y\ncheck(f)', '', (), ('f',)),
        ('try:\n    f()\nexcept ValueError as e:\n    print(e)', '', (), ('f',)),
        ('assert [f(x) for x in range(3)] == [0]', '', (), ('f',)),
    ],
)
def test_names_that_tests_want(
    tests: str, setup: str, defined: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert wanted_names(tests, setup, defined) == names
