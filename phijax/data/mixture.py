"""Batches from several sources by exact weights; the only module that imports grain.

Batch k is a function of the shards, the seed and k alone: a run resumes from one integer, on any
number of hosts. The row's source is chosen by a schedule, not by chance, so that after any number
of rows each source has had its share to within one row.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import grain
import numpy as np

from phijax.data import conversations
from phijax.data.packing import Row, Windows, manifest
from phijax.errors import InputError

LONGEST_PERIOD = 100_000
ENDLESS = 1 << 62
PREFETCH = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)


def stream(
    directory: str | os.PathLike[str],
    weights: Mapping[str, float],
    *,
    length: int,
    batch_size: int,
    seed: int,
    form: str = 'text',
    start: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> grain.DatasetIterator:
    """Batches without end, from batch `start`: `tokens`, `segments`, `positions`.

    Each is int32 of (batch_size // process_count, length + 1), and the rows of the processes,
    one after the other, are the batch that a single process has. Every window of a source comes
    once before any comes again, in an order that is new each time. Batches are made ahead by
    threads; `close()` ends them.

    Args:
        weights: share of the rows by source, of any sum. They are taken exactly, 0.3 as 3/10, when
            the schedule then repeats within 100,000 rows; finer ones to the nearest 1/100,000.

    Raises:
        MissingDataError: if the directory has no manifest.
        InputError: if a weight is unknown, negative or not a number, all are 0, a source with a
            weight has less than one window or not the form, or the batch does not divide by the
            processes.
    """
    _check_rows(batch_size, start, process_index, process_count)
    stated = manifest(directory)['sources']
    shares = _shares(weights, stated)
    rows = _Rows(schedule(list(shares.values())), batch_size, process_index, process_count)
    sources = [
        grain.MapDataset.source(
            _training(directory, name, length, conversations.reader(form, stated[name], name))
        ).shuffle(_seed(seed, name))
        for name in shares
    ]
    mixed = grain.MapDataset.select_from_datasets(sources, rows)
    return iter(mixed.batch(rows.local).slice(slice(start, None)).to_iter_dataset(PREFETCH))


def heldout(
    directory: str | os.PathLike[str],
    source: str,
    *,
    length: int,
    batch_size: int,
    form: str = 'text',
    max_rows: int | None = None,
) -> Iterator[Row]:
    """The held-out windows of a source in order, once; the last batch is padded with segments 0.

    Raises:
        MissingDataError: if the directory has no manifest.
        InputError: if there is no such source, or nothing of it is held out.
    """
    if batch_size < 1:
        raise InputError(f'batch_size is {batch_size}; it must be 1 or more.')
    stated = manifest(directory)['sources']
    read = conversations.reader(form, stated[source], source) if source in stated else Windows
    windows = read(directory, source, 'heldout', length)
    count = len(windows) if max_rows is None else min(max_rows, len(windows))
    return (
        _padded([windows[i] for i in range(first, min(first + batch_size, count))], batch_size)
        for first in range(0, count, batch_size)
    )


def schedule(shares: Sequence[int]) -> np.ndarray:
    """The source of each row of one period of sum(shares) rows.

    Earliest deadline first: the m-th row of a source with weight w may not come before row
    (m - 1) / w and not after row m / w, which keeps every prefix within one row of its share.
    Source: Baruah et al., "Proportionate progress", Algorithmica 15 (1996); Tijdeman, "The chairman
    assignment problem", Discrete Mathematics 32 (1980).
    """
    period = sum(shares)
    order = np.empty(period, np.int32)
    waiting = [(0, source) for source in range(len(shares))]
    ready: list[tuple[int, int]] = []
    given = [0] * len(shares)
    for row in range(period):
        while waiting and waiting[0][0] <= row:
            source = heapq.heappop(waiting)[1]
            heapq.heappush(ready, (-(-(given[source] + 1) * period // shares[source]), source))
        source = heapq.heappop(ready)[1]
        order[row] = source
        given[source] += 1
        heapq.heappush(waiting, (given[source] * period // shares[source], source))
    return order


class _Rows(grain.transforms.DatasetSelectionMap):
    """Which window of which source is the process's row `index`, counted over all batches."""

    def __init__(self, order: np.ndarray, batch_size: int, process_index: int, process_count: int):
        self.local = batch_size // process_count
        self._batch_size = batch_size
        self._first = process_index * self.local
        self._order = order
        self._shares = np.bincount(order)
        self._ranks = np.empty(len(order), np.int32)
        for source, share in enumerate(self._shares):
            self._ranks[order == source] = np.arange(share)

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> tuple[int, int]:
        batch, row = divmod(index, self.local)
        period, place = divmod(batch * self._batch_size + self._first + row, len(self._order))
        source = int(self._order[place])
        return source, period * int(self._shares[source]) + int(self._ranks[place])


def _check_rows(batch_size: int, start: int, process_index: int, process_count: int) -> None:
    if process_count < 1 or not 0 <= process_index < process_count:
        raise InputError(
            f'process_index is {process_index} of process_count {process_count}; it must be 0 to '
            'process_count - 1.'
        )
    if batch_size < 1 or batch_size % process_count:
        raise InputError(
            f'batch_size is {batch_size}; it must be a positive multiple of the {process_count} '
            'processes.'
        )
    if start < 0:
        raise InputError(f'start is {start}; it must be 0 or more.')


def _shares(weights: Mapping[str, float], sources: Mapping[str, object]) -> dict[str, int]:
    """The weights as whole numbers without a common factor; those of 0 are left out."""
    _check_weights(weights, sorted(sources))
    exact = {name: _fraction(weights[name]) for name in sorted(weights) if weights[name]}
    scale = math.lcm(*(share.denominator for share in exact.values()))
    whole = _reduced({name: int(share * scale) for name, share in exact.items()})
    total = sum(whole.values())
    if total <= LONGEST_PERIOD:
        return whole
    parts = {name: round(share * LONGEST_PERIOD / total) for name, share in whole.items()}
    return _reduced({name: max(1, part) for name, part in parts.items()})


def _check_weights(weights: Mapping[str, float], allowed: Sequence[str]) -> None:
    listed = ', '.join(allowed)
    for name, weight in weights.items():
        if name not in allowed:
            raise InputError(f'There is no source {name!r} to weight; there are {listed}.')
        if not 0 <= weight < math.inf:
            raise InputError(f'The weight of {name} is {weight}; it must be 0 or more.')
    if not any(weights.values()):
        raise InputError(f'No source has a weight above 0; give one to any of {listed}.')


def _reduced(whole: dict[str, int]) -> dict[str, int]:
    common = math.gcd(*whole.values())
    return {name: share // common for name, share in whole.items()}


def _fraction(weight: float) -> Fraction:
    # 0.3 is meant as 3/10, and not as the float that is nearest to it.
    nearest = Fraction(weight).limit_denominator(LONGEST_PERIOD)
    return nearest if float(nearest) == float(weight) else Fraction(weight)


def _training(
    directory: str | os.PathLike[str], source: str, length: int, read: type[Windows]
) -> Windows:
    windows = read(directory, source, 'train', length)
    if windows.tokens <= length and not isinstance(windows, conversations.Conversations):
        raise InputError(
            f'{directory}: {source}/train has {windows.tokens} tokens; one window of length '
            f'{length} needs {length + 1}. Shorten the length or add documents.'
        )
    return windows


def _seed(seed: int, source: str) -> int:
    # grain adds the epoch to the seed, so seeds that are neighbours would share their orders.
    return int.from_bytes(hashlib.blake2b(f'{seed}/{source}'.encode(), digest_size=4).digest())


def _padded(rows: Sequence[Row], batch_size: int) -> Row:
    missing = batch_size - len(rows)
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return {
        name: np.pad(value, ((0, missing), *[(0, 0)] * (value.ndim - 1)))
        for name, value in stacked.items()
    }
