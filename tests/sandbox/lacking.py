"""Machines that lack a layer, by a filter of system calls that the whole sandbox inherits."""

import ctypes
import errno
import json
import pathlib
import struct
import subprocess
import sys
from typing import Any

from phijax.sandbox import seccomp

ROOT = pathlib.Path(__file__).resolve().parents[2]

# System calls, the value that their first argument has to have if any, and their answer.
LACKS = {
    'landlock': (444, None, errno.ENOSYS),
    'landlock at boot': (444, None, errno.EOPNOTSUPP),
    'landlock in a container': (444, None, errno.EPERM),
    'seccomp': ('prctl', 22, errno.EINVAL),
    'capabilities': ('capset', None, errno.EPERM),
    'limits': ('prlimit64', None, errno.EPERM),
}
CAPSET = {'x86_64': 126, 'aarch64': 91}


def answer_without(layers: list[str], code: str, *arguments: str) -> Any:
    """What a program prints as JSON in a process, and in all that it starts, without some layers.

    The program finds `phijax.sandbox` as `sandbox` and its arguments in `sys.argv[1:]`.
    """
    call = f'import json, sys\nfrom tests.sandbox import lacking\nlacking.lose({layers})\n'
    ran = subprocess.run(
        [sys.executable, '-c', f'{call}from phijax import sandbox\n{code}', *arguments],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def lose(layers: list[str]) -> None:
    """Makes the system calls of some layers fail, in this process and all that it starts."""
    machine = seccomp.architecture()
    assert machine is not None
    numbers = {**seccomp.numbers(machine), 'capset': CAPSET[machine]}
    code = [(0x20, 0, 0, 0)]
    for layer in layers:
        call, first, answer = LACKS[layer]
        number = numbers[call] if isinstance(call, str) else call
        refuse = (0x06, 0, 0, 0x00050000 | answer)
        if first is None:
            code += [(0x15, 0, 1, number), refuse]
        else:
            code += [(0x15, 0, 4, number), (0x20, 0, 0, 16), (0x15, 0, 1, first), refuse]
            code += [(0x20, 0, 0, 0)]
    code += [(0x06, 0, 0, 0x7FFF0000)]
    text = ctypes.create_string_buffer(b''.join(struct.pack('=HBBI', *step) for step in code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    program = struct.pack('@HP', len(code), ctypes.addressof(text))
    assert libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
