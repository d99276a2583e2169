"""A run between its first step and its last: the state, and everything that acts on it."""

import contextlib
import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import jax
import numpy as np

from phijax import checkpoint, partitioning
from phijax.data import mixture, packing
from phijax.train import door, evaluation, metrics, step
from phijax.train.losses import Batch
from phijax.train.recipe import Recipe, to_dict
from phijax.train.step import Program, State
from phijax.train.stop import Stop

T = TypeVar('T')

PROFILED_STEPS = range(10, 15)


class Diverged(Exception):
    """Too many updates in a row had non-finite gradients."""


@dataclasses.dataclass
class Run:
    """One run in one process. Its public methods are the acts of training, in their order.

    Attributes:
        step: updates made so far, over all sessions.
    """

    recipe: Recipe
    directory: pathlib.Path
    program: Program
    checkpointer: checkpoint.Checkpointer
    meter: metrics.Meter
    writer: metrics.Writer
    stop: Stop
    state: State
    step: int
    _pending: tuple[int, Mapping[str, jax.Array]] | None = None
    _heldout: tuple[int, dict[str, float]] | None = None
    _saved: int | None = None
    _saving: tuple[int, float, float] | None = None

    def compile(self) -> None:
        """Compiles the update for this run's shapes."""
        with self.meter.phase('compile'):
            lowered = self.program.update.lower(*step.abstract_update(self.recipe))
            update = self._compiled(lowered.compile)
        self.program = self.program._replace(update=update)

    def steps(self, profile_to: pathlib.Path | None = None) -> None:
        """Updates the state up to the run's last step, or until a signal."""
        if self._owes_evaluation():
            self.evaluate()
        batches = self._batches()
        first = self.step
        while self.step < self.recipe.num_steps and not self._told_to_stop():
            _profile(profile_to, self.step - first)
            with self.meter.phase('data'), self._interruptible():
                batch = next(batches)
            with self.meter.phase('step'):
                self.state, values = self.program.update(self.state, self._place(batch))
                self._settle()
            self.step += 1
            self._pending = (self.step, values)
            self._evaluate_and_save()
            self._report_saved()
        self._settle()

    def evaluate(self) -> dict[str, float]:
        """Held-out losses at this step, computed once."""
        if self._heldout is not None and self._heldout[0] == self.step:
            return self._heldout[1]
        self._settle()
        began = time.perf_counter()
        with self.meter.phase('evaluate'):
            values = evaluation.heldout(
                self.recipe,
                self.directory,
                step.weights(self.state),
                self._evaluate,
                self._place,
                self._rows_at_once,
                self._raise_if_stopped,
            )
            if self.recipe.benchmarks.are_due(self.step, self.recipe.num_steps):
                values |= evaluation.benchmarks(
                    self.recipe,
                    self.directory,
                    self.state.params,
                    self.program.layout.mesh,
                    self._raise_if_stopped,
                )
        self._heldout = (self.step, values)
        if values:
            self.writer.evaluate(self.step, values, seconds=time.perf_counter() - began)
        return values

    def save(self) -> None:
        """Starts to save the state, unless this step is saved already.

        A save that fails is told, leaves the earlier checkpoints and does not end the run.
        """
        if self._saved == self.step:
            return
        self._settle()
        self.writer.sync()
        began = time.perf_counter()
        with self.meter.phase('checkpoint'):
            self.checkpointer.save(self.step, self.state, self._metadata())
        self._saved = self.step
        self._saving = (self.step, began, time.perf_counter() - began)

    def wait(self) -> bool:
        """Whether the last save is safe on the disk, once that is known."""
        with self.meter.phase('checkpoint'):
            try:
                self.checkpointer.wait()
            except checkpoint.SaveFailed:  # told by the checkpointer, and again when it is closed
                return False
        self._report_saved()
        return True

    @property
    def _rows_at_once(self) -> int:
        parts = self.recipe.num_microbatches(tuple(self.program.layout.mesh.shape.values()))
        return self.recipe.batch_size // parts

    @functools.cached_property
    def _evaluate(self) -> evaluation.Evaluate:
        batch = step.abstract_batch(self.recipe, self._rows_at_once)
        weights = step.weights(step.abstract_state(self.recipe))
        with self.meter.phase('compile'):
            return self._compiled(self.program.evaluate.lower(weights, batch).compile)

    def _batches(self) -> Iterator[dict[str, np.ndarray]]:
        manifest = packing.manifest(self.directory)
        stream = mixture.stream(
            self.directory,
            door.weights(self.recipe, manifest),
            length=self.recipe.data.length,
            batch_size=self.recipe.batch_size,
            seed=self.recipe.seed,
            form=self.recipe.objective.form,
            start=self.step,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        for batch in stream:
            flags = np.full(len(batch['tokens']), self.stop.requested, np.int32)
            yield batch | {'stop': flags}

    def _place(self, batch: dict[str, np.ndarray]) -> Batch:
        sharding = partitioning.rows(self.program.layout.mesh)
        return {
            name: jax.make_array_from_process_local_data(sharding, value)
            for name, value in batch.items()
        }

    def _settle(self) -> None:
        """Reads and writes the metrics of the step before: a step never waits for its own."""
        if self._pending is None:
            return
        number, arrays = self._pending
        self._pending = None
        values = {name: float(value) for name, value in arrays.items()}
        if values.pop('stop'):
            self.stop.agree()
        in_a_row = values.pop('skipped_in_a_row')
        self.meter.update(number, values['loss'])
        self.writer.train(number, values, memory=_memory())
        if in_a_row >= self.recipe.max_skips:
            raise Diverged(
                f'{in_a_row:.0f} updates in a row had non-finite gradients, the last at step '
                f'{number}; max_skips is {self.recipe.max_skips}. The last good checkpoint is '
                f'step {max(self.checkpointer.steps(), default=0)}. A lower optimizer.peak_rate '
                'or a longer warmup usually helps.'
            )

    def _evaluate_and_save(self) -> None:
        if self._evaluation_is_due():
            self.evaluate()
        last = self.step == self.recipe.num_steps
        if last or self.step % self.recipe.checkpoints.every == 0:
            self.save()

    def _evaluation_is_due(self) -> bool:
        every = self.recipe.evaluate_every
        return self.step == self.recipe.num_steps or bool(every and self.step % every == 0)

    def _owes_evaluation(self) -> bool:
        """Whether a signal came before the evaluation of the step that this run goes on from."""
        if self.step == 0 or not self._evaluation_is_due():
            return False
        return checkpoint.read_metadata(self.checkpointer.directory, self.step)['metric'] is None

    def _report_saved(self) -> None:
        """Says so once the last save is safe."""
        if self._saving is None or self._saving[0] not in self.checkpointer.steps():
            return
        number, began, blocked = self._saving
        self._saving = None
        self.writer.checkpoint(
            number,
            num_bytes=checkpoint.num_bytes(self.checkpointer.directory, number),
            seconds=time.perf_counter() - began,
            blocked_seconds=blocked,
        )

    def _metadata(self) -> dict[str, Any]:
        heldout = self._heldout[1] if self._heldout and self._heldout[0] == self.step else {}
        return {
            'config': to_dict(self.recipe),
            'data': packing.manifest(self.directory)['digest'],
            'metric': heldout.get('loss'),
        }

    def _compiled(self, function: Callable[[], T]) -> T:
        return function() if jax.process_count() > 1 else self.stop.wait_for(function)

    def _interruptible(self) -> Any:
        """One process of several must not leave alone: it tells the others with its next batch."""
        alone = jax.process_count() == 1
        return self.stop.interruptible() if alone else contextlib.nullcontext()

    def _raise_if_stopped(self) -> None:
        with self._interruptible():
            pass

    def _told_to_stop(self) -> bool:
        return self.stop.agreed if jax.process_count() > 1 else self.stop.requested


def _memory() -> tuple[int, int] | None:
    stats = jax.local_devices()[0].memory_stats()
    return (stats['peak_bytes_in_use'], stats['bytes_limit']) if stats else None


def _profile(directory: pathlib.Path | None, done: int) -> None:
    """Traces a few steps after the first ones."""
    if directory is None:
        return
    if done == PROFILED_STEPS.start:
        jax.profiler.start_trace(directory)
    if done == PROFILED_STEPS.stop:
        jax.profiler.stop_trace()
