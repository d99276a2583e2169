"""The way down the trees: scikit-learn's leaves and probabilities, bit for bit."""

import dataclasses

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from phijax.data.filtering import forest
from phijax.data.filtering.forest import trees
from phijax.errors import InputError
from tests.data.filtering.forest.planted import SETTINGS, planted


def _reference(features, labels, settings=SETTINGS):
    """What scikit-learn makes of the same settings."""
    model = RandomForestClassifier(
        settings.n_trees,
        max_depth=settings.max_depth or None,
        min_samples_leaf=settings.min_samples_leaf,
        max_features=settings.max_features or 'sqrt',
        random_state=settings.seed,
    )
    return model.fit(features, labels)


@pytest.mark.parametrize(
    ('highest', 'others'),
    [
        (1, {}),
        (1, {'max_depth': 3, 'max_features': 0.5, 'seed': 7}),
        (1, {'n_trees': 1, 'min_samples_leaf': 300}),
        (5, {'labels': 'grades'}),
        (5, {'labels': 'grades', 'n_trees': 40, 'min_samples_leaf': 1}),
    ],
)
def test_probabilities_are_those_of_scikit_learn(highest, others):
    settings = dataclasses.replace(SETTINGS, **others)
    features, _, labels = planted(highest=highest)
    ours, model = forest.fit(features, labels, settings), _reference(features, labels, settings)
    # More rows than are walked at once, and a last block that is not full.
    asked = np.concatenate([features, planted(700, seed=1)[0]])
    assert np.array_equal(ours.leaves(asked), model.apply(asked))
    theirs = model.predict_proba(asked)
    assert np.abs(ours.predict_proba(asked) - theirs).max() == 0.0
    assert np.array_equal(ours.score(asked), theirs @ model.classes_.astype(float))
    assert ours.predict_proba(asked[:0]).shape == (0, highest + 1)
    assert ours.leaves(asked[:0]).shape == (0, settings.n_trees)


def _on_thresholds(model, features):
    """Rows with a feature exactly on a threshold, and on either side of it."""
    rows = []
    for tree in (estimator.tree_ for estimator in model.estimators_[:5]):
        for node in np.flatnonzero(tree.children_left >= 0):
            near = np.float32(tree.threshold[node])
            below, above = (np.nextafter(near, np.float32(x)) for x in (-np.inf, np.inf))
            for value in (near, below, above):
                row = features[node % len(features)].copy()
                row[tree.feature[node]] = value
                rows.append(row)
    return np.array(rows)


def test_inputs_on_thresholds(fitted):
    ours, features, labels = fitted
    model = _reference(features, labels)
    floored = np.concatenate([estimator.tree_.threshold for estimator in model.estimators_])
    assert (floored.astype(np.float32) > floored).any()  # some are rounded down
    asked = _on_thresholds(model, features)
    assert np.array_equal(ours.leaves(asked), model.apply(asked))
    assert np.abs(ours.predict_proba(asked) - model.predict_proba(asked)).max() == 0.0


def test_tiny_numbers_and_both_zeros():
    """Numbers that a device may take for zero are told apart as numpy tells them."""
    tiny = np.float32([-1, -1e-39, -3e-45, -1e-45, -0.0, 0.0, 1e-45, 3e-45, 1e-39, 1])
    asked = tiny[:, None]
    for threshold in tiny:
        stump = trees.Trees(
            feature=np.array([0, -1, -1], np.int32),
            threshold=np.array([threshold, 0, 0], np.float32),
            right=np.array([2, -1, -1], np.int32),
            value=np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
            start=np.array([0, 3], np.int64),
        )
        [leaves] = trees.Walker(stump)(asked)
        assert leaves[0].tolist() == np.where(asked[:, 0] <= threshold, 1, 2).tolist()


def test_features_that_cannot_be_scored(fitted):
    ours, features, _ = fitted
    with pytest.raises(InputError, match=r'rows of 12 numbers, got the shape \(600, 11\)'):
        ours.score(features[:, 1:])
    for value in (np.nan, np.inf, -np.inf):
        bad = features.copy()
        bad[599, 11] = value
        with pytest.raises(InputError, match='finite numbers, got NaN or infinity'):
            ours.score(bad)


def test_depths():
    shares = np.array([[0, 0], [0, 0], [1, 0], [0, 1], [0.5, 0.5], [1, 0]])
    made = trees.Trees(
        feature=np.array([0, 1, -1, -1, -1, -1], np.int32),
        threshold=np.array([1, 2, 0, 0, 0, 0], np.float32),
        right=np.array([4, 3, -1, -1, -1, -1], np.int32),
        value=shares.astype(np.float64),
        start=np.array([0, 5, 6], np.int64),
    )
    trees.check(made, 2, 2)
    assert trees.depths(made).tolist() == [2, 0]
    [leaves] = trees.Walker(made)(np.array([[0, 0], [0, 3], [2, 0]], np.float32))
    assert leaves[trees.Walker(made).places].tolist() == [[2, 3, 4], [5, 5, 5]]
