"""The search: candidates of all bands are compared at once, and near-duplicates united."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phijax.data.filtering.deduplicate import candidates, report
from phijax.data.filtering.deduplicate.clusters import Clusters, Numbers
from phijax.data.filtering.deduplicate.compare import Comparer
from phijax.data.filtering.deduplicate.plan import Plan
from phijax.data.filtering.deduplicate.shingles import Hashes
from phijax.data.filtering.deduplicate.sketches import Stored

_PAIRS_AT_ONCE = 1 << 13
# Pairs that are remembered, in 0.25 GB; others may be compared once for each band that they share.
_REMEMBERED = 1 << 25


def search(
    stored: Sequence[Stored], order: Numbers, plan: Plan, rows_at_once: int
) -> tuple[Numbers, NDArray[np.float32], report.Tally]:
    """The number of the document that is kept for each number, how similar they are, and counts.

    Args:
        order: the place of each number in the order of the sketches; lesser numbers are kept.
    """
    with contextlib.closing(Comparer(stored)) as comparer:
        state = _Search(comparer, order, plan)
        numbers = np.empty(len(order), np.uint32)
        numbers[order] = np.arange(len(order), dtype=np.uint32)
        numbers[comparer.sizes == 0] = len(order)
        for band in range(plan.bands):
            for pairs in candidates.pairs(stored, band, numbers, rows_at_once):
                state.look(pairs)
            state.remember()
        return *state.finish(), state.tally


class _Search:
    """Compares candidates and unites those that are near-duplicates.

    Attributes:
        tally: what became of the candidates.
    """

    def __init__(self, comparer: Comparer, order: Numbers, plan: Plan) -> None:
        """Nothing has been compared."""
        self._comparer = comparer
        self._order = order
        self._plan = plan
        self._clusters = Clusters(len(order))
        # A better document that each is a near-duplicate of, and how similar it is to that.
        self._better = np.arange(len(order), dtype=np.uint32)
        self._jaccard = np.ones(len(order), np.float32)
        # Pairs that differ too much: in order those of earlier bands, then those of this one.
        self._rejected = np.zeros(1, np.uint64)
        self._recent: list[Hashes] = []
        self.tally = report.Tally(plan)

    def look(self, pairs: candidates.Pairs) -> None:
        """Compares pairs, but for those whose answer is known."""
        for start in range(0, len(pairs.first), _PAIRS_AT_ONCE):
            part = np.stack(pairs)[:, start : start + _PAIRS_AT_ONCE]
            apart = self._clusters.find(part[0]) != self._clusters.find(part[1])
            self.tally.united += int(np.count_nonzero(~apart))
            part = part[:, apart]
            sizes = self._comparer.sizes[self._order[part]]
            hopeful = sizes.min(axis=0) / sizes.max(axis=0) >= self._plan.threshold
            place = np.searchsorted(self._rejected, _keys(part))
            hopeful &= self._rejected.take(place, mode='clip') != _keys(part)
            self.tally.rejected += int(np.count_nonzero(~hopeful))
            self._compare(part[:, hopeful])

    def _compare(self, pairs: Numbers) -> None:
        found = self._comparer.compare(*self._order[pairs])
        self.tally.add(found)
        near = found >= self._plan.threshold
        first, second = pairs[:, near]
        self._better[second] = first
        self._jaccard[second] = found[near]
        self._clusters.unite(first, second)
        self._recent.append(_keys(pairs[:, ~near]))

    def remember(self) -> None:
        """Takes what was rejected to what is known; a band has no pair twice."""
        if len(self._rejected) < _REMEMBERED:
            self._rejected = np.concatenate([self._rejected, *self._recent])[:_REMEMBERED]
            self._rejected.sort()
        self._recent = []

    def finish(self) -> tuple[Numbers, NDArray[np.float32]]:
        """The number of the document that is kept for each one, and how similar they are."""
        numbers = np.arange(len(self._order), dtype=np.uint32)
        kept = self._clusters.find(numbers)
        # Most were compared with the document that is kept.
        rest = np.flatnonzero((kept != numbers) & (kept != self._better))
        rest = rest[np.argsort(kept[rest], kind='stable')]
        for start in range(0, len(rest), _PAIRS_AT_ONCE):
            part = rest[start : start + _PAIRS_AT_ONCE]
            places = self._order[kept[part]], self._order[part]
            self._jaccard[part] = self._comparer.compare(*places)
        return kept, self._jaccard


def _keys(pairs: Numbers) -> Hashes:
    """Each pair as one number; none is 0, as the numbers of a pair differ."""
    first, second = pairs.astype(np.uint64)
    return first << np.uint64(32) | second
