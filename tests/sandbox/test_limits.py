"""Programs that take too much: each ends for the right reason, and takes nothing down with it."""

import dataclasses
import math
import os
import pathlib
import resource
import signal
import time

import psutil
import pytest

from phijax import sandbox
from phijax.sandbox import Failure, Job, Limits, SandboxError, run_tests
from phijax.sandbox.layers import LEAST_MEGABYTES
from phijax.sandbox.values import BUILD_SECONDS, MAX_BYTES

ONE_SECOND = Limits(cpu_seconds=1, wall_seconds=20)
SHORT = Limits(cpu_seconds=5, wall_seconds=1)

# Programs, their limits, and the reason for which they end: one, or any of a few where it is a
# matter of Python's version which comes first.
HOGS = {
    'endless loop': ('def f(x):\n    while True: pass', ONE_SECOND, 'timeout'),
    'endless loop when loaded': ('while True: pass', ONE_SECOND, 'timeout'),
    'endless loop that ignores signals': (
        'import signal\ndef f(x):\n'
        '    for number in (signal.SIGALRM, signal.SIGXCPU, signal.SIGTERM):\n'
        '        signal.signal(number, signal.SIG_IGN)\n'
        '    while True: pass',
        ONE_SECOND,
        'timeout',
    ),
    'endless loop in C': (
        'def f(x): return 7 ** (7 ** 9) and sum(range(10 ** 15))',
        ONE_SECOND,
        'timeout',
    ),
    'endless threads': (
        'import threading\ndef spin():\n    while True: pass\ndef f(x):\n'
        '    for _ in range(4): threading.Thread(target=spin, daemon=True).start()\n    spin()',
        ONE_SECOND,
        'timeout',
    ),
    'endless iterator': (
        'import itertools\ndef f(x): return itertools.count()',
        ONE_SECOND,
        'timeout',
    ),
    'sleep': ('import time\ndef f(x): time.sleep(60)', SHORT, 'stalled'),
    'sleep when loaded': ('import time\ntime.sleep(60)', SHORT, 'stalled'),
    'sleep in small parts': (
        'import time\ndef f(x):\n    time.sleep(0.4)\n    return x',
        SHORT,
        'stalled',
    ),
    'stopped process': (
        'import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGSTOP)',
        SHORT,
        'stalled',
    ),
    'waits for a lock': (
        'import threading\ndef f(x):\n    lock = threading.Lock()\n'
        '    lock.acquire()\n    lock.acquire()',
        SHORT,
        'stalled',
    ),
    '2 GB': ('def f(x): return len(bytearray(2 << 30))', ONE_SECOND, 'memory'),
    'growing list': (
        'def f(x):\n    grown = [0]\n    while True: grown += grown',
        ONE_SECOND,
        'memory',
    ),
    'regular expression without end': (
        'import re\ndef f(x): return re.match("(a+)+$", "a" * 40 + "b")',
        ONE_SECOND,
        'timeout',
    ),
    'error without end': (
        'class E(Exception):\n    def __str__(self):\n        while True: pass\ndef f(x): raise E',
        ONE_SECOND,
        'timeout',
    ),
    'long answer': ('def f(x): return "x" * (9 << 20)', ONE_SECOND, 'oversize'),
    'deep answer': (
        'def f(x):\n    deep = []\n    for _ in range(100_000): deep = [deep]\n    return deep',
        ONE_SECOND,
        'oversize',
    ),
    'answer that holds itself': (
        'def f(x):\n    deep = []\n    deep.append(deep)\n    return deep',
        ONE_SECOND,
        'oversize',
    ),
    'deep recursion': ('def f(x): return f(x)', ONE_SECOND, 'error'),
    'recursion without limit': (
        'import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x): return [f(x)]',
        Limits(cpu_seconds=9, memory_megabytes=96),
        'memory, error, crashed',
    ),
    'broken memory': (
        'import ctypes\ndef f(x): return ctypes.string_at(0)',
        ONE_SECOND,
        'crashed',
    ),
}

TESTS = 'for _ in range(3):\n    assert list(f(3)) == [3]\n'


@pytest.mark.parametrize('name', HOGS)
def test_hog_ends(name: str) -> None:
    code, limits, reason = HOGS[name]
    tests = TESTS if 'iterator' in name else 'for _ in range(9): assert f(3) == 3'
    started = time.monotonic()
    verdict = run_tests(Job(code=code, tests=tests, names=('f',), limits=limits))
    assert verdict.reason in reason.split(', '), verdict
    assert time.monotonic() - started < limits.patience_seconds + 5


def test_waiting_lasts_four_times_the_cpu_time() -> None:
    assert Limits(cpu_seconds=3).patience_seconds == 12


def test_limits_after_a_known_solution() -> None:
    assert Limits.for_solution(0.01).cpu_seconds == 5
    assert Limits.for_solution(2, memory_megabytes=64) == Limits(
        cpu_seconds=20, memory_megabytes=64
    )


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('cpu_seconds', 0),
        ('cpu_seconds', math.nan),
        ('wall_seconds', -1),
        ('memory_megabytes', 63),
        ('file_megabytes', -1),
        ('output_kilobytes', 10**9),
    ],
)
def test_limit_that_is_none_is_refused(name: str, value: float) -> None:
    with pytest.raises(SandboxError, match=f'{name} is {value}; it is at least'):
        Limits(**{name: value})


