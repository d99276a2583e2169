"""A loaded program answers calls as Python would, and ends with its block."""

import contextlib
import decimal
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from phijax import sandbox
from phijax.sandbox import Failure, Job, Limits, Proxy, Unsendable, client, run_tests
from tests.sandbox.lacking import ROOT

SHAPES = """
import builtins, collections, dataclasses, enum, itertools

class Node:
    def __init__(self, value, left=None):
        self.value, self.left = value, left

@dataclasses.dataclass
class Pair:
    a: int
    b: int

Point = collections.namedtuple('Point', 'x y')
Colour = enum.IntEnum('Colour', 'RED')

def depth(node): return 0 if node is None else 1 + depth(node.left)
def same(value): return value
def count(): return itertools.count()
def adder(n): return lambda x: x + n
def sort(items): items.sort()
def forget(names): names.clear(); names['new'] = [1]
def fail(name, *arguments): raise getattr(builtins, name)(*arguments)
def shapes():
    return [collections.Counter('aab'), collections.OrderedDict(a=1), Point(1, 2), Colour.RED,
            collections.defaultdict(list, {1: [2]})]
"""


@pytest.fixture(scope='module')
def program() -> sandbox.Program:
    with sandbox.open(SHAPES) as loaded:
        yield loaded


def test_data_comes_back_as_plain_data(program: sandbox.Program) -> None:
    value = [1, 2.5, 'x', b'y', None, True, (1,), {1}, {'a': [frozenset()]}, 1j, 10**99, range(3)]
    answer = program.call('same', [value])
    assert answer == value
    assert list(map(type, answer)) == list(map(type, value))
    assert program.call('same', keywords={'value': decimal.Decimal('1.50')}) == decimal.Decimal(
        '1.5'
    )


def test_derived_types_come_back_as_what_they_derive_from(program: sandbox.Program) -> None:
    shapes = program.call('shapes')
    assert shapes == [{'a': 2, 'b': 1}, {'a': 1}, (1, 2), 1, {1: [2]}]
    assert list(map(type, shapes)) == [dict, dict, tuple, int, dict]


def test_objects_can_be_used_and_passed_back(program: sandbox.Program) -> None:
    root = program.call('Node', [1])
    assert isinstance(root, Proxy)
    root.left = program.call('Node', [2])
    root.left.left = program.call('Node', [3], {'left': None})
    assert program.call('depth', [root]) == 3
    assert root.left.value == 2
    assert program.call('same', [root]) is root
    assert root.left is root.left
    pair = program.call('Pair', [1, 2])
    assert pair != program.call('Pair', [1, 2])
    with pytest.raises(AttributeError):
        _ = root.right


def test_iterators_and_functions(program: sandbox.Program) -> None:
    counted = program.call('count')
    assert [number for number, _ in zip(counted, range(3), strict=False)] == [0, 1, 2]
    assert program.call('adder', [2])(3) == 5


def test_arguments_change_in_place(program: sandbox.Program) -> None:
    items, names = [3, 1, 2], {'old': 0}
    assert program.call('sort', [items]) is None
    program.call('forget', [names])
    assert (items, names) == ([1, 2, 3], {'new': [1]})


def test_failures_say_what_was_raised(program: sandbox.Program) -> None:
    for reason, arguments, detail in [
        ('error', ['ValueError', 'no'], 'ValueError: no'),
        ('error', ['SystemExit', 3], 'SystemExit: 3'),
        ('error', ['KeyboardInterrupt'], 'KeyboardInterrupt'),
        ('memory', ['MemoryError'], 'MemoryError'),
    ]:
        with pytest.raises(Failure) as caught:
            program.call('fail', arguments)
        assert (caught.value.reason, caught.value.detail) == (reason, detail)
    with pytest.raises(Failure, match='missing: the program has no nothing'):
        program.call('nothing')


def test_what_is_no_data_cannot_be_sent(program: sandbox.Program) -> None:
    with pytest.raises(Unsendable, match='a function cannot be sent'):
        program.call('same', [lambda: 0])


def test_text_that_does_not_load() -> None:
    for code, reason in [('def f(:', 'syntax'), ('1 / 0', 'error'), ('raise SystemExit', 'error')]:
        with pytest.raises(Failure) as caught, sandbox.open(code):
            pass
        assert caught.value.reason == reason


def test_output_is_kept_apart() -> None:
    code = (
        'import sys\nprint("one")\ndef f():\n    print("two", file=sys.stderr)\n    return input()'
    )
    with sandbox.open(code) as program:
        with pytest.raises(Failure, match='EOFError'):
            program.call('f')
        assert program.output() == 'one\ntwo\n'


def test_answer_of_a_word_problem() -> None:
    code = 'def solution():\n    eggs = 16 - 3 - 4\n    return eggs * 2'
    with sandbox.open(code) as program:
        assert program.call('solution') == 18


def test_programs_end_with_their_block() -> None:
    with sandbox.open('import os\nnumber = os.getpid\ndef f(): return number()') as program:
        number = program.call('f')
        assert psutil.pid_exists(number)
    assert not psutil.pid_exists(number)


