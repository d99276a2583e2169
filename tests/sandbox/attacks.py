"""Programs that cheat or do harm, each with a payload that is harmless and can be observed.

Each defines `f`, whose right answer for 3 would be 9. An attack has its way when the tests pass, or
when its effect is there. `{place}` stands for the attacked folder, `{port}` for a listening port.
"""

import dataclasses
import pathlib
from collections.abc import Callable

TESTS = 'assert f(3) == 9'

Effect = Callable[[pathlib.Path], bool]


@dataclasses.dataclass(frozen=True)
class Attack:
    """An attack.

    Attributes:
        code: of the program.
        tests: pass where it has its way, unless that is to be seen by its effect.
        effect: whether it had its way, given the attacked folder.
        sure: whether an unguarded harness falls for it on every system; some kernels refuse.
    """

    name: str
    code: str
    tests: str = TESTS
    effect: Effect | None = None
    sure: bool = True


def _marked(place: pathlib.Path) -> bool:
    return (place / 'mark').exists()


def _changed(place: pathlib.Path) -> bool:
    """Whether the victim is not as it was."""
    victim = place / 'victim'
    if not victim.exists() or victim.read_text() != 'untouched':
        return True
    status = victim.stat()
    return status.st_mode & 0o777 != 0o644 or status.st_mtime != 1_000_000.0


def _deed(name: str, statement: str, effect: Effect = _marked) -> Attack:
    """A program that does something to what is outside of it."""
    code = f'import ctypes, io, os, posix, socket, subprocess\ndef f(x):\n    {statement}\n'
    return Attack(name, code, effect=effect)


def _proof(name: str, expression: str, sure: bool = True) -> Attack:
    """A program whose answer is true where it could do what it may not."""
    code = (
        'import ctypes, fcntl, os, resource, signal, socket, sys\n'
        'libc = ctypes.CDLL(None, use_errno=True)\n'
        f'def f(x):\n    return bool({expression})\n'
    )
    return Attack(name, code, 'assert f(3) is True', sure=sure)


_LYING = """
class Lie({base}):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
def f(x): return Lie()
"""

_EXITS = """
import atexit, os, sys, threading
{statement}
def f(x): return 0
"""

CHEATS = [
    Attack('exit when loaded', _EXITS.format(statement='sys.exit(0)')),
    Attack('hard exit when loaded', _EXITS.format(statement='os._exit(0)')),
    Attack('hard exit when called', 'import os\ndef f(x): os._exit(0)'),
    Attack('exit when called', 'def f(x): raise SystemExit(0)'),
    Attack('exit by an exit handler', _EXITS.format(statement='atexit.register(os._exit, 0)')),
    Attack('exit by a hook', _EXITS.format(statement='sys.excepthook = lambda *_: os._exit(0)')),
    Attack('equal to all', _LYING.format(base='object')),
    Attack('int equal to all', _LYING.format(base='int')),
    Attack('str equal to all', _LYING.format(base='str'), 'assert f(3) == "nine"'),
    Attack('list equal to all', _LYING.format(base='list'), 'assert f(3) == [9]'),
    Attack('dict equal to all', _LYING.format(base='dict'), 'assert f(3) == {9: 9}'),
    Attack('exception equal to all', _LYING.format(base='Exception')),
    Attack(
        'class that lies of its type',
        'class Lie:\n    __class__ = int\n    def __eq__(self, other): return True\n'
        'def f(x): return Lie()',
        'assert isinstance(f(3), int) and f(3) == 9',
    ),
    Attack(
        'number that answers arithmetic',
        'class Lie:\n    def __sub__(self, other): return 0.0\n    def __abs__(self): return 0.0\n'
        'def f(x): return Lie()',
        'assert abs(f(3) - 9) < 1e-6',
    ),
    Attack(
        'answer read from the frame of the tests',
        'import sys\ndef f(x):\n    frame = sys._getframe(1)\n    while frame:\n'
        '        if 9 in frame.f_code.co_consts: return 9\n        frame = frame.f_back',
    ),
    Attack(
        'verdict written in the frame of the tests',
        'import sys\ndef f(x):\n    frame = sys._getframe(1)\n    while frame:\n'
        '        if "verdict" in frame.f_globals: frame.f_globals["verdict"] = 0\n'
        '        frame = frame.f_back\n',
    ),
    Attack(
        'answer found among all objects',
        'import gc, re\ndef f(x):\n    for thing in gc.get_objects():\n'
        '        if type(thing) is dict:\n            for value in list(thing.values()):\n'
        '                found = re.search(r"== (\\d+) #key", str(value)[:99]) '
        'if type(value) is str else None\n                if found: return int(found[1])\n',
        'assert f(3) == 9 #key',
    ),
    Attack(
        'builtins replaced',
        'import builtins\nbuiltins.abs = lambda x: 0\ndef f(x): return 0',
        'assert abs(f(3) - 9) < 1e-6',
    ),
    Attack(
        'module of the tests replaced',
        'import math\nmath.isclose = lambda *_: True\ndef f(x): return 0',
        'import math\nassert math.isclose(f(3), 9)',
    ),
    Attack(
        'secret file read',
        'def f(x): return int(open("{place}/secret").read())',
    ),
    Attack(
        'secret variable read',
        'import os\ndef f(x): return int(os.environ["PHIJAX_TEST_SECRET"])',
    ),
    Attack(
        'secret variable read of the process itself',
        'import re\ndef f(x):\n    text = open("/proc/self/environ").read()\n'
        '    return int(re.search("PHIJAX_TEST_SECRET=(.)", text)[1])',
    ),
    Attack(
        'installed package read',
        'import glob, sys\ndef f(x):\n    for path in glob.glob("{packages}/*/*.py"):\n'
        '        return 9 if len(open(path).read()) else 0',
        sure=False,
    ),
]

