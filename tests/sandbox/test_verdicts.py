"""Verdicts: the published solutions, wrong ones, limits, caches, and machines that lack a layer."""

import gzip
import json
import subprocess
import sys

import pytest

from phijax import sandbox
from phijax.evaluate import tasks
from phijax.evaluate.tasks import Execution
from phijax.sandbox import isolation

SUM = 'def add(a, b):\n    return a + b\n'
TESTS = 'assert add(1, 2) == 3\n'
strong = pytest.mark.skipif(
    sandbox.probe().level < sandbox.Level.STRONG, reason=str(sandbox.probe().missing)
)


def _job(code=SUM, tests=TESTS, **options):
    return sandbox.Job(code=code, tests=tests, names=('add',), **options)


@strong
def test_every_published_solution_of_humaneval_passes_and_none_that_returns_nothing(asset):
    path = asset('humaneval') / 'HumanEval.jsonl.gz'
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    task, execution = tasks.task('humaneval'), Execution(workers=2)
    problems = task.items(0)
    solutions = [row['canonical_solution'] for row in rows]
    grades = task.writing.grade(problems, solutions, execution, False)
    assert [problem.id for problem, g in zip(problems, grades, strict=True) if not g.correct] == []
    assert len(grades) == 164
    nothing = task.writing.grade(problems, ['    return None\n'] * 164, execution, False)
    assert not any(grade.correct for grade in nothing)


@strong
def test_every_published_solution_of_mbpp_passes_and_none_of_another_problem(asset):
    path = asset('benchmarks') / 'codex_mbpp/gold_bpb_3shot/requests.jsonl.gz'
    code = {}
    for line in gzip.decompress(path.read_bytes()).splitlines():
        document = json.loads(line)['doc']
        code[str(document['task_id'])] = document['code']
    task, execution = tasks.task('mbpp'), Execution(workers=2)
    problems = task.items(3)
    solutions = [code[problem.id] for problem in problems]
    grades = task.writing.grade(problems, solutions, execution, False)
    assert [problem.id for problem, g in zip(problems, grades, strict=True) if not g.correct] == []
    assert len(grades) == 500
    few, others = problems[:60], solutions[1:61]
    assert not any(grade.correct for grade in task.writing.grade(few, others, execution, False))


@strong
@pytest.mark.parametrize(
    ('code', 'reason'),
    [
        ('def add(a, b):\n    return a - b\n', 'failed'),
        ('def add(a, b):\n    return a / 0\n', 'error'),
        ('def add(a, b:\n', 'syntax'),
        ('def plus(a, b):\n    return a + b\n', 'missing'),
        ('while True: pass\n', 'timeout'),
        ('import time\ntime.sleep(60)\n', 'stalled'),
        ('def add(a, b):\n    return len(bytearray(1 << 30))\n', 'memory'),
        ('import os\nos._exit(3)\n', 'exited'),
        ('def add(a, b):\n    return "x" * (10 << 20)\n', 'oversize'),
    ],
)
def test_a_verdict_says_why(code, reason):
    limits = sandbox.Limits(cpu_seconds=1, wall_seconds=3)
    assert sandbox.run_tests(_job(code, limits=limits)).reason == reason


@strong
def test_tests_that_call_nothing_do_not_pass():
    assert sandbox.run_tests(_job(tests='x = 1\n')).reason == 'vacuous'


@strong
def test_an_argument_that_is_changed_in_place_is_changed():
    tests = 'row = [3, 1, 2]\nassert add(row, None) is None\nassert row == [1, 2, 3]\n'
    assert sandbox.run_tests(_job('def add(a, b):\n    a.sort()\n', tests)).passed


@strong
def test_types_are_those_of_the_answer():
    assert not sandbox.run_tests(
        _job('def add(a, b):\n    return (a, b)\n', 'assert add(1, 2) == [1, 2]\n')
    ).passed
    assert sandbox.run_tests(
        _job('def add(a, b):\n    return float("nan")\n', 'x = add(1, 2)\nassert x != x\n')
    ).passed


@strong
def test_many_at_once_are_not_mixed_up():
    jobs = [
        _job(f'def add(a, b):\n    return {number}\n', f'assert add(0, 0) == {number % 7}\n')
        for number in range(14)
    ]
    verdicts = dict(sandbox.run_many(jobs, workers=4))
    assert [verdicts[number].passed for number in range(14)] == [True] * 7 + [False] * 7


