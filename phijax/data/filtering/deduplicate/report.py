"""What a search for near-duplicates found, in values that JSON has."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phijax.data.filtering.deduplicate.clusters import Numbers
from phijax.data.filtering.deduplicate.plan import Plan
from phijax.data.filtering.deduplicate.shingles import Places

_LARGEST = 20
_EXAMPLES = 5
_INTERVALS = 20


class Tally:
    """What became of the candidates, pair by pair; a pair is met once for each band it shares.

    Attributes:
        united: pairs that were known to be of one cluster, so they were not compared.
        rejected: pairs that were known to be too different: they were compared for an earlier band,
            or one of their sets is too small.
        compared: pairs whose similarity was computed.
        confirmed: those of them that are near-duplicates.
    """

    def __init__(self, plan: Plan) -> None:
        """Nothing has been counted."""
        self.plan = plan
        self.united = self.rejected = self.compared = self.confirmed = 0
        self._histogram = np.zeros(_INTERVALS, np.int64)
        self._expected = 0.0

    def add(self, similarities: NDArray[np.float64]) -> None:
        """Counts pairs that were compared."""
        confirmed = similarities[similarities >= self.plan.threshold]
        self.compared += len(similarities)
        self.confirmed += len(confirmed)
        self._histogram += np.histogram(similarities, _INTERVALS, (0, 1))[0]
        # Each pair that is found stands for all that are as similar, found or not.
        self._expected += float((1 / self.plan.recall(confirmed)).sum())

    def describe(self) -> dict[str, Any]:
        """The counts, the histogram of the similarity of compared pairs, and estimates of recall.

        `recall.at_threshold` is of a pair that is just as similar as the threshold;
        `recall.of_pairs` of one that is as similar as those found.
        """
        candidates = self.united + self.rejected + self.compared
        return {
            'pairs': {
                'candidates': candidates,
                'united': self.united,
                'rejected': self.rejected,
                'compared': self.compared,
                'confirmed': self.confirmed,
            },
            'similarity': {
                'bounds': [number / _INTERVALS for number in range(_INTERVALS + 1)],
                'pairs': self._histogram.tolist(),
            },
            'recall': {
                'at_threshold': self.plan.recall(self.plan.threshold),
                'of_pairs': self.confirmed / self._expected if self.confirmed else None,
            },
        }


def make(ids: NDArray[np.bytes_], by_id: Numbers, cluster: Numbers, tally: Tally) -> dict[str, Any]:
    """The report: counts, clusters by size, the largest ones, and what became of the candidates.

    Args:
        by_id: the place of each document among all ids in order.
        cluster: the place of the document that each one's cluster is named by.
    """
    sizes = np.bincount(cluster, minlength=len(cluster)) if len(cluster) else np.zeros(0, int)
    names = np.flatnonzero(sizes > 1)
    by_size, counts = np.unique(sizes[names], return_counts=True)
    largest = names[np.lexsort((by_id[names], -sizes[names]))][:_LARGEST]
    return {
        'plan': dataclasses.asdict(tally.plan),
        'documents': len(ids),
        'kept': int(np.count_nonzero(sizes)),
        'dropped': int((sizes[names] - 1).sum()),
        'clusters': len(names),
        'sizes': dict(zip(map(str, by_size.tolist()), counts.tolist(), strict=True)),
        'largest': [_show(ids, by_id, np.flatnonzero(cluster == name)) for name in largest],
        **tally.describe(),
    }


def _show(ids: NDArray[np.bytes_], by_id: Numbers, members: Places) -> dict[str, Any]:
    """A cluster and the least ids in it."""
    least = members[np.argsort(by_id[members])][:_EXAMPLES]
    examples = [each.decode() for each in ids[least].tolist()]
    return {'cluster': examples[0], 'size': len(members), 'examples': examples}
