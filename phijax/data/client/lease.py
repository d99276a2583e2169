"""How many requests may be in flight and when the next may go: learned from what came back.

Time is an argument everywhere: nothing here waits, and a test needs no clock.
"""

from __future__ import annotations

import math

# Source: AIMD of NVIDIA's DataDesigner: the first refusal of a burst takes a quarter of the limit
# away, every 25 answers give one place back.
CUT = 0.75
SUCCESSES_A_STEP = 25
LONGEST_WAIT = 60.0
# What may go at once after a pause: as much as a second allows. Our choice.
BURST_SECONDS = 1.0


class Pace:
    """No more of something than so much a minute; 0 is no limit."""

    def __init__(self, per_minute: int) -> None:
        """Starts with a burst to spend."""
        self._seconds = 60 / per_minute if per_minute else 0.0
        self.opens_at = -math.inf

    def take(self, now: float, amount: float) -> None:
        """Counts what goes now; the next may go when it has been paid off."""
        self.opens_at = max(self.opens_at, now - BURST_SECONDS) + amount * self._seconds


class Lease:
    """The right to send: a limit that adapts, two paces, pauses, and a breaker.

    Attributes:
        limit: requests that may be in flight; a real number, of which the whole part counts.
        in_flight: requests that are.
    """

    def __init__(
        self,
        max_concurrency: int,
        requests_per_minute: int,
        tokens_per_minute: int,
        breaker_seconds: float,
        backoff_seconds: float,
    ) -> None:
        """Starts at the most that is allowed."""
        self.limit = float(max_concurrency)
        self.in_flight = 0
        self._most = float(max_concurrency)
        self._paces = Pace(requests_per_minute), Pace(tokens_per_minute)
        self._breaker_seconds = breaker_seconds
        self._backoff_seconds = backoff_seconds
        self._resumes_at = -math.inf
        self._failing_since = math.inf
        self._cut_at = -math.inf
        self._cuts = 0
        self._failures = 0

    def opens_at(self) -> float:
        """When the next request may go: infinity where one of those in flight must end first."""
        if self.in_flight >= int(self.limit):
            return math.inf
        return max(self._resumes_at, *(pace.opens_at for pace in self._paces))

    def breaks_at(self) -> float:
        """When to give up, if nothing succeeds until then."""
        return self._failing_since + self._breaker_seconds

    def take(self, now: float, tokens: int) -> None:
        """Counts a request that goes now."""
        self.in_flight += 1
        for pace, amount in zip(self._paces, (1, tokens), strict=True):
            pace.take(now, amount)

    def release(self) -> None:
        """Counts a request that came back, whatever it brought."""
        self.in_flight -= 1

    def succeeded(self) -> None:
        """An answer: the limit grows by one in 25 of them."""
        self.limit = min(self._most, self.limit + 1 / SUCCESSES_A_STEP)
        self.alive()

    def alive(self) -> None:
        """The endpoint said something sensible, if not what was wanted."""
        self._failing_since = math.inf
        self._cuts = self._failures = 0

    def limited(self, sent_at: float, now: float, wait: float | None) -> None:
        """A refusal for the rate: pauses for as long as it says, or for longer each time.

        Of the refusals of a burst, which were sent before the limit was cut, one cuts it.
        """
        self._fail(now)
        if sent_at >= self._cut_at:
            self._cut(now)
        # Doubling stops before it could overflow.
        again = self._backoff_seconds * 2 ** min(self._cuts - 1, 20)
        self.pause(now + (wait or min(LONGEST_WAIT, again)))

    def failed(self, sent_at: float, now: float) -> None:
        """No answer: a whole limit of these in a row cuts it, as refusals do."""
        self._fail(now)
        self._failures += 1
        if self._failures > self.limit and sent_at >= self._cut_at:
            self._cut(now)

    def pause(self, until: float) -> None:
        """Nothing goes until then."""
        self._resumes_at = max(self._resumes_at, until)

    def _fail(self, now: float) -> None:
        self._failing_since = min(self._failing_since, now)

    def _cut(self, now: float) -> None:
        self.limit = max(1.0, self.limit * CUT)
        self._cut_at = now
        self._cuts += 1
