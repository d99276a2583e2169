"""Evaluation: benchmarks by likelihood and by written answers, in a sandbox, with intervals.

`run` is a whole evaluation in files; `measure` and `summarise` are one task in memory.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phijax.evaluate.measuring import Model, Settings, first, measure
    from phijax.evaluate.plan import Plan, from_dict
    from phijax.evaluate.running import run
    from phijax.evaluate.summary import summarise

_HOMES = {
    'Model': 'measuring',
    'Plan': 'plan',
    'Settings': 'measuring',
    'first': 'measuring',
    'from_dict': 'plan',
    'measure': 'measuring',
    'run': 'running',
    'summarise': 'summary',
}
__all__ = ['Model', 'Plan', 'Settings', 'first', 'from_dict', 'measure', 'run', 'summarise']


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'phijax.evaluate.{_HOMES[name]}'), name)
