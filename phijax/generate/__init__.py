"""Text from a model: one pass over the prompts, then one compiled loop over the new tokens.

jax is loaded when a function is first used, so that a mistake in a flag is answered at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

from phijax.generate.options import Options

if TYPE_CHECKING:
    from phijax.generate.sampler import complete, complete_with, generate, stream

__all__ = ['Options', 'complete', 'complete_with', 'generate', 'stream']


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module('phijax.generate.sampler'), name)
