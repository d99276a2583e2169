"""Overfitting and contamination: whether a score is due to what the model has seen of the test.

`run` is a whole report in files. The detectors: `membership` (likelihoods of items and of their
twins), `order` (the published order), `overlap` and `gain` (n-grams of the training tokens, and
what they are worth), `canaries` (planted strings).
"""

import importlib
from typing import TYPE_CHECKING, Any

from phijax.evaluate.overfitting.plan import Plan, from_dict

if TYPE_CHECKING:
    from phijax.evaluate.overfitting.canaries import write
    from phijax.evaluate.overfitting.measuring import measure
    from phijax.evaluate.overfitting.report import run

_HOMES = {'measure': 'measuring', 'run': 'report', 'write': 'canaries'}
__all__ = ['Plan', 'from_dict', 'measure', 'run', 'write']


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    home = importlib.import_module(f'phijax.evaluate.overfitting.{_HOMES[name]}')
    return getattr(home, name)
