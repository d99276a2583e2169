"""The one writer of a training run: each number goes to the terminal, a file and the trackers."""

import math
import pathlib
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TextIO

from phijax.train.metrics import terminal, trackers
from phijax.train.metrics.journal import Journal, Record
from phijax.train.metrics.meter import Meter


class Writer:
    """Writes a run's numbers to the terminal, to metrics.jsonl, and to the trackers there are.

    A record of metrics.jsonl has `kind` (train, evaluate, checkpoint, warn, session) and `step`,
    the updates done; then values, which a resumed run repeats bit for bit; and under `timing`
    whatever belongs to the machine and the moment. A resumed run leaves the records up to
    `meter.start_step` as they are and takes out those after it, which it will write again.
    """

    def __init__(
        self,
        workdir: pathlib.Path | None,
        meter: Meter,
        *,
        every_seconds: float = 10.0,
        every_steps: int = 0,
        stream: TextIO | None = None,
        quiet: bool = False,
        tensorboard: bool = True,
        wandb: Mapping[str, Any] | None = None,
    ) -> None:
        """Opens the files, and takes the smoothed loss and the best evaluation up again.

        Args:
            workdir: where they are; None writes none, for the hosts of a run after the first.
            every_seconds: between two lines of steps on the terminal; 0 shows every step.
            every_steps: steps whose line is shown as well; 0 is none.
            stream: the terminal; the standard output if None.
            tensorboard: whether to write event files, if tensorboardX is installed.
            wandb: arguments of `wandb.init`, to log there as well.

        Raises:
            InputError: wandb is asked for and not installed.
        """
        self.meter = meter
        self.best: tuple[float, int] | None = None
        self._every_seconds, self._every_steps = every_seconds, every_steps
        self._shown_at = -math.inf
        self._last: Record = {'step': meter.start_step}
        self._terminal = terminal.Terminal(None if quiet else stream or sys.stdout, self._unheard)
        self._journal: Journal | None = None
        self._disk_error = False
        self._present: set[tuple[str, int]] = set()
        self._trackers: list[trackers.Tracker] = []
        if workdir is None:
            return
        workdir.mkdir(parents=True, exist_ok=True)
        self._trackers = trackers.start(
            workdir, meter.start_step, tensorboard=tensorboard, wandb=wandb
        )
        self._resume(workdir / 'metrics.jsonl')

    def __enter__(self) -> Self:
        """The writer; the block's end closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it, whatever ended the block."""
        self.close()

    def train(
        self, step: int, values: Mapping[str, float], *, memory: tuple[int, int] | None = None
    ) -> None:
        """Records one update, after `meter.update`; its line is shown when one is due.

        Args:
            step: the updates done, this one too.
            values: loss, learning_rate, grad_norm, skipped (updates so far) and whatever else.
            memory: the bytes in use at the peak on one device, and those it has.
        """
        self._last = {'step': step, **values, 'loss_ema': self.meter.loss_ema}
        timing = self.meter.timing()
        if memory is not None:
            timing |= dict(zip(('memory_bytes', 'memory_limit_bytes'), memory, strict=True))
        if self._due(step):
            num_steps, columns = self.meter.num_steps, self._terminal.columns
            self._show(terminal.step_line(num_steps, self._last, timing, columns=columns))
        self._record('train', {**self._last, 'timing': timing})
        self._track(step, 'train', values)
        self._track(step, 'timing', timing)

    def evaluate(
        self, step: int, values: Mapping[str, float], *, seconds: float | None = None
    ) -> bool:
        """Records one evaluation on held-out text; returns whether its loss is the best so far.

        Args:
            values: loss, bits_per_byte, and of each source `loss/SOURCE`, `bits_per_byte/SOURCE`;
                without held-out text only the benchmarks'.
        """
        improved = 'loss' in values and self._judge(step, values['loss'])
        num_steps = self.meter.num_steps
        self._show(terminal.evaluation_line(step, num_steps, values, self.best, seconds))
        self._record('evaluate', {'step': step, **values, 'timing': {'seconds': seconds}})
        self._track(step, 'heldout', values)
        return improved

    def checkpoint(
        self,
        step: int,
        *,
        num_bytes: int,
        seconds: float,
        blocked_seconds: float | None = None,
        detail: str = '',
    ) -> None:
        """Records that a checkpoint is safe; training stood still for `blocked_seconds` of it."""
        timing = {'num_bytes': num_bytes, 'seconds': seconds, 'blocked_seconds': blocked_seconds}
        self._show(terminal.checkpoint_line(step, self.meter.num_steps, timing, detail))
        self._record('checkpoint', {'step': step, 'timing': timing})

    def warn(self, message: str) -> None:
        """Shows a warning, and records it at the step last trained."""
        step = self._last['step']
        self._show(*terminal.message_lines(f'warn {step:6d}/{self.meter.num_steps}', message))
        self._record('warn', {'step': step, 'message': message})

    def note(self, message: str) -> None:
        """Shows a message, which may have several lines; it is not recorded."""
        self._show(*terminal.message_lines('note', message))

    def sync(self) -> None:
        """Returns when the records are on the disk; call it before a checkpoint is committed."""
        if self._journal is not None:
            self._journal.sync()
            self._check_disk(self._journal)

    def summarise(
        self, *, report: pathlib.Path | None = None, next_commands: Sequence[str] = ()
    ) -> None:
        """Shows and records the session's totals, then where to read on and what to do next."""
        summary, goodput = self.meter.summary(), self.meter.goodput()
        self._show(
            *terminal.summary_lines(self.meter.num_steps, self._last, self.best, summary, goodput),
            *terminal.closing_lines(report, next_commands),
        )
        timing = {**summary, 'goodput': goodput}
        self._record('session', {'step': self._last['step'], 'timing': timing})

    def close(self) -> None:
        """Closes the trackers and the file.

        Raises:
            OSError: there are records that the disk did not take.
        """
        for tracker in self._trackers:
            tracker.close()
        if self._journal is not None:
            self._journal.close()

    def _resume(self, path: pathlib.Path) -> None:
        """Opens metrics.jsonl: keeps what the restored state has seen, and goes on from there."""
        start_step = self.meter.start_step
        self._journal = Journal(
            path, lambda record: 0 < start_step >= record.get('step', start_step + 1)
        )
        kept = self._journal.kept
        self._present = {(record['kind'], record['step']) for record in kept}
        trained = [record for record in kept if record['kind'] == 'train']
        if trained:
            self._last = trained[-1]
            self.meter.loss_ema = trained[-1]['loss_ema']
        for record in kept:
            if record['kind'] == 'evaluate':
                self._judge(record['step'], float(record['loss']))
        if self._journal.unreadable:
            self.warn(f'{path}: took out {self._journal.unreadable} lines that are no records')
        recorded = trained[-1]['step'] if trained else 0
        if recorded < start_step:
            self.warn(f'{path}: steps {recorded + 1} to {start_step} were trained but not recorded')

    def _judge(self, step: int, loss: float) -> bool:
        """Whether the loss is the best so far, which it then is."""
        known = self.best is not None and loss >= self.best[0] and step != self.best[1]
        if known or not math.isfinite(loss):
            return False
        self.best = (loss, step)
        return True

    def _due(self, step: int) -> bool:
        """Whether the line of a step is to be shown: time is up, it is asked for, or the last."""
        now = self.meter.clock()
        asked = bool(self._every_steps) and step % self._every_steps == 0
        due = now - self._shown_at >= self._every_seconds or asked or step == self.meter.num_steps
        if due:
            self._shown_at = now
        return due

    def _show(self, *lines: str) -> None:
        for line in lines:
            self._terminal.write(line)

    def _record(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Appends a record, unless an evaluation or checkpoint is repeated after a resume."""
        repeated = kind != 'warn' and (kind, fields['step']) in self._present
        if self._journal is None or repeated:
            return
        self._journal.append({'kind': kind, **fields})
        self._check_disk(self._journal)

    def _check_disk(self, journal: Journal) -> None:
        """Warns once of a disk that takes no records, until it takes some again."""
        known, self._disk_error = self._disk_error, journal.error is not None
        if self._disk_error and not known:
            self.warn(f'{journal.error}; training goes on, and the records wait in memory')

    def _track(self, step: int, prefix: str, values: Mapping[str, Any]) -> None:
        known = {f'{prefix}/{name}': v for name, v in values.items() if v is not None}
        for tracker in self._trackers:
            tracker.log(step, known)

    def _unheard(self, error: OSError) -> None:
        message = f'the terminal takes no lines ({error}); training goes on'
        self._record('warn', {'step': self._last['step'], 'message': message})
