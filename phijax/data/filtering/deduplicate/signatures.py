"""Signatures: fixed numbers of values, as many of which agree for two sets as they are similar.

Each of the `k` values of two sets agrees with a probability of exactly their Jaccard similarity.
Elements fall into the `k` places at random and the least hash in a place is its value; elements
fall again, with new hashes, only into places that are still empty. So a set with many elements
hashes each of them once and not `k` times, and a small set has no empty place.

Source: arXiv:1704.04370 (Fast Similarity Sketching), sec. 2. Deviation: what is empty after 16
rounds, there after `k`, has the least of the hashes of all elements, one hash function a place.
"""

from __future__ import annotations

import numpy as np

from phijax.data.filtering.deduplicate.plan import Plan
from phijax.data.filtering.deduplicate.shingles import Hashes, Places, Sets, mix, ranges

# Our choice: after so many rounds, a set with as many elements as a tenth of the places has two in
# ten of them empty.
_ROUNDS = 16
_STEP = np.uint64(0xA54FF53A5F1D36F1)
_HALF = np.uint64(32)
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)


def sign(sets: Sets, num_hashes: int) -> Hashes:
    """The signature of each set, a row each; the row of a set without elements has no meaning."""
    sizes = np.diff(sets.bounds)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    signatures = np.full((len(sizes), num_hashes), _EMPTY)
    flat, values, keys = signatures.reshape(-1), sets.values, _keys(num_hashes)
    places = owners * num_hashes + _place(values, num_hashes)
    # The first round: the hashes are sorted, so the first of each place is the least.
    first = np.flatnonzero(np.diff(places, prepend=-1))
    flat[places[first]] = values[first]
    for number in range(1, _ROUNDS):
        unfinished = (signatures == _EMPTY).any(axis=1)[owners]
        values, owners = values[unfinished], owners[unfinished]
        if not values.size:
            return signatures
        hashes = mix(values + keys[number])
        places = owners * num_hashes + _place(hashes, num_hashes)
        free = flat[places] == _EMPTY
        np.minimum.at(flat, places[free], hashes[free])
    _fill(flat, sets, num_hashes)
    return signatures


def fold(signatures: Hashes, plan: Plan) -> Hashes:
    """One hash for each band of each signature, a row for each band."""
    bands = signatures.reshape(len(signatures), plan.bands, plan.rows)
    folded = np.broadcast_to(np.arange(plan.bands, dtype=np.uint64), bands.shape[:2])
    for row in range(plan.rows):
        folded = mix(folded * _STEP ^ bands[:, :, row])
    return np.ascontiguousarray(folded.T)


def _keys(num_hashes: int) -> Hashes:
    """What makes a hash function of each round, and then of each place."""
    return np.arange(_ROUNDS + num_hashes, dtype=np.uint64) * _STEP


def _place(hashes: Hashes, num_hashes: int) -> Places:
    """The place of each hash, which its upper half says; a greater hash has no lesser place."""
    return ((hashes >> _HALF) * np.uint64(num_hashes) >> _HALF).astype(np.int64)


def _fill(flat: Hashes, sets: Sets, num_hashes: int) -> None:
    """Puts the least of a hash function of its own into each empty place of the signatures."""
    sizes = np.diff(sets.bounds)
    empty = np.flatnonzero(flat == _EMPTY)
    empty = empty[sizes[empty // num_hashes] > 0]
    if empty.size:
        owners, functions = np.divmod(empty, num_hashes)
        counts = sizes[owners]
        elements = sets.values[ranges(sets.bounds[owners], counts)]
        hashes = mix(elements + np.repeat(_keys(num_hashes)[_ROUNDS + functions], counts))
        flat[empty] = np.minimum.reduceat(hashes, np.cumsum(counts) - counts)
