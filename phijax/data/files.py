"""Files that are whole or not there: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from phijax.errors import InputError

POLL_SECONDS = 0.1


def write_json(path: Path, value: Any) -> None:
    """Writes a value so that a reader sees the old file or the new one, whatever happens."""
    partial = path.with_name(path.name + '.partial')
    with partial.open('w') as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.write('\n')
    publish(partial, path)


def read_json(path: Path) -> Any:
    """The value of a file that `write_json` wrote, or None when there is none.

    Raises:
        InputError: if the file is not JSON.
    """
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f'{path} is damaged: {error}') from error


def publish(partial: Path, path: Path) -> None:
    """Renames a finished file or directory of files into its place, after they are on the disk."""
    for file in sorted(partial.iterdir()) if partial.is_dir() else (partial,):
        _sync(file)
    os.replace(partial, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock(directory: Path, name: str = '.lock', patience_seconds: float = 0.0) -> Iterator[None]:
    """Holds the directory, or what `name` stands for in it, for one writer.

    The lock ends with the process, however it ends.

    Args:
        patience_seconds: how long to wait for another writer, such as the orphan of a killed run.

    Raises:
        InputError: if another process holds it for longer.
    """
    directory.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_seconds
    with (directory / name).open('w') as file:
        while not _is_locked(file):
            if time.monotonic() >= deadline:
                raise InputError(f'Another process is writing to {directory}.')
            time.sleep(POLL_SECONDS)
        yield


def _is_locked(file: IO[str]) -> bool:
    """Whether the lock is this process's now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
