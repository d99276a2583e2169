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
    from phijax.models.quantize import dequantise, num_bytes, quantise
    from phijax.models.rotary import Rescaling

__all__ = [
    'Cache',
    'Config',
    'Params',
    'Rescaling',
    'apply',
    'axes',
    'config',
    'dequantise',
    'fan_in',
    'from_dict',
    'head',
    'hidden',
    'init',
    'init_cache',
    'num_bytes',
    'quantise',
    'to_dict',
]

_HOMES = {
    'Cache': 'cache',
    'Rescaling': 'rotary',
    'init_cache': 'cache',
    'dequantise': 'quantize',
    'num_bytes': 'quantize',
    'quantise': 'quantize',
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'phijax.models.{_HOMES.get(name, "decoder")}'), name)
