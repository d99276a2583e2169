"""Text from a model: one pass over the prompts, then one compiled loop over the new tokens.

jax is loaded when a function is first used, so that a mistake in a flag is answered at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

from phijax.generate.options import Options
from phijax.generate.prompts import prompts_of

if TYPE_CHECKING:
    from phijax.generate.completion import complete, complete_with, write
    from phijax.generate.conversation import converse
    from phijax.generate.sampler import generate, stream

_HOMES = {
    'complete': 'completion',
    'complete_with': 'completion',
    'converse': 'conversation',
    'generate': 'sampler',
    'stream': 'sampler',
    'write': 'completion',
}

__all__ = [
    'Options',
    'complete',
    'complete_with',
    'converse',
    'generate',
    'prompts_of',
    'stream',
    'write',
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'phijax.generate.{_HOMES[name]}'), name)
