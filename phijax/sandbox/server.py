"""A bare interpreter that forks shut-in processes, so that each costs a fork and not a start.

It is told only what to start, never a program's text, tests or answers: what it forks inherits its
memory. Each process has a guard, which waits for it, kills what is left of it, and reports; a guard
whose leash is let go, because whoever asked is done or dead, kills.
"""

import contextlib
import functools
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from typing import Any, NoReturn

from phijax.sandbox import inside, layers
from phijax.sandbox.layers import MEGABYTE, Limits

# What programs import most is imported once, here.
PRELOADED = (
    'array bisect cmath collections copy datetime dataclasses decimal fractions functools heapq '
    'itertools math operator queue random re statistics string typing'
)

MAX_MESSAGE = 4096
MAX_DESCRIPTORS = 8
TICK_SECONDS = 0.05

# What an empty file counts for.
BLOCK_BYTES = 4096


def main(control: int) -> None:
    """Forks what the messages of a socket ask for, until its other end is closed."""
    for name in PRELOADED.split():
        __import__(name)
    layers.prepare()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=control) as asked:
        while True:
            message, descriptors, _, _ = socket.recv_fds(asked, MAX_MESSAGE, MAX_DESCRIPTORS)
            if not message:
                return
            if os.fork() == 0:
                asked.close()
                _finally_exit(functools.partial(_guard, json.loads(message), descriptors))
            for descriptor in descriptors:
                os.close(descriptor)
            asked.sendall(b'.')


def _finally_exit(act: Callable[[], Any]) -> NoReturn:
    """Ends a forked process after its act: nothing of the one it was forked from goes on."""
    try:
        act()
    except BaseException:  # noqa: BLE001 - nothing may come back from here
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def _guard(order: dict[str, Any], descriptors: list[int]) -> None:
    """Runs one process from its start to its report, which it writes to the leash."""
    leash, *given = descriptors
    signal.signal(signal.SIGCHLD, lambda *_: None)
    wake, woken = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    layers.adopt_orphans()
    limits = Limits(**order['limits'])
    folder = tempfile.mkdtemp(prefix='phijax-sandbox-') if limits.file_megabytes else None
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        _finally_exit(lambda: _start(order, limits, given, folder, writes))
    for descriptor in [writes, *given]:
        os.close(descriptor)
    try:
        with open(reads, encoding='utf-8') as file:
            report = json.loads(file.read() or '{}')
        report['excess'] = _watch(child, leash, wake.fileno(), folder, limits)
        report |= _end(child)
    finally:
        if folder:
            shutil.rmtree(folder)
    with socket.socket(fileno=leash) as answer, contextlib.suppress(BrokenPipeError):
        answer.sendall(json.dumps(report).encode())


def _start(
    order: dict[str, Any],
    limits: Limits,
    given: list[int],
    folder: str | None,
    report: int,
) -> None:
    """Shuts the process in, says so, and does what it is for.

    Args:
        report: a pipe for the layers that hold and those that do not. It is closed before anything
            untrusted is read, and no other process holds it open: what it says is true.
    """
    os.setsid()
    layers.die_with_parent()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _stand_apart(folder)
    holds, missing = layers.enter(limits, [*given, report], folder)
    lacking = sorted(set(order['layers']) - set(holds))
    probed = inside.attempt() if order['role'] == 'probe' else {}
    content = {'holds': holds, 'missing': missing, 'lacking': lacking, 'refused': probed}
    with open(report, 'w', encoding='utf-8') as file:
        file.write(json.dumps(content))
    if lacking or probed:
        return
    if order['role'] == 'program':
        requests, answers = given
        inside.serve(requests, answers, limits.output_kilobytes)
    else:
        request, verdict, output, answers = given
        inside.judge(request, verdict, output, answers, limits.patience_seconds)


def _stand_apart(folder: str | None) -> None:
    """Leaves the standard files, the folder and the modules that the process was forked with."""
    with contextlib.suppress(OSError), open('/proc/self/oom_score_adj', 'w') as file:
        file.write('1000')  # of all processes, the first to go when the machine's memory is full
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    if folder:
        os.chdir(folder)
        os.environ['HOME'] = os.environ['TMPDIR'] = tempfile.tempdir = folder
    for name in [name for name in sys.modules if name.partition('.')[0] == 'phijax']:
        del sys.modules[name]
    sys.argv = ['program']


def _watch(child: int, leash: int, wake: int, folder: str | None, limits: Limits) -> str:
    """Waits until a process has ended or is to be ended; says what it had too much of."""
    poll = select.poll()
    poll.register(leash, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        ready = dict(poll.poll(1000 * TICK_SECONDS if folder else None))
        if leash in ready or (wake in ready and _has_ended(child, wake)):
            return ''
        if folder and _written_bytes(child, folder) > limits.file_megabytes * MEGABYTE:
            return 'files'


def _has_ended(child: int, wake: int) -> bool:
    """Whether a process has ended, about which a signal came; one that only stopped has not."""
    os.read(wake, 1)
    look = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return not hasattr(os, 'waitid') or os.waitid(os.P_PID, child, look) is not None


def _written_bytes(child: int, folder: str) -> int:
    """How much a process has on disk: what is in its folder, or all that it has written.

    The second also counts files that were deleted while open, but not on file systems in memory.
    """
    present = written = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                present += max(BLOCK_BYTES, 512 * entry.stat(follow_symlinks=False).st_blocks)
    with contextlib.suppress(OSError), open(f'/proc/{child}/io', encoding='ascii') as file:
        written = next(int(line.split()[1]) for line in file if line.startswith('write_bytes'))
    return max(present, written)


def _end(child: int) -> dict[str, Any]:
    """Kills a process with all that it has started; how it had ended, and what it used."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    while orphans := _children():
        for orphan in orphans:
            os.kill(orphan, signal.SIGKILL)
            os.waitpid(orphan, 0)
    return {
        'exit': os.waitstatus_to_exitcode(status),
        'cpu_seconds': usage.ru_utime + usage.ru_stime,
    }


def _children() -> list[int]:
    """Processes whose parent is this one, where the system can tell."""
    with contextlib.suppress(OSError):
        path = f'/proc/self/task/{os.getpid()}/children'
        with open(path, encoding='ascii') as file:
            return [int(number) for number in file.read().split()]
    return []
