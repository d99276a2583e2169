"""A directory that one run owns: writable, with room enough, and locked."""

import contextlib
import datetime
import fcntl
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from phijax.checkpoint.errors import CheckpointError, WorkdirLocked

_locks: set[int] = set()


def create(directory: str | os.PathLike[str]) -> Path:
    """The absolute path of a directory that exists and can be written.

    Raises:
        CheckpointError: it cannot be made or written.
    """
    root = Path(directory).absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return root
    except OSError as error:
        raise CheckpointError(f'cannot write to {root}: {error.strerror}') from error


def preflight(directory: str | os.PathLike[str], num_bytes: int, keep: int = 3) -> str | None:
    """A warning if the disk has no room for the checkpoints of a run, else None.

    Args:
        num_bytes: size of one state.

    Raises:
        CheckpointError: the directory cannot be written.
    """
    root = create(directory)
    used = sum(path.stat().st_size for path in root.rglob('*') if path.is_file())
    free, needed = shutil.disk_usage(root).free, (keep + 1) * num_bytes - used
    if needed <= free:
        return None
    return (
        f'{root} has {free / 2**30:.1f} GiB free, but {keep} checkpoints of '
        f'{num_bytes / 2**30:.1f} GiB and the one being written need {needed / 2**30:.1f} GiB: '
        'free that much, or keep fewer'
    )


@contextlib.contextmanager
def lock(workdir: str | os.PathLike[str]) -> Iterator[None]:
    """A context in which no other process can lock the workdir.

    The kernel drops the lock with the process, however that ends. If a run has several processes,
    the first of them locks.

    Raises:
        WorkdirLocked: another process, named in the message, holds it.
        CheckpointError: the workdir cannot be written.
    """
    descriptor = os.open(create(workdir) / 'lock', os.O_RDWR | os.O_CREAT, 0o644)
    _locks.add(descriptor)
    try:
        _acquire(descriptor, workdir)
        started = datetime.datetime.now().astimezone().isoformat(timespec='seconds')
        holder = {'pid': os.getpid(), 'host': socket.gethostname(), 'started': started}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        if descriptor in _locks:
            _locks.remove(descriptor)
            os.close(descriptor)


def _acquire(descriptor: int, workdir: str | os.PathLike[str]) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkdirLocked(
            f'{workdir} is in use by {_holder(descriptor)}: stop that, or use another workdir'
        ) from None


def _holder(descriptor: int) -> str:
    """Who has locked a file, in words."""
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f'process {holder["pid"]} on {holder["host"]}, started {holder["started"]}'
    except (ValueError, KeyError):
        return 'another process, just started'


def _let_go() -> None:
    """Lets go, in a forked child, of the locks of its parent: they must end with the parent."""
    while _locks:
        os.close(_locks.pop())


os.register_at_fork(after_in_child=_let_go)
