"""How good probabilities are, on rows whose labels are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

_BINS = 10
_TOP = 10


def measure(valuable: Bool[np.ndarray, ' n'], probability: Float[np.ndarray, ' n']) -> Any:
    """Samples, ranking, calibration, as plain values; None where all samples are on one side.

    `auc` is of the ROC curve; `brier` the mean squared error of the probability; `calibration` has
    the samples of each of ten equal parts of 0..1, their mean probability, and the share of them
    that is valuable; `calibration_error` is the mean distance of the two, weighted by samples.
    """
    from sklearn import metrics

    if valuable.all() or not valuable.any():
        return None
    table = _calibration(valuable, probability)
    distance = sum(row['samples'] * abs(row['predicted'] - row['observed']) for row in table)
    return {
        'samples': len(valuable),
        'valuable': int(valuable.sum()),
        'auc': float(metrics.roc_auc_score(valuable, probability)),
        'average_precision': float(metrics.average_precision_score(valuable, probability)),
        'brier': float(np.square(probability - valuable).mean()),
        'calibration_error': distance / len(valuable),
        'calibration': table,
    }


def _calibration(valuable: np.ndarray, probability: np.ndarray) -> list[dict[str, float]]:
    """The bins that have samples."""
    place = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    samples = np.bincount(place, minlength=_BINS)
    predicted = np.bincount(place, probability, minlength=_BINS)
    observed = np.bincount(place, valuable, minlength=_BINS)
    return [
        {
            'from': int(part) / _BINS,
            'samples': int(samples[part]),
            'predicted': float(predicted[part] / samples[part]),
            'observed': float(observed[part] / samples[part]),
        }
        for part in np.flatnonzero(samples)
    ]


def summarise(importances: Float[np.ndarray, ' w']) -> dict[str, Any]:
    """The features that lower impurity most, each with its share of the whole."""
    order = np.argsort(-importances, kind='stable')[:_TOP]
    return {
        'used': int((importances > 0).sum()),
        'share_of_the_first': float(importances[order].sum()),
        'first': [{'feature': int(i), 'share': float(importances[i])} for i in order],
    }
