"""Engines: where the shards of a stage are made. Their only verb is to map a call over numbers.

What is made does not depend on the engine: a call writes files under the number it is given.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from phijax.data.errors import UnavailableError
from phijax.data.settings import check
from phijax.errors import InputError

NAMES = ('local', 'ray')
POLL_SECONDS = 0.2
Call = Callable[[int], int]


class Engine(Protocol):
    """Makes shards."""

    def map(self, call: Call, indices: Sequence[int], on_device: bool) -> Iterator[int]:
        """The numbers of the shards as they are made, of those that are this process's to make.

        Args:
            on_device: whether the work is for the accelerators of this process.
        """

    def settle(self, name: str, missing: Callable[[], list[int]]) -> None:
        """Returns when no shard is missing, whoever was to make it."""

    def close(self) -> None:
        """Ends what it started."""

    @property
    def rank(self) -> int:
        """Which of the processes of the run this is; 0 when there is one."""


class Local:
    """Processes of this machine, started at the first work; with one worker, this process."""

    rank = 0

    def __init__(self, workers: int = 0):
        """Starts nothing yet; 0 workers are one for each core that this process may use."""
        self.workers = workers or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = None

    def map(self, call: Call, indices: Sequence[int], on_device: bool) -> Iterator[int]:
        """As of `Engine`.

        Raises:
            InputError: if a worker died, which happens when memory runs out.
        """
        if on_device or min(self.workers, len(indices)) <= 1:
            yield from map(call, indices)
            return
        futures = [self._processes().submit(call, index) for index in indices]
        try:
            for future in concurrent.futures.as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise InputError(
                f'A worker process died, perhaps for want of memory, with {self.workers} workers. '
                'Run the same command with fewer (--workers): the shards that are done stay.'
            ) from error
        finally:
            for future in futures:
                future.cancel()

    def settle(self, name: str, missing: Callable[[], list[int]]) -> None:
        """Returns at once: all shards were this engine's own."""

    def close(self) -> None:
        """Ends the processes."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def _processes(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Threads of this process, such as those of a device, must not be in the workers.
            context = multiprocessing.get_context('spawn')
            self._pool = ProcessPoolExecutor(self.workers, context)
        return self._pool


class Ranked:
    """One of `world_size` processes that a scheduler started, with one workdir in common.

    Each makes every `world_size`-th shard, and waits for the others before the next stage.
    """

    def __init__(
        self, rank: int, world_size: int, workers: int = 1, patience_seconds: float = 3600.0
    ):
        """Checks the numbers; it waits `patience_seconds` for a new shard of the others.

        Raises:
            InputError: if the rank is none of this world's.
        """
        check(world_size >= 1, 'world_size', world_size, '1 or more')
        check(0 <= rank < world_size, 'rank', rank, f'from 0 to {world_size - 1}')
        self.rank, self.world_size, self.patience_seconds = rank, world_size, patience_seconds
        self._local = Local(workers)

    def map(self, call: Call, indices: Sequence[int], on_device: bool) -> Iterator[int]:
        """As of `Engine`."""
        mine = [index for index in indices if index % self.world_size == self.rank]
        yield from self._local.map(call, mine, on_device)

    def close(self) -> None:
        """Ends this rank's own processes."""
        self._local.close()

    def settle(self, name: str, missing: Callable[[], list[int]]) -> None:
        """Waits for the others.

        Raises:
            UnavailableError: if none of them made a shard for `patience_seconds`.
        """
        left, since = missing(), time.monotonic()
        while left:
            time.sleep(POLL_SECONDS)
            now = missing()
            if len(now) < len(left):
                since = time.monotonic()
            left = now
            if left and time.monotonic() - since > self.patience_seconds:
                ranks = sorted({index % self.world_size for index in left})
                raise UnavailableError(
                    f'rank {self.rank} waited {self.patience_seconds:.0f} s in vain for shards '
                    f'{left} of {name}, of ranks {ranks}. Start those ranks again, then this one.'
                )


class Ray:
    """A Ray cluster: the one that `RAY_ADDRESS` names, else one of this machine."""

    rank = 0

    def __init__(self, workers: int = 0):
        """Starts nothing yet; `workers` are the cores of a cluster of this machine, 0 is all."""
        self._workers = workers

    def map(self, call: Call, indices: Sequence[int], on_device: bool) -> Iterator[int]:
        """As of `Engine`; work for accelerators asks for one of the cluster's, where it has any.

        Raises:
            InputError: if the package is missing.
        """
        ray = _ray(self._workers)
        gpus = 1 if on_device and ray.cluster_resources().get('GPU') else 0
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_call)
        waiting = [remote.remote(call, index) for index in indices]
        while waiting:
            (ready, *_), waiting = ray.wait(waiting, num_returns=1)
            yield _value(ray, ready)

    def settle(self, name: str, missing: Callable[[], list[int]]) -> None:
        """Returns at once: all shards were this engine's own."""

    def close(self) -> None:
        """Leaves the cluster; one of this machine ends with it."""
        if 'ray' in sys.modules:
            sys.modules['ray'].shutdown()


def _call(call: Call, index: int) -> int:
    return call(index)


def _value(ray: Any, ready: Any) -> int:
    try:
        return int(ray.get(ready))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error


def _ray(workers: int) -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError("The engine ray needs its package: pip install 'phijax[ray]'.") from error
    if not ray.is_initialized():
        # A cluster that runs already has its own cores.
        own = None if os.environ.get('RAY_ADDRESS') else workers or os.cpu_count()
        ray.init(include_dashboard=False, log_to_driver=False, num_cpus=own)
    return ray


def make(name: str, workers: int = 0, rank: int = 0, world_size: int = 1) -> Engine:
    """The engine of a name.

    Args:
        rank, world_size: of this process, where a scheduler started several; then `name` is
            `local`.

    Raises:
        InputError: if there is none of that name, or it is not for several processes.
    """
    check(name in NAMES, 'engine', name, f'one of {", ".join(NAMES)}')
    check(workers >= 0, 'workers', workers, '0 or more')
    if world_size != 1 or rank != 0:
        check(name == 'local', 'engine', name, 'local, where world_size is not 1')
        return Ranked(rank, world_size, workers or 1)
    return Ray(workers) if name == 'ray' else Local(workers)