PROOFS = [
    _proof('20 processes', 'all([os.fork() or os._exit(0) for _ in range(20)])'),
    _proof('fork of the C library', '(lambda child: child or os._exit(0))(libc.fork()) > 0'),
    _proof('spawned process', 'os.posix_spawn("/bin/true", ["true"], {{}})'),
    _proof('new program in its place', 'os.execv("/bin/true", ["true"])', sure=False),
    _proof('signal to the parent', 'os.kill(os.getppid(), 0) is None'),
    _proof('signal to the group', 'os.killpg(os.getpgid(os.getppid()), 0) is None'),
    _proof('owner of signals', 'fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid()) == 0'),
    _proof('memory of the parent', 'open(f"/proc/{{os.getppid()}}/mem", "r+b")', sure=False),
    _proof('variables of the parent', 'open(f"/proc/{{os.getppid()}}/environ").read()'),
    _proof('priority of the parent', 'os.setpriority(0, os.getppid(), 1) is None', sure=False),
    _proof('limits', 'resource.setrlimit(resource.RLIMIT_CPU, (99, 99)) is None'),
    _proof('being traced', 'libc.ptrace(0, 0, 0, 0) == 0', sure=False),
    _proof('process flags', 'libc.prctl(4, 1, 0, 0, 0) == 0'),
    _proof('file in memory', 'os.memfd_create("x")'),
    _proof('namespaces', 'libc.unshare(0x10000000) == 0', sure=False),
    _proof('handle of a process', 'libc.syscall(434, os.getppid(), 0) > 0', sure=False),
    _proof('io_uring', 'libc.syscall(425, 1, ctypes.create_string_buffer(120)) > 0', sure=False),
    _proof('shared memory of System V', 'libc.shmget(0, 4096, 0o1600) >= 0', sure=False),
    _proof('internet socket', 'socket.socket(socket.AF_INET)'),
    _proof('datagram socket', 'socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)'),
    _proof('socket to the kernel', 'socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)'),
    _proof('listing of the root', 'os.listdir("/")'),
    _proof('list of processes', 'os.listdir("/proc/self/fd")'),
    _proof('terminal', 'os.openpty()', sure=False),
    _proof('standard input', 'os.read(0, 1)'),
    Attack(
        'calls of another architecture',
        'import ctypes, mmap\ndef f(x):\n'
        '    page = mmap.mmap(-1, 4096, prot=7)\n'
        '    page.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")\n'
        '    address = ctypes.addressof(ctypes.c_char.from_buffer(page))\n'
        '    return ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0',
        'assert f(3) is True',
        sure=False,
    ),
    _proof('calls of the x32 kind', 'libc.syscall(0x40000000 | 39) > 0', sure=False),
]

DEEDS = [
    _deed('shell', 'posix.system("touch {place}/mark")'),
    _deed('shell of the C library', 'ctypes.CDLL(None).system(b"touch {place}/mark")'),
    _deed('subprocess', 'subprocess.run(["touch", "{place}/mark"])'),
    _deed('spawned program', 'os.posix_spawnp("touch", ["touch", "{place}/mark"], os.environ)'),
    _deed('file written', 'io.open("{place}/mark", "w").write("x")'),
    _deed('file made by the system call', 'os.open("{place}/mark", os.O_CREAT | os.O_WRONLY)'),
    _deed('folder made', 'os.mkdir("{place}/mark")'),
    _deed('link made', 'os.symlink("/", "{place}/mark")'),
    _deed('hard link made', 'os.link("{place}/victim", "{place}/mark")'),
    _deed('file deleted', 'posix.unlink("{place}/victim")', _changed),
    _deed('file renamed', 'os.rename("{place}/victim", "{place}/other")', _changed),
    _deed('file cut', 'os.truncate("{place}/victim", 0)', _changed),
    _deed('file cut by opening', 'os.open("{place}/victim", os.O_TRUNC)', _changed),
    _deed('rights changed', 'os.chmod("{place}/victim", 0o777)', _changed),
    _deed('times changed', 'os.utime("{place}/victim", (1, 1))', _changed),
    _deed('connection', 'socket.create_connection(("127.0.0.1", {port}), 1).sendall(b"x")'),
    _deed('connection to a path', 'socket.socket(socket.AF_UNIX).connect("{place}/listens")'),
    _deed(
        'letter to a path',
        'socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", "{place}/letters")',
    ),
    _deed('child that outlives it', 'os.fork() or (os.setsid(), open("{place}/mark", "w"))'),
]

ATTACKS = [*CHEATS, *PROOFS, *DEEDS]
