"""Rotary embedding in a config.json, in the spellings of all releases of transformers."""

import math
from typing import Any

from phijax.errors import InputError
from phijax.interop.fields import Fields
from phijax.models import Config

# Source: configuration_phi3.py of transformers 4.41 to 5.23: LongRoPE was called `su` and `yarn`.
# The code of 4.41 had another magnitude for `yarn` (0.1 ln(s) + 1); since then transformers reads
# all three alike, and so is it here.
_LONGROPE = ('longrope', 'su', 'yarn')
_KNOWN = frozenset(
    {
        'attention_factor',
        'factor',
        'long_factor',
        'long_mscale',
        'original_max_position_embeddings',
        'partial_rotary_factor',
        'rope_theta',
        'rope_type',
        'short_factor',
        'short_mscale',
        'type',
    }
)


def read(fields: Fields) -> Fields:
    """The group that holds the rotation: `rope_scaling`, or since version 5 `rope_parameters`."""
    scaling = fields.group('rope_scaling')
    return scaling if scaling.values else fields.group('rope_parameters')


def longrope(fields: Fields, rotation: Fields) -> dict[str, Any]:
    """The fields of a configuration that LongRoPE sets, none where a config.json has no LongRoPE.

    Raises:
        InputError: another way to extend the context, or an incomplete LongRoPE.
    """
    for name in ('rope_type', 'type'):
        rotation.only(name, 'default', *_LONGROPE)
    for name in rotation.values.keys() - _KNOWN:
        rotation.only(name)
    kind = rotation.values.get('rope_type') or rotation.values.get('type')
    if kind not in _LONGROPE:
        return {}
    original = fields.integer('original_max_position_embeddings', 4096)
    factor = rotation.number('attention_factor', 0.0)
    return {
        'short_factors': rotation.numbers('short_factor'),
        'long_factors': rotation.numbers('long_factor'),
        'original_length': rotation.integer('original_max_position_embeddings', original),
        'short_magnitude': rotation.number('short_mscale', factor),
        'long_magnitude': rotation.number('long_mscale', factor),
    }


def write(config: Config) -> dict[str, Any]:
    """The entries of a config.json that transformers 4 and 5 read as the configuration's rotation.

    Raises:
        InputError: transformers has no such rotation.
    """
    rotation: dict[str, Any] = {
        'rope_theta': config.rope_theta,
        'partial_rotary_factor': rotary_factor(config.rotary_dim, config.head_dim),
    }
    if not config.original_length:
        return {'rope_parameters': {'rope_type': 'default', **rotation}, **rotation}
    scaling: dict[str, Any] = {
        'type': 'longrope',
        'rope_type': 'longrope',
        'short_factor': list(config.short_factors),
        'long_factor': list(config.long_factors),
        'original_max_position_embeddings': config.original_length,
    }
    if config.short_magnitude != config.long_magnitude:
        raise InputError(
            'transformers has one magnitude for short and long rows, got short_magnitude '
            f'{config.short_magnitude} and long_magnitude {config.long_magnitude}'
        )
    if config.short_magnitude:
        scaling['attention_factor'] = config.short_magnitude
    return {
        'rope_scaling': scaling,
        'rope_parameters': scaling | rotation,
        'original_max_position_embeddings': config.original_length,
        **rotation,
    }


def rotary_factor(rotary_dim: int, head_dim: int) -> float:
    """The factor from which transformers' `int(head_dim * factor)` gets back to `rotary_dim`."""
    factor = rotary_dim / head_dim
    return factor if int(head_dim * factor) == rotary_dim else math.nextafter(factor, math.inf)
