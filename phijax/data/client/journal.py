"""The journal of a run: every answer, and every reservation, in SQLite before they count.

A reservation is written before its request is sent. One without a settlement stays charged, so that
nothing need be done after a kill: the books are what the file says.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from phijax.data.client.request import Answer, Usage
from phijax.data.files import lock
from phijax.errors import InputError

NAME = 'answers.sqlite3'
# What SQLite keeps in the header for the makers of a format: ours, and its version.
_APPLICATION = 0x70686A78
_VERSION = 1

_TABLES = """
CREATE TABLE answers (key BLOB PRIMARY KEY, body BLOB NOT NULL, digest BLOB NOT NULL);
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    prompt INTEGER NOT NULL, completion INTEGER NOT NULL,
    used_prompt INTEGER, used_completion INTEGER
);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Totals(NamedTuple):
    """What all attempts so far cost; `unknown` is what the unsettled ones reserved."""

    used: Usage
    unknown: Usage
    requests: int


class Journal:
    """The answers and the spending of all runs in a directory; one process may have it at a time.

    Made to be read by one thread and written by another, each with a connection of its own.

    Attributes:
        model: that the endpoint named first; '' where there was no answer yet.
    """

    def __init__(self, directory: Path) -> None:
        """Opens or makes the journal.

        Raises:
            InputError: if it is damaged, is none, or another process has it.
        """
        self._path = directory / NAME
        self._closing = contextlib.ExitStack()
        try:
            self._closing.enter_context(lock(directory))
            with self._reporting():
                self._reader, self._writer = self._connect(), self._connect()
                self._prepare()
                named = self._one("SELECT coalesce(max(value), '') FROM facts WHERE name = 'model'")
                self.model: str = named[0]
                self._next = self._one('SELECT coalesce(max(id), 0) + 1 FROM attempts')[0]
        except BaseException:
            self._closing.close()
            raise

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """What `Answer.dump` made of those of the answers that were committed, by key.

        Raises:
            InputError: if one is damaged.
        """
        places = ', '.join('?' * len(keys))
        with self._reporting():
            # All rows are fetched: an open cursor would hold back the log's clean-up.
            rows = self._reader.execute(
                f'SELECT key, body, digest FROM answers WHERE key IN ({places})', keys
            ).fetchall()
        for key, body, digest in rows:
            if _digest(key, body) != digest:
                raise InputError(f'{self._path} is damaged: the answer {key.hex()}; {_ADVICE}')
        return {key: body for key, body, _ in rows}

    def totals(self) -> Totals:
        """What was spent so far."""
        with self._reporting():
            used, unknown, requests = (
                self._one(f'SELECT {_sums(columns)} FROM attempts {condition}')
                for columns, condition in (
                    (('used_prompt', 'used_completion'), ''),
                    (('prompt', 'completion'), 'WHERE used_prompt IS NULL'),
                    (('1',), ''),
                )
            )
        return Totals(Usage(*used), Usage(*unknown), requests[0])

    def new_attempt(self) -> int:
        """The number of an attempt that is about to be reserved."""
        self._next += 1
        return self._next - 1

    def commit(
        self,
        reserved: Iterable[tuple[int, Usage]] = (),
        settled: Iterable[tuple[int, Usage]] = (),
        answers: Iterable[Answer] = (),
        model: str = '',
    ) -> None:
        """Writes all of this in one transaction; afterwards no kill of the process takes it back.

        Args:
            reserved: attempts that may be sent now.
            settled: what attempts cost. One whose cost nobody knows is left as it was reserved.
            answers: to keep. One that is there already is replaced.
            model: the name to compare later ones with, if it is the first.
        """
        with self._reporting(), self._writer as connection:
            connection.executemany(
                'INSERT INTO attempts (id, prompt, completion) VALUES (?, ?, ?)',
                [(number, *usage) for number, usage in reserved],
            )
            connection.executemany(
                'UPDATE attempts SET used_prompt = ?, used_completion = ? WHERE id = ?',
                [(*usage, number) for number, usage in settled],
            )
            connection.executemany(
                'INSERT OR REPLACE INTO answers VALUES (?, ?, ?)', map(_row, answers)
            )
            if model and not self.model:
                connection.execute("INSERT INTO facts VALUES ('model', ?)", (model,))
                self.model = model

    def close(self) -> None:
        """Closes the file and lets others have it."""
        self._closing.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, check_same_thread=False)
        self._closing.callback(connection.close)
        connection.execute('PRAGMA journal_mode=WAL')
        # In the log, this loses no commit when the process is killed, and none is synced alone.
        connection.execute('PRAGMA synchronous=NORMAL')
        return connection

    def _prepare(self) -> None:
        found = self._one('PRAGMA application_id') + self._one('PRAGMA user_version')
        if found == (0, 0) and not self._one('SELECT count(*) FROM sqlite_master')[0]:
            self._writer.executescript(
                f'BEGIN; PRAGMA application_id={_APPLICATION}; PRAGMA user_version={_VERSION};'
                f'{_TABLES} COMMIT;'
            )
        elif found != (_APPLICATION, _VERSION):
            raise InputError(
                f'{self._path} is no journal of this version (it says {found}, expected '
                f'{(_APPLICATION, _VERSION)}); choose another directory.'
            )
        else:
            [problem] = self._one('PRAGMA quick_check(1)')
            if problem != 'ok':
                raise sqlite3.DatabaseError(problem)

    def _one(self, query: str) -> tuple[Any, ...]:
        return self._writer.execute(query).fetchall()[0]

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turns what SQLite says of a bad file into an error that a user can act on."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise InputError(f'{self._path} cannot be used: {error}.') from error
        except sqlite3.DatabaseError as error:
            raise InputError(f'{self._path} is damaged: {error}; {_ADVICE}') from error


_ADVICE = (
    'restore it from a copy, or remove the directory to ask, and pay for, everything again. '
    'Nothing was changed.'
)


def _sums(columns: Iterable[str]) -> str:
    return ', '.join(f'coalesce(sum({column}), 0)' for column in columns)


def _row(answer: Answer) -> tuple[bytes, bytes, bytes]:
    key, body = bytes.fromhex(answer.key), answer.dump()
    return key, body, _digest(key, body)


def _digest(key: bytes, body: bytes) -> bytes:
    # SQLite's pages carry no checksum: of a flipped bit in a text it knows nothing.
    return hashlib.blake2b(key + body, digest_size=8).digest()
