"""The records of a task in a file of JSON lines, which an interrupted evaluation goes on with."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from phijax.errors import InputError
from phijax.evaluate.measuring import Record


class Samples:
    """The records of one task. The first line says what they are answers to."""

    def __init__(self, path: Path, asked: Mapping[str, Any]) -> None:
        """Opens the file, or begins it.

        A line that was not finished when its writer was killed is cut off.

        Raises:
            InputError: it holds answers to something else than `asked`, or is damaged.
        """
        self.path = path
        self.records: dict[str, Record] = {}
        if path.exists():
            self._read(dict(asked))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append([{'asked': dict(asked)}])

    def add(self, records: Iterable[Record]) -> Iterator[Record]:
        """Each record, when it is on the disk."""
        for record in records:
            self._append([record])
            self.records[record['id']] = record
            yield record

    def _append(self, values: Iterable[Mapping[str, Any]]) -> None:
        with self.path.open('a', encoding='utf-8') as file:
            file.writelines(json.dumps(value, ensure_ascii=False) + '\n' for value in values)
            file.flush()
            os.fsync(file.fileno())

    def _read(self, asked: dict[str, Any]) -> None:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b'\n') + 1]
        if whole != data:
            os.truncate(self.path, len(whole))
        if not whole:
            self._append([{'asked': asked}])
            return
        first, *records = _values(self.path)
        before = first.get('asked')
        if before != asked:
            raise InputError(
                f'{self.path} has answers to other questions. Changed: '
                f'{"; ".join(_changes(before or {}, asked))}. Use another workdir.'
            )
        self.records = {record['id']: record for record in records}


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key, value in now.items():
        if before.get(key) != value:
            yield f'{key}: {before.get(key)} -> {value}'


def read(path: Path) -> list[Record]:
    """The records of a file.

    Raises:
        InputError: it is damaged.
    """
    return list(_values(path))[1:]


def _values(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(path.read_text('utf-8').split('\n')[:-1], 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise InputError(f'{path}, line {number} is damaged: {error}') from error
