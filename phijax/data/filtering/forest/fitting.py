"""Fitting a forest with scikit-learn, and what is known of it afterwards."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xxhash
from jaxtyping import Bool, Float, Int

from phijax.data.errors import QualityError
from phijax.data.filtering.forest import quality
from phijax.data.filtering.forest.model import Forest
from phijax.data.filtering.forest.trees import LEAF, Trees
from phijax.data.settings import check
from phijax.errors import InputError

# The highest label, and the lowest that counts as valuable. Source of the latter for grades:
# arXiv:2406.17557, sec. 4 (educational scores of 0 to 5, kept from 3 on).
LABELS = {'valuable': (1, 1), 'grades': (5, 3)}
# Samples that each side must have, for a figure to say something. Our choice.
_LEAST = 10


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a forest is grown. Our choice: phi-1's report has none of these numbers.

    Attributes:
        labels: `valuable` (0 or 1) or `grades` (0 to 5).
        max_depth: nodes above a leaf; 0 is no limit.
        max_features: the share of the features that each node chooses from; 0 is their square root.
        n_jobs: processor cores; the forest does not depend on it.
        held_out: the share of the samples that `split` keeps from the fit, to measure it.
    """

    labels: str = 'valuable'
    n_trees: int = 200
    max_depth: int = 0
    min_samples_leaf: int = 5
    max_features: float = 0.0
    seed: int = 0
    n_jobs: int = 1
    held_out: float = 0.1

    def __post_init__(self) -> None:
        check(self.labels in LABELS, 'labels', self.labels, f'one of {", ".join(LABELS)}')
        check(self.n_trees > 0, 'n_trees', self.n_trees, 'positive')
        check(self.max_depth >= 0, 'max_depth', self.max_depth, '0 (no limit) or positive')
        least = self.min_samples_leaf
        check(least > 0, 'min_samples_leaf', least, 'positive')
        share = self.max_features
        check(0 <= share <= 1, 'max_features', share, '0 (square root) or a share up to 1')
        check(0 <= self.seed < 1 << 32, 'seed', self.seed, 'in 0..2**32 - 1')
        check(self.n_jobs > 0, 'n_jobs', self.n_jobs, 'positive')
        check(0 <= self.held_out < 1, 'held_out', self.held_out, 'in [0, 1)')


def split(ids: Sequence[str], settings: Settings) -> Bool[np.ndarray, ' n']:
    """Which samples are held out: by a hash of their ids, so that one stays on its side."""
    limit = int(settings.held_out * (1 << 64))
    places = (xxhash.xxh3_64_intdigest(each.encode(), seed=settings.seed) for each in ids)
    return np.array([place < limit for place in places], bool)


def fit(
    features: Float[np.ndarray, 'n w'],
    labels: Int[np.ndarray, ' n'],
    settings: Settings,
    *,
    held_out: Bool[np.ndarray, ' n'] | None = None,
    embedder: str = '',
) -> Forest:
    """A forest grown on the samples that are not held out; its `report` says how good it is.

    Its out-of-bag figures are of samples by the trees that did not see them; `held_out` figures of
    samples that no tree saw. Both are None where they cannot be had.

    Args:
        held_out: as `split` says; by default none.
        embedder: the digest of what made the features.

    Raises:
        InputError: features that are not rows of finite numbers, labels that are none, or other
            numbers of them.
        QualityError: too few samples are valuable, or too few are not.
    """
    features, labels = _features(features), _labels(labels, settings)
    held = np.zeros(len(labels), bool) if held_out is None else np.asarray(held_out, bool)
    if not len(features) == len(labels) == len(held):
        raise InputError(
            f'there are {len(features)} rows of features, {len(labels)} labels and {len(held)} '
            'marks of held-out samples; there must be as many of each'
        )
    positive = LABELS[settings.labels][1]
    _check_enough(labels[~held], positive)
    model = _grow(features[~held], labels[~held], settings)
    classes = tuple(map(int, model.classes_))
    forest = Forest(_trees(model), classes, positive, features.shape[1], embedder, {})
    measured = {
        'out_of_bag': _out_of_bag(forest, labels[~held], model.oob_decision_function_),
        'held_out': _held_out(forest, labels[held], features[held]),
        'importances': quality.summarise(model.feature_importances_),
    }
    about = {
        'settings': dataclasses.asdict(settings),
        'samples': int((~held).sum()),
        'labels': _counted(labels[~held]),
    }
    return dataclasses.replace(forest, report=about | measured)


