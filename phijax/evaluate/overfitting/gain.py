"""How much of a score is due to items that stand in the training data."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from phijax.errors import InputError
from phijax.evaluate.overfitting.overlap import Match

THRESHOLDS = tuple(step / 10 for step in range(10))
_RESAMPLES = 2000
_AT_ONCE = 200
_FEWEST = 5


class Point(NamedTuple):
    """The gain at one threshold.

    Attributes:
        threshold: items whose score is above it count as contaminated.
        contaminated: how many these are.
        clean_accuracy: of the others.
        gain: accuracy on all items less that on the clean ones, and its interval.
    """

    threshold: float
    contaminated: int
    clean_accuracy: float
    gain: float
    low: float
    high: float


class Gain(NamedTuple):
    """The gain at every threshold, and where it stands out most.

    Attributes:
        accuracy: on all items.
        curve: thresholds with a few items on both sides; there may be none.
        chosen: the point whose gain is largest in standard deviations of chance.
        p_value: that the largest would be as large if contamination did not matter; it counts
            that the threshold was chosen.
    """

    accuracy: float
    curve: list[Point]
    chosen: Point | None
    p_value: float | None


def performance_gain(matches: Sequence[Match], correct: Sequence[bool]) -> Gain:
    """The estimated performance gain, with the threshold chosen for this model and these items.

    Source: ConTAM, arXiv:2411.03923, sec. 3 (longest match, the gain as accuracy on all less that
    on the clean subset, a threshold for each model and benchmark).
    Deviation: the threshold is that of the largest gain over its spread under shuffled answers,
    and the p-value takes the choice into account.

    Raises:
        InputError: there are not as many answers as items, or none.
    """
    if len(matches) != len(correct) or not len(correct):
        raise InputError(f'{len(matches)} items have {len(correct)} answers')
    right, scores = np.asarray(correct, float), np.array([match.score for match in matches])
    clean = scores[:, None] <= THRESHOLDS
    kept = [i for i, n in enumerate(clean.sum(axis=0)) if _FEWEST <= n <= len(right) - _FEWEST]
    if not kept:
        return Gain(float(right.mean()), [], None, None)
    clean = clean[:, kept].astype(float)
    rng = np.random.default_rng(0)
    gains = _gains(np.ones((1, len(right))), right, clean)[0]
    low, high = np.percentile(_resampled(rng, right, clean), (2.5, 97.5), axis=0)
    curve = [
        Point(
            THRESHOLDS[i],
            int(len(right) - clean[:, at].sum()),
            float(right.mean() - gains[at]),
            *(float(each[at]) for each in (gains, low, high)),
        )
        for at, i in enumerate(kept)
    ]
    best, p_value = _largest(rng, gains, right, clean)
    return Gain(float(right.mean()), curve, curve[best], p_value)


def _largest(
    rng: np.random.Generator, gains: np.ndarray, right: np.ndarray, clean: np.ndarray
) -> tuple[int, float]:
    """Which gain is largest for its spread by chance, and how often chance has as large a one."""
    shuffled = [rng.permutation(right) @ clean / clean.sum(axis=0) for _ in range(_RESAMPLES)]
    chance = right.mean() - np.array(shuffled)
    spread = np.maximum(chance.std(axis=0), 1e-9)
    best = int(np.argmax(gains / spread))
    as_large = (chance / spread).max(axis=1) >= (gains / spread)[best] - 1e-9
    return best, (1 + int(as_large.sum())) / (1 + _RESAMPLES)


def _gains(weights: np.ndarray, right: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The gain of each row of weights of the items at each threshold."""
    counts = np.maximum(weights @ clean, 1e-9)
    everything = weights @ right / weights.sum(axis=1)
    return everything[:, None] - weights @ (right[:, None] * clean) / counts


def _resampled(rng: np.random.Generator, right: np.ndarray, clean: np.ndarray) -> np.ndarray:
    even = np.full(len(right), 1 / len(right))
    parts = [
        _gains(rng.multinomial(len(right), even, size=_AT_ONCE).astype(float), right, clean)
        for _ in range(_RESAMPLES // _AT_ONCE)
    ]
    return np.concatenate(parts)
