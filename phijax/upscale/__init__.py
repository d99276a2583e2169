"""Growth of a trained model into a larger one: `depth`, `width`, and `run` for files."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phijax.upscale.depth import deepen, layer_map
    from phijax.upscale.files import run
    from phijax.upscale.plan import Plan, from_dict, grow, grow_moments
    from phijax.upscale.width import Rule, widen

_HOMES = {
    'Plan': 'plan',
    'Rule': 'width',
    'deepen': 'depth',
    'from_dict': 'plan',
    'grow': 'plan',
    'grow_moments': 'plan',
    'layer_map': 'depth',
    'run': 'files',
    'widen': 'width',
}
__all__ = [
    'Plan',
    'Rule',
    'deepen',
    'from_dict',
    'grow',
    'grow_moments',
    'layer_map',
    'run',
    'widen',
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'phijax.upscale.{_HOMES[name]}'), name)
