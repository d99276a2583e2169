"""Samples whose labels follow from their features, but for noise."""

import numpy as np

from phijax.data.filtering import forest

SETTINGS = forest.Settings(n_trees=20, min_samples_leaf=2)
WIDTH = 12


def planted(number=600, seed=0, noise=0.1, highest=1):
    """Features, the truth that they decide, and labels that are wrong at a rate of `noise`."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(number, WIDTH)).astype(np.float32)
    signal = features[:, 0] + features[:, 1] - features[:, 2] + 0.3 * features[:, 3] ** 2
    bounds = np.quantile(signal, np.arange(1, highest + 1) / (highest + 1))
    truth = np.digitize(signal, bounds)
    wrong = random.random(number) < noise
    return features, truth, np.where(wrong, random.permutation(truth), truth)