@strong
def test_a_known_verdict_is_read_and_other_code_is_run(tmp_path, monkeypatch):
    cache = tmp_path / 'verdicts'
    [(_, first)] = sandbox.run_many([_job()], cache=cache)
    with cache.open('ab') as file:
        file.write(b'{"key": "torn')
    from phijax.sandbox import pool

    def refuse(*_, **__):
        raise AssertionError('it was run again')

    with monkeypatch.context() as patch:
        patch.setattr(pool, 'run_tests', refuse)
        [(_, again)] = sandbox.run_many([_job()], cache=cache)
        with pytest.raises(AssertionError, match='run again'):
            list(sandbox.run_many([_job('def add(a, b):\n    return 3\n')], cache=cache))
    assert again == first
    [(_, other)] = sandbox.run_many([_job('def add(a, b):\n    return 4\n')], cache=cache)
    assert other.reason == 'failed'
    [(_, kept)] = sandbox.run_many([_job('def add(a, b):\n    return 4\n')], cache=cache)
    assert kept == other


@strong
def test_what_a_program_prints_is_kept_apart_and_cut():
    code = 'print("x" * 200_000)\ndef add(a, b):\n    print("[\\"passed\\"]")\n    return a + b\n'
    with sandbox.open(code) as program:
        assert program.call('add', [1, 2]) == 3
        assert 60_000 < len(program.output()) <= 65_536


@strong
def test_an_unsendable_argument_is_refused_here():
    with sandbox.open(SUM) as program, pytest.raises(sandbox.Unsendable):
        program.call('add', [open, 2])


# What a machine without the layer answers: the same filter in a process of its own, around ours.
_WITHOUT = """
import ctypes, struct, sys, json
from phijax import sandbox
from phijax.sandbox import seccomp
numbers = {numbers}
rules = [(0x20, 0, 0, 0)]
for number in numbers:
    rules += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | {errno})]
rules.append((0x06, 0, 0, 0x7fff0000))
code = b''.join(struct.pack('=HBBI', *rule) for rule in rules)
buffer = ctypes.create_string_buffer(code, len(code))
program = ctypes.create_string_buffer(struct.pack('@HP', len(rules), ctypes.addressof(buffer)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0
found = sandbox.probe()
try:
    sandbox.require()
    refused = ''
except sandbox.SandboxError as error:
    refused = str(error)
taken = sandbox.require(unsafe='I_UNDERSTAND').level.name
print(json.dumps([found.level.name, sorted(found.missing), refused, taken]))
"""
_LANDLOCK = {'x86_64': [444, 445, 446], 'aarch64': [444, 445, 446]}


@strong
@pytest.mark.parametrize('errno', [38, 1])
def test_a_machine_without_landlock_is_refused_with_the_ways_out(errno):
    import platform

    script = _WITHOUT.format(numbers=_LANDLOCK[platform.machine()], errno=errno)
    result = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=True, timeout=60
    )
    level, missing, refused, taken = json.loads(result.stdout)
    assert level == taken == 'MEDIUM'
    assert missing == ['landlock']
    assert 'wants level strong, this machine has medium: landlock' in refused
    assert 'I_UNDERSTAND' in refused
    assert '\n' not in refused


def test_an_unknown_level_or_flag_is_refused():
    with pytest.raises(sandbox.SandboxError, match='weak, medium, strong'):
        sandbox.require('safe')
    with pytest.raises(sandbox.SandboxError, match='I_UNDERSTAND'):
        sandbox.require(unsafe='yes')


def test_a_layer_that_holds_but_was_not_seen_to_does_not_count():
    holds = dict.fromkeys(('landlock', 'seccomp', *isolation.NEEDED), 'set')
    seen = {'read a file': True, 'start a process': True, 'open a socket': True}
    assert isolation._level(holds, seen) == sandbox.Level.STRONG
    assert isolation._level(holds, seen | {'read a file': False}) == sandbox.Level.MEDIUM
    nothing = dict.fromkeys(seen, False)
    assert isolation._level(holds, nothing) == sandbox.Level.WEAK