def _grow(features: np.ndarray, labels: np.ndarray, settings: Settings) -> Any:
    """The forest of scikit-learn."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(
        settings.n_trees,
        max_depth=settings.max_depth or None,
        min_samples_leaf=settings.min_samples_leaf,
        max_features=settings.max_features or 'sqrt',
        random_state=settings.seed,
        n_jobs=settings.n_jobs,
        oob_score=True,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Some inputs do not have OOB scores')
        return model.fit(features, labels)


def _features(features: Any) -> np.ndarray:
    array = np.asarray(features, np.float32)
    if array.ndim != 2 or not array.shape[1]:
        raise InputError(f'features must be rows of numbers, got the shape {array.shape}')
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        raise InputError(
            f'features must be finite numbers, got NaN or infinity in {len(wrong)} of '
            f'{len(array)} rows, the first of them {wrong[0]}'
        )
    return array


def _labels(labels: Any, settings: Settings) -> np.ndarray:
    array, (highest, _) = np.asarray(labels), LABELS[settings.labels]
    wrong = array[~np.isin(array, np.arange(highest + 1))]
    if array.ndim != 1 or len(wrong):
        got = f'{wrong[0]!r}' if len(wrong) else f'the shape {array.shape}'
        raise InputError(
            f'labels of kind {settings.labels!r} must be whole numbers 0..{highest}, got {got}'
        )
    return array.astype(np.int64)


def _check_enough(labels: np.ndarray, positive: int) -> None:
    valuable = int((labels >= positive).sum())
    rest = len(labels) - valuable
    if min(valuable, rest) < _LEAST:
        counts = ', '.join(f'{label}: {number}' for label, number in _counted(labels).items())
        raise QualityError(
            f'a forest needs {_LEAST} samples of each side; of {len(labels)} that are not held '
            f'out, {valuable} are valuable (label {positive} or more) and {rest} are not '
            f'(samples by label: {counts or "none"})'
        )


def _counted(labels: np.ndarray) -> dict[str, int]:
    found, numbers = np.unique(labels, return_counts=True)
    return {str(label): int(number) for label, number in zip(found, numbers, strict=True)}


def _trees(model: Any) -> Trees:
    """The arrays of scikit-learn's trees, all in a row."""
    grown = [estimator.tree_ for estimator in model.estimators_]
    start = np.cumsum([0, *(tree.node_count for tree in grown)])
    leaf = np.concatenate([tree.children_left < 0 for tree in grown])
    shifted = [tree.children_right + begin for tree, begin in zip(grown, start, strict=False)]
    exact = np.where(leaf, 0, np.concatenate([tree.threshold for tree in grown]))
    shares = np.concatenate([tree.value[:, 0] for tree in grown])
    asked = np.concatenate([tree.feature for tree in grown])
    return Trees(
        feature=np.where(leaf, LEAF, asked).astype(np.int32),
        threshold=_floored(exact),
        right=np.where(leaf, LEAF, np.concatenate(shifted)).astype(np.int32),
        value=np.where(leaf[:, None], shares, 0.0),
        start=start.astype(np.int64),
    )


def _floored(exact: np.ndarray) -> np.ndarray:
    """The largest float32 not above each number: `x <= it` as `x <= number` for all float32 x."""
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)


def _out_of_bag(forest: Forest, labels: np.ndarray, shares: np.ndarray) -> Any:
    voted = shares.sum(axis=1) > 0  # the others were in every tree's sample
    return quality.measure(labels[voted] >= forest.positive, forest.valuable(shares[voted]))


def _held_out(forest: Forest, labels: np.ndarray, features: np.ndarray) -> Any:
    probability = forest.valuable(forest.predict_proba(features))
    return quality.measure(labels >= forest.positive, probability)
