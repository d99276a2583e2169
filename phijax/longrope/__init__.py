"""A longer context for a trained model, by a search of LongRoPE's factors: `run` is all of it."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phijax.longrope.files import run
    from phijax.longrope.plan import Plan, from_dict

_HOMES = {'Plan': 'plan', 'from_dict': 'plan', 'run': 'files'}
__all__ = ['Plan', 'from_dict', 'run']


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'phijax.longrope.{_HOMES[name]}'), name)
