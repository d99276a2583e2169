"""The accounting of a training session: where its time goes, how fast it is, when it ends."""

import collections
import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence

PHASES = ('compile', 'data', 'step', 'evaluate', 'checkpoint')
"""What a run's time goes to; what falls in none of them is `other`."""

_PAUSES = ('compile', 'evaluate', 'checkpoint')
_RECENT_STEPS = 100
_TRIMMED = 0.05
_EMA_STEPS = 50
_ETA_STEPS = 20


@dataclasses.dataclass
class _Cadence:
    """At which steps of the session a kind of pause came, and what it cost."""

    first: int = 0
    last: int = 0
    count: int = 0
    seconds: float = 0.0

    def add(self, step: int, seconds: float) -> None:
        """Counts a pause; several at one step are one. Those before the first step do not count."""
        if not step:
            return
        self.count += step != self.last
        self.first, self.last = self.first or step, step
        self.seconds += seconds

    def seconds_ahead(self, step: int, remaining: int) -> float:
        """What such pauses will cost in the remaining steps if they come as they did."""
        if not self.count:
            return 0.0
        gaps = self.count - 1
        interval = (self.last - self.first) / gaps if gaps else self.last
        return (step - self.last + remaining) // interval * self.seconds / self.count


class Meter:
    """The accounting of one session of a run: where its time goes and how fast it is.

    A session is one process: after a resume nothing of the sessions before counts in its rates.
    """

    def __init__(
        self,
        *,
        num_steps: int,
        start_step: int,
        tokens_per_step: int,
        flops_per_step: float,
        peak_flops: float | None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Starts the session's clock.

        Args:
            start_step: the updates that the restored state has behind it; 0 in a fresh run.
            tokens_per_step: of all devices and hosts together, as are the FLOPs and the peak.
            peak_flops: operations a second; None if unknown, and then there is no MFU.
        """
        self.num_steps = num_steps
        self.start_step = start_step
        self.clock = clock
        self.steps = 0
        self.loss_ema: float | None = None
        self._tokens_per_step = tokens_per_step
        self._flops_per_step = flops_per_step
        self._peak_flops = peak_flops
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._open: list[str] = []
        self._start = self._turn = clock()
        self._mark: tuple[float, float, float] | None = None
        self._recent: collections.deque[tuple[float, float]] = collections.deque(
            maxlen=_RECENT_STEPS
        )
        self._cadences = {'evaluate': _Cadence(), 'checkpoint': _Cadence()}

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A block whose time counts as `name`; a phase inside another takes its time from it.

        Raises:
            ValueError: the name is not one of `PHASES`.
        """
        if name not in PHASES:
            raise ValueError(f'phase is {name!r}; it can be one of {", ".join(PHASES)}')
        self._charge()
        self._open.append(name)
        before = self._seconds[name]
        if self._mark is None and name in ('data', 'step'):
            self._mark = self._reading()
        try:
            yield
        finally:
            self._charge()
            self._open.pop()
            if name in self._cadences:
                self._cadences[name].add(self.steps, self._seconds[name] - before)

    def update(self, step: int, loss: float) -> None:
        """Counts one finished update. `step` is its number: the first update of a run is 1.

        The smoothed loss looks back over 50 steps, and over fewer while the loss still falls fast.
        """
        before, self._mark = self._mark, self._reading()
        if before is not None:
            elapsed, paused, waited = (b - a for a, b in zip(before, self._mark, strict=True))
            self._recent.append((elapsed - paused, waited))
        self.steps += 1
        self.loss_ema = _smooth(self.loss_ema, loss, min(1 + step / 10, _EMA_STEPS))

    def timing(self) -> dict[str, float | None]:
        """The numbers that belong to this machine and moment; None for those not known yet.

        `seconds` and `tokens` are this session's. `tokens_per_second`, `mfu` and `data_share`
        (of the time, waiting for data) are over the last 100 steps, without the pauses to
        compile, evaluate and save.
        """
        stepping = sum(elapsed for elapsed, _ in self._recent)
        rate = len(self._recent) / stepping if stepping else None
        flops = rate and rate * self._flops_per_step
        return {
            'seconds': self.clock() - self._start,
            'tokens': self.steps * self._tokens_per_step,
            'tokens_per_second': rate and rate * self._tokens_per_step,
            'mfu': flops / self._peak_flops if flops and self._peak_flops else None,
            'data_share': sum(w for _, w in self._recent) / stepping if stepping else None,
            'eta_seconds': self.eta_seconds(),
        }

    def eta_seconds(self) -> float | None:
        """The time to go, or None in the first 20 steps.

        It is the remaining steps times the trimmed mean of the recent ones, which have no pauses
        in them, and the pauses to evaluate and save that are still to come.
        """
        if self.steps < _ETA_STEPS or not self._recent:
            return None
        remaining = max(0, self.num_steps - self.start_step - self.steps)
        stepping = remaining * _trimmed_mean([elapsed for elapsed, _ in self._recent])
        cadences = self._cadences.values()
        return stepping + sum(c.seconds_ahead(self.steps, remaining) for c in cadences)

    def goodput(self) -> dict[str, float]:
        """The seconds of the session by phase; with `other` they add up to its wall time."""
        self._charge()
        other = self._turn - self._start - sum(self._seconds.values())
        return self._seconds | {'other': max(0.0, other)}

    def summary(self) -> dict[str, float | None]:
        """The session's totals; its rate with and without the pauses, and its last MFU."""
        timing = self.timing()
        tokens, seconds = self.steps * self._tokens_per_step, self.clock() - self._start
        training = seconds - sum(self._seconds[name] for name in _PAUSES)
        return {
            'seconds': seconds,
            'tokens': tokens,
            'tokens_per_second': tokens / seconds if seconds else None,
            'training_tokens_per_second': tokens / training if training else None,
            'mfu': timing['mfu'],
        }

    def _charge(self) -> None:
        """Books the time since the last turn on the innermost open phase."""
        turn, self._turn = self._turn, self.clock()
        if self._open:
            self._seconds[self._open[-1]] += self._turn - turn

    def _reading(self) -> tuple[float, float, float]:
        """Now, the seconds paused and the seconds waited for data, up to now."""
        self._charge()
        paused = sum(self._seconds[name] for name in _PAUSES)
        return self._turn, paused, self._seconds['data']


def _smooth(average: float | None, loss: float, steps: float) -> float | None:
    """The moving average over about `steps` losses; one that is not finite leaves it as it is."""
    if not math.isfinite(loss):
        return average
    return loss if average is None else average + (loss - average) / steps


def _trimmed_mean(numbers: Sequence[float]) -> float:
    """The mean without the twentieth part at either end."""
    cut = int(len(numbers) * _TRIMMED)
    kept = sorted(numbers)[cut : len(numbers) - cut]
    return sum(kept) / len(kept)
