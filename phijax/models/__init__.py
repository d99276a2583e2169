"""The models: a `Config` and `params`, and functions from tokens to logits.

`config` is pure Python; the rest loads jax and flax when it is first used, so that a mistake in a
configuration is answered at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

from phijax.models.configs import Config, config, from_dict, to_dict

if TYPE_CHECKING:
    from phijax.models.cache import Cache, init_cache
    from phijax.models.decoder import Params, apply, axes, fan_in, head, hidden, init

__all__ = [
    'Cache',
    'Config',
    'Params',
    'apply',
    'axes',
    'config',
    'fan_in',
    'from_dict',
    'head',
    'hidden',
    'init',
    'init_cache',
    'to_dict',
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    home = 'cache' if name in {'Cache', 'init_cache'} else 'decoder'
    return getattr(importlib.import_module(f'phijax.models.{home}'), name)
