"""The server of this process, and the shut-in processes that it forks on request."""

import atexit
import contextlib
import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from phijax.sandbox.layers import Limits, SandboxError

# How long trusted code may take to answer. It takes milliseconds.
GRACE_SECONDS = 60.0

PACKAGE = pathlib.Path(__file__).parent

# Loads modules of this package without its face, which the server has no use for, and leaves the
# search path as it was.
_BOOT = """
import sys, types
for name, path in (('phijax', sys.argv[1]), ('phijax.sandbox', sys.argv[2])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from phijax.sandbox import server
server.main(int(sys.argv[3]))
"""

# Where shared libraries of Python are, if not in the usual places. Nothing else is inherited.
_INHERITED = ('LD_LIBRARY_PATH', 'TMPDIR')
# One seed and one time zone, so that a program gives the same answer each time; one pool of memory
# for all threads, so that these do not use up the address space.
_ENVIRONMENT = {
    'LC_ALL': 'C.UTF-8',
    'TZ': 'UTC',
    'PYTHONHASHSEED': '0',
    'PYTHONUTF8': '1',
    'MALLOC_ARENA_MAX': '1',
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What became of a process.

    Attributes:
        exit: its exit status, or the negative number of the signal that ended it.
        excess: what it had too much of: `files`, or nothing.
        holds: layers that it was shut in by, with a word on each.
        missing: layers that it was not, with the reason.
        lacking: names of layers that were asked for and missing: nothing was run.
        refused: of a probe, which forbidden deeds were refused.
    """

    exit: int
    cpu_seconds: float
    excess: str
    holds: dict[str, str]
    missing: dict[str, str]
    lacking: list[str]
    refused: dict[str, bool]


class Process:
    """A shut-in process, or one that has ended. It lives no longer than its leash is held."""

    def __init__(self, leash: socket.socket) -> None:
        """Holds the leash."""
        self._leash = leash
        self._report: Report | None = None

    def end(self) -> Report:
        """What became of it. A process that still runs is killed.

        Raises:
            SandboxError: it could not be shut in, so that nothing was run, or its guard failed.
        """
        if self._report is None:
            with self._leash, contextlib.suppress(OSError):
                self._leash.settimeout(GRACE_SECONDS)
                self._leash.shutdown(socket.SHUT_WR)
                self._report = _read_report(self._leash)
        if self._report is None:
            raise SandboxError('sandbox: the guard of a process has ended without a report')
        if self._report.lacking:
            raise SandboxError(f'sandbox: a process lacks {self._report.missing}')
        return self._report


class Server:
    """A bare interpreter that forks."""

    def __init__(self) -> None:
        """Starts it."""
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        self._control.settimeout(GRACE_SECONDS)
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        flags = ['-s', '-P', '-S', '-B', '-c', _BOOT]
        arguments = [str(PACKAGE.parent), str(PACKAGE), str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *flags, *arguments],
                cwd='/',
                env=_ENVIRONMENT | inherited,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Whether it runs, and is this process's own and not that of one it was forked from."""
        return self.owner == os.getpid() and self._process.poll() is None

    def order(self, message: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Has a process forked.

        Raises:
            SandboxError: the server has ended.
        """
        try:
            with self._lock:
                socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
                if self._control.recv(1):
                    return
        except OSError as error:
            self._process.kill()
            raise SandboxError(f'sandbox: the server has ended: {error}') from None
        raise SandboxError('sandbox: the server has ended')

    def close(self) -> None:
        """Lets the server end; what it has forked lives on its own leashes."""
        if self.owner == os.getpid():
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
            self._process.wait()
        self._control.close()


_starting = threading.Lock()
_servers: list[Server] = []


def start(role: str, limits: Limits, layers: Sequence[str], descriptors: Sequence[int]) -> Process:
    """A new shut-in process.

    Args:
        role: `program`, `judge` or `probe`.
        layers: names of those it must have; it gets all that it can have.
        descriptors: the ends of pipes that its role wants; they are closed here.

    Raises:
        SandboxError: the server has ended.
    """
    if not hasattr(os, 'fork'):
        raise SandboxError('sandbox: this system has no fork, so nothing can be run')
    ours, theirs = socket.socketpair()
    message = {'role': role, 'limits': dataclasses.asdict(limits), 'layers': list(layers)}
    try:
        with theirs:
            _server().order(message, [theirs.fileno(), *descriptors])
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return Process(ours)


def _server() -> Server:
    with _starting:
        if not _servers or not _servers[0].alive():
            _servers[:] = [Server()]
        return _servers[0]


@atexit.register
def _close() -> None:
    for server in _servers:
        server.close()


def _read_report(leash: socket.socket) -> Report | None:
    with leash.makefile('rb') as file:
        report = json.loads(file.read() or b'{}')
    return Report(**report) if 'holds' in report else None
