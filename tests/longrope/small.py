"""A search that takes a second, of a model with random parameters."""

import pathlib
from typing import Any

from phijax import models
from tests.train.tiny import MODEL

CONFIG = models.config('phi1_small', **MODEL)
SEARCH = {
    'population': 6,
    'parents': 3,
    'mutations': 2,
    'crossovers': 2,
    'probability': 0.5,
    'rounds': 2,
    'budget': 100,
    'ceiling': 1.25,
    'finalists': 2,
}


def fields(place: pathlib.Path, **changes: Any) -> dict[str, Any]:
    """The config as plain values; a change is `seed=3` or `**{'search.rounds': 1}`."""
    values: dict[str, Any] = {
        'source': str(place),
        'target_length': 64,
        'magnitude': 'none',
        'seed': 0,
        'rows_at_once': 2,
        'texts': {'directory': '', 'search': 3, 'selection': 2, 'report': 5},
        'search': dict(SEARCH),
    }
    for name, value in changes.items():
        group, _, key = name.rpartition('.')
        (values[group] if group else values)[key] = value
    return values
