"""The loop that sends requests: one pass after another decides, writes to the journal, and sends.

All decisions are in the passes, which wait for nothing. A pass admits what may go, commits what
came back together with the reservations of what goes, and only then lets both count.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import functools
import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from phijax.data.client import replies, request
from phijax.data.client.journal import Journal
from phijax.data.client.lease import LONGEST_WAIT, Lease
from phijax.data.client.ledger import Ledger
from phijax.data.client.request import Answer, Request, Usage
from phijax.data.client.settings import Endpoint
from phijax.data.client.wire import Wire
from phijax.data.errors import UnavailableError
from phijax.errors import InputError

# A pass waits this long for more to come, or for this much: one commit for all.
_GATHER_SECONDS = 0.005
_ROWS_A_PASS = 64
_FREE = Usage(0, 0)


@dataclass(slots=True, eq=False)
class Row:
    """A request on its way.

    Attributes:
        key: of what is asked now; that of `first` is of what was asked before it.
        answer: once it counts.
        first: the answer that was no use, when it is asked again.
        attempts: that failed or succeeded; a rate limit's refusals are none.
    """

    request: Request
    key: bytes
    answer: Answer | None = None
    first: Answer | None = None
    attempts: int = 0


@dataclass(slots=True)
class _Attempt:
    row: Row
    number: int
    reservation: Usage
    body: bytes
    sent_at: float = 0.0


class Engine:
    """Sends the rows that `add` brings, from a thread of its own, until `close`.

    Attributes:
        error: why it stopped by itself, if it did.
        finished: whether it has stopped; nothing changes afterwards.
    """

    def __init__(
        self, endpoint: Endpoint, journal: Journal, ledger: Ledger, notify: Callable[[], None]
    ) -> None:
        """Prepares everything; `notify` is called when rows were answered, and at the end."""
        self.error: BaseException | None = None
        self.finished = False
        self.lease = Lease(
            endpoint.max_concurrency,
            endpoint.requests_per_minute,
            endpoint.tokens_per_minute,
            endpoint.breaker_seconds,
            endpoint.backoff_seconds,
        )
        self._endpoint = endpoint
        self._journal = journal
        self._ledger = ledger
        self._notify = notify
        self._wire = Wire(endpoint)
        self._model = journal.model
        self._inbox: collections.deque[Row] = collections.deque()
        self._delayed: list[tuple[float, int, Row]] = []
        self._delays = 0
        self._returned: list[tuple[_Attempt, replies.Outcome]] = []
        self._answered: list[tuple[Row, Answer]] = []
        self._settled: list[tuple[int, Usage]] = []
        self._kept: list[Answer] = []
        self._closing = False
        self._out_of_budget = False
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, rows: list[Row]) -> None:
        """Takes rows from another thread."""
        self._inbox.extend(rows)
        self._wake()

    def close(self) -> None:
        """Sends nothing more; what is in flight is waited for and kept. From another thread."""
        self._closing = True
        self._wake()

    def run(self) -> None:
        """Works until `close` or an error; call it in a thread."""
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - the thread that waits raises it
            self.error = self.error or error
        finally:
            self.finished = True
            self._notify()

    def _wake(self) -> None:
        if not self.finished:
            # A loop that closed meanwhile has no one to wake.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._changed.set)

    async def _serve(self) -> None:
        async with self._wire:
            while self._pass():
                await self._pause()

    def _pass(self) -> bool:
        """Whether there is more to do."""
        now = self._loop.time()
        returned, self._returned = self._returned, []
        for attempt, outcome in returned:
            self.lease.release()
            self._receive(attempt, outcome, now)
        admitted = [] if self._is_stopping(now) else self._admit(now)
        self._commit(admitted)
        for attempt in admitted:
            self._start(attempt)
        return bool(self._tasks or self._returned or not (self.error or self._closing))

    def _is_stopping(self, now: float) -> bool:
        """Whether nothing may go; sets the error where that is for the breaker."""
        is_broken = now >= self.lease.breaks_at()
        if is_broken and not self.lease.in_flight:
            self.error = self.error or UnavailableError(
                f'{self._endpoint.url} gave nothing but failures for '
                f'{self._endpoint.breaker_seconds:g} seconds. All answers are kept; the same '
                'command goes on.'
            )
        return bool(self.error or self._closing or is_broken or self._out_of_budget)

    def _admit(self, now: float) -> list[_Attempt]:
        """The attempts that may go now; sets the error where none may ever."""
        admitted: list[_Attempt] = []
        while len(admitted) < _ROWS_A_PASS and self.lease.opens_at() <= now:
            row = self._next(now)
            if row is None:
                break
            attempt = self._attempt(row)
            if not self._ledger.admits(attempt.reservation):
                self._delay(row, now)
                self._out_of_budget = True
                if not self.lease.in_flight:
                    self.error = self._ledger.refusal(attempt.reservation)
                break
            attempt.number = self._journal.new_attempt()
            self.lease.take(now, self._ledger.expected(attempt.reservation))
            self._ledger.reserve(attempt.reservation)
            admitted.append(attempt)
        return admitted

    def _next(self, now: float) -> Row | None:
        """The row whose turn it is: those that came back go before new ones."""
        if self._delayed and self._delayed[0][0] <= now:
            return heapq.heappop(self._delayed)[2]
        return self._inbox.popleft() if self._inbox else None

    def _attempt(self, row: Row) -> _Attempt:
        body = row.request.body(self._endpoint.model, self._endpoint.limit_field)
        prompt = request.most_prompt_tokens(body, len(row.request.messages))
        reservation = self._ledger.reservation(prompt, row.request.max_tokens)
        return _Attempt(row, 0, reservation, body)

    def _start(self, attempt: _Attempt) -> None:
        attempt.sent_at = self._loop.time()
        task = self._loop.create_task(self._ask(attempt))
        self._tasks.add(task)
        task.add_done_callback(self._finish)

    async def _ask(self, attempt: _Attempt) -> None:
        outcome = await self._wire.ask(attempt.body, attempt.row.request.max_tokens)
        self._returned.append((attempt, outcome))

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()):
            self.error = self.error or error

    def _receive(self, attempt: _Attempt, outcome: replies.Outcome, now: float) -> None:
        """Enters what came of an attempt into the books, the lease and its row."""
        usage = self._enter(outcome, attempt, now)
        self._out_of_budget = False
        self._ledger.settle(attempt.reservation, usage)
        if usage is not None:
            self._settled.append((attempt.number, usage))

    @functools.singledispatchmethod
    def _enter(self, outcome: replies.Outcome, attempt: _Attempt, now: float) -> Usage | None:
        """What an outcome cost, after all it means was done; None where nobody knows."""
        raise TypeError(f'{outcome!r} for {attempt!r} at {now}')

    @_enter.register
    def _limited(self, outcome: replies.Limited, attempt: _Attempt, now: float) -> Usage | None:
        self.lease.limited(attempt.sent_at, now, outcome.wait)
        self._delay(attempt.row, now)
        return _FREE

    @_enter.register
    def _rejected(self, outcome: replies.Rejected, attempt: _Attempt, now: float) -> Usage | None:
        self.lease.alive()
        failed = Answer(attempt.row.key.hex(), 'failed_permanent', reason=outcome.reason)
        self._answer(attempt, failed, now)
        return _FREE

    @_enter.register
    def _fatal(self, outcome: replies.Fatal, _attempt: _Attempt, _now: float) -> Usage | None:
        self.error = self.error or outcome.error
        return _FREE

    @_enter.register
    def _completed(self, outcome: replies.Completed, attempt: _Attempt, now: float) -> Usage | None:
        self.lease.succeeded()
        self._model = self._model or outcome.model
        if self._endpoint.pin_model and outcome.model not in ('', self._model):
            self.error = self.error or InputError(
                f'The endpoint names its model {outcome.model!r}, and before it named it '
                f'{self._model!r}: two teachers would be mixed. Set pin_model=False to allow that, '
                'or go on in another directory.'
            )
        else:
            row = attempt.row
            self._answer(attempt, replies.answer(row.request, row.key.hex(), outcome), now)
        return outcome.usage

    @_enter.register
    def _broken(self, outcome: replies.Broken, attempt: _Attempt, now: float) -> Usage | None:
        row, made = attempt.row, attempt.row.attempts + 1
        self.lease.failed(attempt.sent_at, now)
        if outcome.wait is not None:
            self.lease.pause(now + outcome.wait)
        if made >= self._endpoint.max_attempts:
            failed = Answer(row.key.hex(), 'failed_transient', reason=outcome.reason)
            self._answer(attempt, failed, now)
            return None
        row.attempts = made
        longest = min(LONGEST_WAIT, self._endpoint.backoff_seconds * 2 ** min(made - 1, 20))
        # Of the row alone, so that a run can be repeated.
        self._delay(row, now + longest * random.Random(row.key + bytes([made % 256])).random())
        return None

    def _delay(self, row: Row, until: float) -> None:
        self._delays += 1
        heapq.heappush(self._delayed, (until, self._delays, row))

    def _answer(self, attempt: _Attempt, answer: Answer, now: float) -> None:
        """An answer to keep, and what it makes of its row: done, or asked again."""
        row = attempt.row
        answer = dataclasses.replace(
            answer, attempts=row.attempts + 1, seconds=now - attempt.sent_at
        )
        if answer.status != 'failed_transient':
            self._kept.append(answer)
        if row.first is None and is_asked_again(row.request, answer):
            ask_again(row, answer, self._endpoint.model)
            self._delay(row, now)
            return
        whole = answer if row.first is None else request.combine(row.first, answer)
        self._answered.append((row, whole))

    def _commit(self, admitted: list[_Attempt]) -> None:
        """Writes what was decided; then the answers count."""
        reserved = [(attempt.number, attempt.reservation) for attempt in admitted]
        if reserved or self._settled or self._kept:
            self._journal.commit(reserved, self._settled, self._kept, self._model)
        answered, self._answered = self._answered, []
        self._settled, self._kept = [], []
        for row, answer in answered:
            row.answer = answer
        if answered:
            self._notify()

    async def _pause(self) -> None:
        """Waits until there may be something to do, and then a little for more of it."""
        until = self._wakes_at()
        timer = None
        if until is not None:
            timer = self._loop.call_at(until, self._changed.set)
        await self._changed.wait()
        if timer:
            timer.cancel()
        if len(self._returned) < _ROWS_A_PASS:
            await asyncio.sleep(_GATHER_SECONDS)
        self._changed.clear()

    def _wakes_at(self) -> float | None:
        """When to look again although nothing came; None is never."""
        now = self._loop.time()
        if self._is_stopping(now):
            return None
        due = now if self._inbox else self._delayed[0][0] if self._delayed else math.inf
        wakes_at = min(self.lease.breaks_at(), max(due, self.lease.opens_at()))
        return wakes_at if wakes_at < math.inf else None


def is_asked_again(asked: Request, answer: Answer) -> bool:
    """Whether an answer is followed by a second question that says what was wrong."""
    return asked.schema is not None and answer.status == 'invalid'


def ask_again(row: Row, first: Answer, model: str) -> None:
    """Makes a row one of the second question after its first answer."""
    row.request = row.request.corrected(first.text, first.reason)
    row.key, row.first, row.attempts = row.request.key(model), first, 0
