"""An append-only file of JSON lines that a kill, a torn write or a full disk cannot spoil."""

import collections
import io
import json
import math
import numbers
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

Record = dict[str, Any]


class Journal:
    """The records of one file: those kept when it was opened, then those appended.

    Every record reaches the kernel before `append` returns, so `kill -9` loses none; `sync`
    protects them from a power cut too. A record that the disk does not take waits in memory for
    the next `append`, and `error` says why, so that a full disk does not end a training run.
    """

    def __init__(self, path: pathlib.Path, keep: Callable[[Record], bool]) -> None:
        """Opens `path`; lines that are torn or that `keep` turns down leave it in one rename."""
        self.path = path
        self.kept: list[Record] = []
        self.unreadable = 0
        self.error: OSError | None = None
        self._waiting: collections.deque[bytes] = collections.deque()
        self._heal(keep)
        self._file = io.FileIO(path, 'a')
        self._size = path.stat().st_size

    def append(self, record: Mapping[str, Any]) -> None:
        """Writes one line, after those that still wait."""
        text = json.dumps(plain(record), allow_nan=False)
        self._waiting.append(text.encode() + b'\n')
        self._attempt(self._drain)

    def sync(self) -> None:
        """Returns when the records written so far are on the disk itself."""
        self._attempt(lambda: os.fsync(self._file.fileno()))

    def close(self) -> None:
        """Closes the file; once more does nothing.

        Raises:
            OSError: there are records that the disk did not take.
        """
        if self._file.closed:
            return
        self._attempt(self._drain)
        self._file.close()
        if self.error and self._waiting:
            raise self.error

    def _attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
            self.error = None
        except OSError as error:
            self.error = error

    def _drain(self) -> None:
        """Writes what waits; where the disk takes only a part of a line, it takes none of it."""
        while self._waiting:
            line = self._waiting[0]
            written = self._file.write(line)
            if written != len(line):
                self._file.truncate(self._size)
                raise OSError(f'{self.path}: the disk took {written} of {len(line)} bytes')
            self._size += len(self._waiting.popleft())

    def _heal(self, keep: Callable[[Record], bool]) -> None:
        before = self.path.read_bytes() if self.path.exists() else b''
        lines = []
        for line in before.splitlines():
            record = _whole(line)
            self.unreadable += record is None
            if record is not None and keep(record):
                self.kept.append(record)
                lines.append(line + b'\n')
        after = b''.join(lines)
        if after != before:
            _replace(self.path, after)


def plain(value: Any) -> Any:
    """What JSON can hold of `value`: floats exactly, and NaN and infinities as strings.

    `float('NaN')` and `float('-Infinity')` read those strings back.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else json.dumps(number)


def _whole(line: bytes) -> Record | None:
    """The record of a line, or None where a kill or a power cut left something else."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(record, dict) and 'kind' in record and 'step' in record
    return record if whole else None


def _replace(path: pathlib.Path, content: bytes) -> None:
    draft = path.with_name(path.name + '.draft')
    with open(draft, 'wb') as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
