"""The client's front: requests in, answers out, in their order, each paid for once."""

from __future__ import annotations

import collections
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType

from phijax.data.client.engine import Engine, Row, ask_again, is_asked_again
from phijax.data.client.journal import Journal
from phijax.data.client.ledger import Ledger, Spent
from phijax.data.client.request import Answer, Request, combine
from phijax.data.client.settings import Budget, Endpoint
from phijax.data.settings import check

# Rows that wait behind a slow one hold the others up only beyond this many: our choice.
_WINDOW = 256
_WINDOW_A_PLACE = 8
_ROWS_AT_ONCE = 64
_PROGRESS_SECONDS = 1.0


class Client:
    """Asks an endpoint within a budget, and keeps every answer in a directory of its own.

    Use it in `with`, or call `close`. What an earlier run was answered is never asked again.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        budget: Budget,
        directory: Path,
        *,
        retry_permanent: bool = False,
        on_progress: Callable[[Spent], None] | None = None,
    ) -> None:
        """Opens the journal in the directory; nothing is sent.

        Args:
            retry_permanent: whether requests that an endpoint rejected are sent once more.
            on_progress: called about once a second while answers are waited for, and at the end.

        Raises:
            InputError: if the key is not in the environment, the journal is damaged, or another
                process has it.
        """
        endpoint.key()
        self.endpoint = endpoint
        self.budget = budget
        self._journal = Journal(directory)
        self._ledger = Ledger(budget, *self._journal.totals())
        self._retry_permanent = retry_permanent
        self._on_progress = on_progress
        self._replays = 0
        self._reported = time.monotonic()
        self._busy = False

    def __enter__(self) -> Client:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the journal."""
        self.close()

    def close(self) -> None:
        """Closes the journal, so that another process can have it."""
        self._journal.close()

    @property
    def spent(self) -> Spent:
        """What was spent, by this run and those before it."""
        return self._ledger.spent(self._replays)

    def complete(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """The answer to each request, in their order, as soon as those before it are there.

        Requests are taken as there is room for them, in the caller's thread. Equal ones are asked
        once. When it is left early, what is in flight is still waited for and kept.

        Raises:
            BudgetError: when the budget has no room for the next request; all before it is kept.
            UnavailableError: when the endpoint only fails.
            InputError: if the endpoint takes no request, or names another model than before.
        """
        check(not self._busy, 'complete', 'running', 'used by one at a time')
        self._busy = True
        wake = threading.Event()
        engine = Engine(self.endpoint, self._journal, self._ledger, wake.set)
        thread = threading.Thread(target=engine.run, name='phijax-client', daemon=True)
        thread.start()
        try:
            yield from self._answers(iter(requests), engine, wake)
        finally:
            engine.close()
            thread.join()
            self._busy = False
            self._report()
        if engine.error:
            raise engine.error

    def _answers(
        self, requests: Iterator[Request], engine: Engine, wake: threading.Event
    ) -> Iterator[Answer]:
        window: collections.deque[Row] = collections.deque()
        rows: dict[bytes, Row] = {}
        while True:
            self._fill(requests, window, rows, engine)
            if not window:
                return
            self._wait(window[0], engine, wake)
            if window[0].answer is None:
                return
            # Room for many is made before more are taken: the engine is woken for many at once.
            for _ in range(_ROWS_AT_ONCE):
                if window and (answer := window[0].answer):
                    rows.pop(_asked(window.popleft()), None)
                    yield answer

    def _fill(
        self,
        requests: Iterator[Request],
        window: collections.deque[Row],
        rows: dict[bytes, Row],
        engine: Engine,
    ) -> None:
        """Takes requests while there is room for them."""
        places = _WINDOW + _WINDOW_A_PLACE * self.endpoint.max_concurrency
        while len(window) < places:
            taken = list(itertools.islice(requests, _ROWS_AT_ONCE))
            if not taken:
                return
            self._take(taken, window, rows, engine)

    def _wait(self, row: Row, engine: Engine, wake: threading.Event) -> None:
        """Returns when a row has an answer, or will have none."""
        while True:
            wake.clear()
            if row.answer or engine.finished:
                break
            wake.wait(_PROGRESS_SECONDS)
            self._report(_PROGRESS_SECONDS)
        self._report(_PROGRESS_SECONDS)

    def _take(
        self,
        requests: list[Request],
        window: collections.deque[Row],
        rows: dict[bytes, Row],
        engine: Engine,
    ) -> None:
        """Puts requests at the end of the window, and those without an answer to the engine."""
        keys = [request.key(self.endpoint.model) for request in requests]
        kept = self._journal.find(keys)
        new = []
        for request, key in zip(requests, keys, strict=True):
            if key not in rows:
                rows[key] = self._row(request, key, kept.get(key))
                if rows[key].answer is None:
                    new.append(rows[key])
            window.append(rows[key])
        if new:
            engine.add(new)

    def _row(self, request: Request, key: bytes, kept: bytes | None) -> Row:
        """A row as far as the journal knows it."""
        row = Row(request, key)
        answer = self._load(row, kept)
        if answer and is_asked_again(request, answer):
            ask_again(row, answer, self.endpoint.model)
            second = self._load(row, self._journal.find([row.key]).get(row.key))
            answer = combine(answer, second) if second else None
        row.answer = answer
        self._replays += answer is not None
        return row

    def _load(self, row: Row, kept: bytes | None) -> Answer | None:
        """The answer to a row that was kept, unless it is to be asked for once more."""
        answer = Answer.load(row.key, kept, row.request.schema) if kept else None
        if answer and self._retry_permanent and answer.status == 'failed_permanent':
            return None
        return answer

    def _report(self, interval: float = 0.0) -> None:
        """Tells the progress, if the last time was so many seconds ago."""
        now = time.monotonic()
        if self._on_progress and now - self._reported >= interval:
            self._reported = now
            self._on_progress(self.spent)


def _asked(row: Row) -> bytes:
    """The key of the request that a row began as."""
    return bytes.fromhex(row.first.key) if row.first else row.key