def test_least_memory_is_enough() -> None:
    job = Job(code='def f(x): return x', tests='assert f(3) == 3', names=('f',))
    limits = Limits(memory_megabytes=LEAST_MEGABYTES)
    assert run_tests(dataclasses.replace(job, limits=limits)).passed


def test_cpu_time_is_told() -> None:
    code = 'import time\ndef f(x):\n    while time.process_time() < 0.5: pass\n    return x'
    verdict = run_tests(Job(code=code, tests='assert f(3) == 3', names=('f',)))
    assert verdict.passed
    assert 0.5 <= verdict.cpu_seconds < 1.5


def test_tests_end_too() -> None:
    """A huge answer on which the tests take long does not hold up who waits for the verdict."""
    tests = 'numbers = f(3)\nwhile True: sorted(numbers)'
    job = Job(code='def f(x): return [1] * 9', tests=tests, names=('f',), limits=ONE_SECOND)
    verdict = run_tests(job)
    assert verdict.reason == 'timeout'
    assert 'the tests' in verdict.detail


PRINTS = """
import os, sys
def f(x):
    for _ in range(200):
        print('x' * (1 << 20))
        os.write(1, b'y' * (1 << 20))
        os.write(2, b'z' * (1 << 20))
    return x
"""


def test_print_flood_is_cut() -> None:
    with sandbox.open(PRINTS, Limits(output_kilobytes=64)) as program:
        assert program.call('f', [3]) == 3
        assert program.output() == 'x' * (64 << 10)


# What is written, and the reason for which the program ends.
FILLS = {
    'large file': ('open("a", "wb").write(bytes(3 << 20))', 'error'),
    'many files': (
        '[open(str(n), "wb").write(bytes(1 << 19)) for n in range(40)] and wait()',
        'files',
    ),
    'deleted files': (
        '[(open("a", "wb").write(bytes(1 << 19)), os.unlink("a")) for _ in range(40)] and wait()',
        'files',
    ),
    'empty files': ('[open(str(n), "wb").close() for n in range(10 ** 9)]', 'files'),
    'folders': ('os.mkdir("a")', 'error'),
    'sparse file': ('os.truncate("a", 1 << 40)', 'error'),
}


@pytest.mark.parametrize('name', FILLS)
def test_disk_is_not_filled(name: str) -> None:
    act, reason = FILLS[name]
    code = f'import os, time\ndef wait():\n    while True: time.sleep(1)\ndef f(x):\n    {act}'
    limits = Limits(cpu_seconds=9, file_megabytes=2)
    before = _free_megabytes()
    verdict = run_tests(Job(code=code, tests='f(3)\nassert False', names=('f',), limits=limits))
    if name == 'deleted files' and verdict.reason == 'stalled':
        pytest.skip('the folder is in memory, where a file that was deleted is not counted')
    assert verdict.reason == reason, verdict
    assert before - _free_megabytes() < 30


def _free_megabytes() -> float:
    return psutil.disk_usage(os.environ.get('TMPDIR', '/tmp')).free / (1 << 20)


def test_folder_is_gone_afterwards(tmp_path: pathlib.Path) -> None:
    code = 'import os\ndef f():\n    open("a", "w").write("b")\n    return os.getcwd()'
    with sandbox.open(code, Limits(file_megabytes=1)) as program:
        folder = pathlib.Path(program.call('f'))
        assert (folder / 'a').read_text() == 'b'
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_no_folder_by_default() -> None:
    with sandbox.open('def f(): open("a", "w")') as program:
        with pytest.raises(Failure, match='PermissionError'):
            program.call('f')
        with pytest.raises(Failure, match='PermissionError'):
            program.call('f')


LIARS = {
    'line without end': 'while True: os.write(pipe, b"x" * 65536)',
    'deep line': 'os.write(pipe, b"[" * 4_000_000 + b"\\n")',
    'long number': 'os.write(pipe, b"9" * 7_000_000 + b"\\n")',
    'keys of one hash': (
        'os.write(pipe, b\'{"dict":[\' + b",".join(b"[%d,0]" % (n * (2**61 - 1)) '
        'for n in range(1, 4)) + b"," + b",".join(b\'[{"int":"%x"},0]\' % (n * (2**61 - 1)) '
        'for n in range(4, 200_000)) + b"]}\\n")'
    ),
    'iterator in a dict': 'os.write(pipe, b\'{"dict":[{"handle":[1,"x"]}]}\\n\')',
    'fraction of a long number': 'os.write(pipe, b\'{"fraction":["1e999999999",1]}\\n\')',
}


@pytest.mark.parametrize('name', LIARS)
def test_reader_is_not_choked(name: str) -> None:
    """What a program writes past the worker cannot hold up or fill the process that reads it."""
    code = (
        'import os, stat\ndef f():\n    for pipe in range(3, 4096):\n        try:\n'
        '            if not stat.S_ISFIFO(os.fstat(pipe).st_mode): continue\n'
        f'            {LIARS[name]}\n        except OSError: pass\n'
    )
    started = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    limits = Limits(cpu_seconds=10)
    with sandbox.open(code, limits) as program, pytest.raises(Failure) as caught:
        program.call('f')
    assert caught.value.reason in ('protocol', 'oversize')
    assert time.monotonic() - started < BUILD_SECONDS + 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 * MAX_BYTES >> 10


def test_parent_keeps_its_signals() -> None:
    """Supervision is in other processes: this one's handlers and children are its own."""
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
