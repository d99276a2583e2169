"""The checkpoints of one run: when they are written, which are kept, which is restored."""

import contextlib
import errno
import functools
import logging
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from jax.experimental import multihost_utils

from phijax.checkpoint import arrays, manifest
from phijax.checkpoint.directory import create
from phijax.checkpoint.errors import CheckpointError, SaveFailed

_log = logging.getLogger('phijax.checkpoint')


def restore_params(
    directory: str | os.PathLike[str],
    abstract_params: Any,
    step: int | None = None,
    warn: Callable[[str], None] = _log.warning,
) -> tuple[Any, dict[str, Any]]:
    """The parameters alone, and the metadata, of a step or of the newest good checkpoint.

    Only their own files are verified and read. Any process may call it, also while the run goes on.

    Raises:
        FileNotFoundError: there is no checkpoint, or none of this step.
        CheckpointError: none is good, they do not match, or the format is newer.
    """
    root, wanted = Path(directory).absolute(), {'params': abstract_params}
    chosen, _ = manifest.choose(root, step, _specs(wanted), {'params'}, warn)
    loaded = arrays.load(_state(root / manifest.name_of(chosen)), wanted)
    return loaded['params'], manifest.read_metadata(root, chosen)


def restore_rest(directory: str | os.PathLike[str], step: int | None = None) -> dict[str, Any]:
    """All but the parameters of a step's state, or of the newest, as nested dicts of NumPy arrays.

    The dicts follow the names in the manifest, such as `opt_state.1.mu.embed.kernel`.

    Raises:
        FileNotFoundError: there is no checkpoint, or none of this step.
        CheckpointError: it is damaged, or the format is newer.
    """
    root = Path(directory).absolute()
    chosen, _ = manifest.choose(root, step, {}, (), _log.warning)
    wanted = _rest(manifest.read(root, chosen)['leaves'])
    manifest.choose(root, chosen, _specs(wanted), {'rest'}, _log.warning)
    return arrays.load(_state(root / manifest.name_of(chosen)), wanted) if wanted else {}