def test_program_that_has_ended_says_so() -> None:
    code = 'import os\ndef f(): os._exit(3)'
    with sandbox.open(code) as program:
        for _ in range(2):
            with pytest.raises(Failure, match='exited: status 3'):
                program.call('f')


# What solutions of exercises do, and no layer may break.
USES = """
import asyncio, collections, datetime, hashlib, json, queue, random, re, sqlite3, tempfile
import threading, time, typing, uuid, zoneinfo, statistics, string, bisect, csv, io, logging

def threads():
    found = queue.Queue()
    workers = [threading.Thread(target=found.put, args=(n,)) for n in range(8)]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
    return sorted(found.queue) == list(range(8))

def coroutines():
    async def wait():
        await asyncio.sleep(0.01)
        return True
    return asyncio.run(wait())

def database():
    table = sqlite3.connect(':memory:')
    return table.execute('select 1').fetchone() == (1,)

def files():
    with tempfile.TemporaryFile() as file, tempfile.NamedTemporaryFile() as named:
        file.write(b'x'); named.write(b'y')
        return file.tell() == 1

def recursion():
    import sys
    sys.setrecursionlimit(30_000)
    def down(n): return n and down(n - 1)
    return down(20_000) == 0

def modules():
    zone = zoneinfo.ZoneInfo('UTC')
    return bool(datetime.datetime.now(zone).year > 2000 and hashlib.sha256(b'').hexdigest()
                and uuid.uuid4() and random.random() and json.loads('[1]'))
"""


def test_ordinary_programs_run() -> None:
    names = ('threads', 'coroutines', 'database', 'files', 'recursion', 'modules')
    with sandbox.open(USES, Limits(file_megabytes=1)) as program:
        assert {name: program.call(name) for name in names} == dict.fromkeys(names, True)


def test_same_program_same_answer() -> None:
    code = 'import random\ndef f(): return [random.random(), hash("x"), list({"a", "b", "c"})]'
    answers = []
    for _ in range(2):
        with sandbox.open(code) as program:
            answers.append(program.call('f'))
    assert answers[0] == answers[1]


def test_nothing_of_ours_is_there() -> None:
    code = """
    import os, sys
    def modules(): return [name for name in sys.modules if name.startswith('phijax')]
    def variables(): return dict(os.environ)
    def opened(): return [n for n in range(4096) if is_open(n)]
    def is_open(n):
        try: os.fstat(n)
        except OSError: return False
        return True
    def path(): return sys.path
    """
    with sandbox.open(textwrap.dedent(code)) as program:
        assert program.call('modules') == []
        assert set(program.call('variables')) <= {
            *('LC_ALL', 'TZ', 'PYTHONHASHSEED', 'PYTHONUTF8', 'MALLOC_ARENA_MAX'),
            *('LD_LIBRARY_PATH', 'TMPDIR'),
        }
        assert len(program.call('opened')) == 5
        assert all('site-packages' not in path and path for path in program.call('path'))


def test_memory_of_earlier_jobs_is_not_inherited() -> None:
    """What the server forks has its memory: it must never have read a program or its tests."""
    secret = f'key{time.time_ns()}'
    job = Job(code='def f(x): return x', tests=f'assert f(3) == 3, "{secret}"', names=('f',))
    assert run_tests(job).passed
    assert _holds(os.getpid(), secret.encode())
    assert not _holds(client._server()._process.pid, secret.encode())


def _holds(process: int, word: bytes) -> bool:
    """Whether the memory of a process has a word in it."""
    with open(f'/proc/{process}/maps', encoding='ascii') as lines:
        spans = [line.split()[0].split('-') for line in lines if line.split()[1][:2] == 'rw']
    assert len(spans) > 10
    with open(f'/proc/{process}/mem', 'rb', buffering=0) as memory:
        for low, high in ((int(start, 16), int(end, 16)) for start, end in spans):
            with contextlib.suppress(OSError):
                memory.seek(low)
                if word in memory.read(high - low):
                    return True
    return False


def test_server_that_was_killed_is_replaced() -> None:
    job = Job(code='def f(x): return x', tests='assert f(3) == 3', names=('f',))
    assert run_tests(job).passed
    process = client._server()._process
    process.kill()
    process.wait()
    assert run_tests(job).passed


def test_all_ends_with_the_process_that_asked() -> None:
    code = """
    import os, sys
    from phijax import sandbox
    text = 'import os\\ndef f(): return os.getpid()\\ndef g():\\n while True: pass'
    with sandbox.open(text) as p:
        print(p.call('f'), sandbox.client._server()._process.pid, flush=True)
        p.call('g')
    """
    command = [sys.executable, '-c', textwrap.dedent(code)]
    asks = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert asks.stdout is not None
    with asks.stdout as printed:
        numbers = [int(number) for number in printed.readline().split()]
        assert all(map(psutil.pid_exists, numbers))
        os.kill(asks.pid, signal.SIGKILL)
        asks.wait()
    deadline = time.monotonic() + 10
    while any(map(psutil.pid_exists, numbers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, numbers))
