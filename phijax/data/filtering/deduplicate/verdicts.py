"""The join: from sketches of all shards to clusters of near-duplicates, one of each to keep.

Documents are numbered from the best to the worst. A cluster is known by its least number, so it is
known by the document that is kept, and nothing depends on the order of the shards.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phijax.data.filtering.deduplicate import report
from phijax.data.filtering.deduplicate.clusters import Numbers
from phijax.data.filtering.deduplicate.plan import Plan
from phijax.data.filtering.deduplicate.search import search
from phijax.data.filtering.deduplicate.shingles import Places, bounds
from phijax.data.filtering.deduplicate.sketches import Stored
from phijax.errors import InputError

# Hashes of a band that are sorted at once, in 0.5 GB and as much again.
ROWS_AT_ONCE = 1 << 26


class Verdicts(NamedTuple):
    """What becomes of each document, in the order of the sketches.

    Attributes:
        ids: of the documents.
        cluster: the place of the document whose id is the least of the cluster; a document without
            duplicates is a cluster of its own.
        keep: whether it stays; one document of each cluster does.
        jaccard: its similarity to the document of its cluster that is kept. It may be below the
            threshold: a cluster is all that is linked by a chain of near-duplicates.
        bounds: where the documents of each sketch begin, and where the last one ends.
        report: counts, examples and histograms, in plain values.
    """

    ids: NDArray[np.bytes_]
    cluster: Numbers
    keep: NDArray[np.bool_]
    jaccard: NDArray[np.float32]
    bounds: Places
    report: dict[str, Any]

    def shard(self, number: int) -> dict[str, list[Any]]:
        """The columns `id`, `cluster` (an id), `keep` and `jaccard` of one sketch's documents."""
        own = slice(self.bounds[number], self.bounds[number + 1])
        texts = {'id': self.ids[own], 'cluster': self.ids[self.cluster[own]]}
        columns = {name: [each.decode() for each in texts[name].tolist()] for name in texts}
        return columns | {'keep': self.keep[own].tolist(), 'jaccard': self.jaccard[own].tolist()}


def join(
    sketches: Sequence[Path],
    plan: Plan,
    priorities: NDArray[np.floating[Any]] | None = None,
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Verdicts:
    """The verdict on each document of all sketches.

    Kept is the document of a cluster with the highest priority, of these the longest, of these the
    one with the least id. Of documents with the same id and text the first one comes first.

    Args:
        priorities: one for each document in the order of the sketches; all are equal without.
        rows_at_once: hashes in memory; verdicts do not depend on it.

    Raises:
        InputError: a sketch is damaged or of another plan, priorities are not numbers or not one
            for each document, or there are more than 2**32 - 2 documents.
    """
    stored = [Stored(path, plan) for path in sketches]
    count = sum(each.num_documents for each in stored)
    if count > (1 << 32) - 2:
        raise InputError(f'There are {count} documents; at most 2**32 - 2 can be compared.')
    by_id, order = _order(stored, _checked(priorities, count))
    return _verdicts(stored, order, by_id, *search(stored, order, plan, rows_at_once))


def _checked(priorities: NDArray[np.floating[Any]] | None, count: int) -> NDArray[np.floating[Any]]:
    if priorities is None:
        return np.zeros(count, np.float32)
    if len(priorities) != count or np.isnan(priorities).any():
        raise InputError(
            f'There are {len(priorities)} priorities, {int(np.isnan(priorities).sum())} of them '
            f'no numbers; there must be one for each of the {count} documents.'
        )
    return priorities


def _order(
    stored: Sequence[Stored], priorities: NDArray[np.floating[Any]]
) -> tuple[Numbers, Numbers]:
    """The place of each document among all ids in order, and the documents from best to worst."""
    by_id = np.empty(len(priorities), np.uint32)
    by_id[_ids(stored).argsort(kind='stable')] = np.arange(len(priorities), dtype=np.uint32)
    lengths = np.concatenate([np.zeros(0, np.int64), *(each.lengths for each in stored)])
    return by_id, np.lexsort((by_id, -lengths, -priorities)).astype(np.uint32)


def _ids(stored: Sequence[Stored]) -> NDArray[np.bytes_]:
    """The ids of all documents; they are much of the memory, so they are never there twice."""
    ends = _ends(stored)
    ids = np.zeros(ends[-1], f'S{max((each.id_bytes for each in stored), default=1)}')
    for each, (start, end) in zip(stored, itertools.pairwise(ends), strict=True):
        ids[start:end] = each.ids
    return ids


def _ends(stored: Sequence[Stored]) -> Places:
    """Where the documents of each sketch begin among all, and where the last one ends."""
    return bounds(np.array([each.num_documents for each in stored], np.int64))


def _verdicts(
    stored: Sequence[Stored],
    order: Numbers,
    by_id: Numbers,
    kept: Numbers,
    similarity: NDArray[np.float32],
    tally: report.Tally,
) -> Verdicts:
    """The verdicts in the order of the sketches, from those in the order of the numbers."""
    numbers = np.arange(len(order), dtype=np.uint32)
    least = np.full_like(numbers, len(order))
    np.minimum.at(least, kept, by_id[order])
    place_of_id = np.empty_like(numbers)
    place_of_id[by_id] = numbers
    cluster, keep = np.empty_like(numbers), np.empty(len(order), bool)
    jaccard = np.empty(len(order), np.float32)
    cluster[order] = place_of_id[least[kept]]
    keep[order] = kept == numbers
    jaccard[order] = similarity
    ids = _ids(stored)
    made = report.make(ids, by_id, cluster, tally)
    return Verdicts(ids, cluster, keep, jaccard, _ends(stored), made)