def _rest(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts of arrays that have the shapes of the leaves of `rest` and take no memory."""
    tree: dict[str, Any] = {}
    for name in filter(lambda name: manifest.group_of(name) == 'rest', leaves):
        *parents, last = name.split('.')
        node = functools.reduce(lambda node, part: node.setdefault(part, {}), parents, tree)
        node[last] = np.broadcast_to(np.zeros((), leaves[name]['dtype']), leaves[name]['shape'])
    return tree


def retained(
    metrics: Mapping[int, float | None], keep: int, keep_every: int | None, keep_best: bool
) -> set[int]:
    """Which steps to keep: the newest, multiples of `keep_every`, and that of the lowest metric.

    Args:
        metrics: for each good checkpoint its metric, if it has one.
    """
    scored = {step: x for step, x in metrics.items() if x is not None and math.isfinite(x)}
    best = [min(scored, key=lambda step: (scored[step], -step))] if keep_best and scored else []
    spaced = [step for step in metrics if keep_every and step % keep_every == 0]
    return {*sorted(metrics)[-keep:], *spaced, *best}


class Checkpointer:
    """Keeps the checkpoints of one run, whose workdir is locked.

    Leaving its context waits for the latest save; without that, the end of the process drops it.
    `failure` is the error of the latest save, None if it succeeded. When a run has several
    processes, all of them call the same methods in the same order, on one shared directory.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        keep: int = 3,
        keep_every: int | None = None,
        keep_best: bool = True,
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        """Opens the directory, and clears away what a killed process left unfinished in it.

        Args:
            keep: how many of the newest checkpoints stay.
            keep_every: those of its multiples stay as well.
            keep_best: the one with the lowest `metric` in its metadata stays as well.
            warn: is told, from any thread, of failed saves and of damage.

        Raises:
            CheckpointError: the directory cannot be written.
        """
        if keep < 1 or (keep_every is not None and keep_every < 1):
            raise ValueError(f'keep and keep_every must be at least 1, got {keep} and {keep_every}')
        self.directory = create(directory)
        self.failure: SaveFailed | None = None
        self._keep = keep, keep_every, keep_best
        self._warn = warn
        self._bad: set[int] = set()
        self._latest = -1
        self._writer = arrays.Writer()
        self._thread = ThreadPoolExecutor(1, 'checkpoint')
        self._pending: Future[None] | None = None
        self._sweep()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.close()
        else:
            # The error is the one to raise, and other processes may not get here to agree.
            self._thread.shutdown()

    def steps(self) -> list[int]:
        """The steps of the committed checkpoints, ascending, damaged ones included."""
        return manifest.steps(self.directory)

    def save(self, step: int, state: Any, metadata: Mapping[str, Any]) -> None:
        """Returns once the state is copied off the devices; a thread writes it.

        Waits for the save before, and does nothing if this step is saved. A disk that fails is no
        error here: `warn` and `failure` tell of it, the checkpoints before stay, and the next save
        is another attempt.

        Args:
            state: a pytree of arrays and numbers, whose nodes have named keys.
            metadata: JSON. The lowest `metric` in it is that of the best checkpoint.

        Raises:
            ValueError: the directory has a later step than the one restored or saved last, or the
                state or the metadata cannot be stored.
        """
        leaves = arrays.storable(arrays.named(state))
        body = manifest.describe(step, arrays.specs(leaves), metadata)
        self._settle()
        newest = _shared(max({*self.steps()} - self._bad, default=-1))
        if step == newest == self._latest:
            return
        if newest > self._latest or step <= newest:
            raise ValueError(
                f'cannot save step {step} after step {self._latest}: {self.directory} has a '
                f'checkpoint of step {newest}; remove it or use another workdir'
            )
        try:
            self._sweep()
            self._writer.start(_state(self._unfinished(step)), leaves)
        except OSError as error:
            self._failed(step, error)
        else:
            self._pending = self._thread.submit(self._commit, step, body)

    def wait(self) -> None:
        """Returns when the latest save is on the disk.

        Raises:
            SaveFailed: it could not be written.
        """
        self._settle()
        if self.failure is not None:
            raise self.failure

    def restore(self, abstract_state: Any, step: int | None = None) -> tuple[Any, dict[str, Any]]:
        """The state and the metadata of a step or of the newest good checkpoint.

        `warn` is told of damaged ones after it; they are deleted when the next save is on the disk.

        Args:
            abstract_state: a tree like the saved one, of leaves with shape, dtype and sharding;
                the devices and the mesh may be others than those it was saved from.

        Raises:
            FileNotFoundError: there is no checkpoint, or none of this step.
            CheckpointError: none is good, they do not match, or the format is newer.
        """
        self._settle()
        chosen = self._choose(_specs(abstract_state), step)
        state = arrays.load(_state(self.directory / manifest.name_of(chosen)), abstract_state)
        self._latest = chosen
        return state, manifest.read_metadata(self.directory, chosen)

    def close(self) -> None:
        """Waits for the latest save, and ends the thread.

        Raises:
            SaveFailed: the save could not be written.
        """
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def _unfinished(self, step: int) -> Path:
        return self.directory / f'{manifest.name_of(step)}.unfinished'

    def _choose(self, wanted: Mapping[str, Any], step: int | None) -> int:
        """The step that the first process chooses, for all."""
        chosen = -1
        failure: Exception = CheckpointError(f'{self.directory}: the first process tells why')
        if _is_first():
            try:
                chosen, bad = manifest.choose(
                    self.directory, step, wanted, manifest.GROUPS, self._warn
                )
                self._bad |= bad
            except (CheckpointError, FileNotFoundError) as error:
                failure = error
        chosen = _shared(chosen)
        if chosen < 0:
            raise failure
        return chosen

    def _commit(self, step: int, body: dict[str, Any]) -> None:
        """Makes a checkpoint of the files that are being written; runs in the thread."""
        unfinished, final = self._unfinished(step), self.directory / manifest.name_of(step)
        try:
            self._writer.finish()
            if _is_first():
                manifest.seal(unfinished, body)
                manifest.remove(final)
                unfinished.rename(final)
            self._latest = step
            manifest.flush(self.directory)
        except BaseException as error:
            if _is_first():
                shutil.rmtree(unfinished, ignore_errors=True)
            self._failed(step, error)
            raise
        self.failure = None
        self._bad.discard(step)
        self._prune()

    def _prune(self) -> None:
        """Deletes what is damaged and what the rule does not keep, after a newer one is on disk."""
        if not _is_first():
            return
        metrics = {}
        for step in {*self.steps()} - self._bad:
            with contextlib.suppress(CheckpointError):  # left for a restore to find and tell
                metrics[step] = manifest.read(self.directory, step)['metadata'].get('metric')
        for step in self._bad | (metrics.keys() - retained(metrics, *self._keep)):
            try:
                manifest.remove(self.directory / manifest.name_of(step))
            except OSError as error:
                self._warn(f'the checkpoint of step {step} could not be deleted: {error}')

    def _sweep(self) -> None:
        if _is_first():
            for path in (*self.directory.glob('*.unfinished'), *self.directory.glob('*.deleted')):
                _clear(path)

    def _failed(self, step: int, error: BaseException) -> None:
        newest = max({*self.steps()} - self._bad, default=None)
        there = 'there is none' if newest is None else f'the newest is that of step {newest}'
        self.failure = SaveFailed(
            f'the checkpoint of step {step} could not be written to {self.directory}, '
            f'where {there}: {_reason(error)}'
        )
        self._warn(str(self.failure))

    def _settle(self) -> None:
        """Waits for the thread, and until all processes agree on how the latest save went."""
        if self._pending is not None:
            self._pending.exception()
            self._pending = None
        if _any(self.failure is not None) and self.failure is None:
            self.failure = SaveFailed('another process could not write the latest checkpoint')


def _clear(path: Path) -> None:
    """Deletes a folder; threads of a save that failed may write into it for a moment more."""
    for left in reversed(range(20)):
        try:
            shutil.rmtree(path)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or not left:
                raise
            time.sleep(0.1)
        else:
            return


def _reason(error: BaseException) -> str:
    """What an error says, in short: of tensorstore's long lines, the system's own words."""
    text = (str(error) or repr(error)).splitlines()[0]
    code = re.search(r"os_error_code='(\d+)'", text)
    return os.strerror(int(code[1])) if code else text[:200]


def _state(path: Path) -> Path:
    return path / 'state'


def _specs(tree: Any) -> dict[str, Any]:
    return arrays.specs(arrays.named(tree))


def _is_first() -> bool:
    return jax.process_index() == 0


def _shared(number: int) -> int:
    """The number of the first process, for all."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def _any(flag: bool) -> bool:
    """Whether the flag is set in some process, for all."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.int32(flag))))
