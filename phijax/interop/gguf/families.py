"""The architectures of GGUF files that are models of this project: names, settings, both ways."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from phijax import models
from phijax.errors import InputError
from phijax.interop.fields import Fields
from phijax.interop.layout import Family
from phijax.models import rotary
from phijax.models.configs import Phi3Config, PhiConfig

SHORT, LONG = 'rope_factors_short.weight', 'rope_factors_long.weight'

# Keys that are put among a file's settings for what its tensors tell.
ROWS, TIED = 'rows of token_embd', 'no output'

# A value larger than this is no size of a model, and would make others overflow.
_LARGEST_SIZE = 1 << 24

_ENDS: dict[str, tuple[str, str]] = {
    'embed': ('token_embd', 'v,d'),
    'final_norm': ('output_norm', 'd'),
    'head': ('output', 'v,d'),
}
_ATTENTION: dict[str, tuple[str, str]] = {
    'blocks.attention.query': ('blk.{layer}.attn_q', 'nh,d'),
    'blocks.attention.key': ('blk.{layer}.attn_k', 'kh,d'),
    'blocks.attention.value': ('blk.{layer}.attn_v', 'kh,d'),
    'blocks.attention.out': ('blk.{layer}.attn_output', 'd,nh'),
}
# Source: src/models/phi2.cpp and phi3.cpp of llama.cpp: the rows of attn_qkv are all queries, all
# keys, all values; those of phi-3's ffn_up all gates, then the branch that they gate.
_FUSED: dict[str, tuple[str, str]] = _ATTENTION | {
    'blocks.attention.query': ('blk.{layer}.attn_qkv', 'nh,d'),
    'blocks.attention.key': ('blk.{layer}.attn_qkv', 'kh,d'),
    'blocks.attention.value': ('blk.{layer}.attn_qkv', 'kh,d'),
}
_PHI2_BLOCK: dict[str, tuple[str, str]] = {
    'blocks.norm': ('blk.{layer}.attn_norm', 'd'),
    'blocks.mlp.up': ('blk.{layer}.ffn_up', 'f,d'),
    'blocks.mlp.down': ('blk.{layer}.ffn_down', 'd,f'),
}
_PHI3_BLOCK: dict[str, tuple[str, str]] = {
    'blocks.attention_norm': ('blk.{layer}.attn_norm', 'd'),
    'blocks.mlp_norm': ('blk.{layer}.ffn_norm', 'd'),
    'blocks.mlp.gate': ('blk.{layer}.ffn_up', 'f,d'),
    'blocks.mlp.up': ('blk.{layer}.ffn_up', 'f,d'),
    'blocks.mlp.down': ('blk.{layer}.ffn_down', 'd,f'),
}
# `llama` pairs neighbouring features.
_LLAMA_BLOCK: dict[str, tuple[str, str]] = _PHI3_BLOCK | {
    'blocks.attention.query': ('blk.{layer}.attn_q', 'nH,d'),
    'blocks.attention.key': ('blk.{layer}.attn_k', 'kH,d'),
    'blocks.mlp.gate': ('blk.{layer}.ffn_gate', 'f,d'),
}

_SIZES = frozenset(
    {
        ROWS,
        TIED,
        'vocab_size',
        'context_length',
        'embedding_length',
        'block_count',
        'feed_forward_length',
        'attention.head_count',
        'attention.head_count_kv',
        'attention.key_length',
        'attention.value_length',
        'rope.dimension_count',
        'rope.freq_base',
    }
)
_RMS = frozenset({'attention.layer_norm_rms_epsilon'})
_LONGROPE = frozenset(
    {
        SHORT,
        LONG,
        'attention.sliding_window',
        'rope.scaling.original_context_length',
        'rope.scaling.attn_factor',
    }
)
# Settings of what these models do not compute, and the values at which there is nothing to it.
_NEUTRAL: dict[str, Sequence[Any]] = {
    'attention.causal': (True,),
    'attention.scale': (0.0,),
    'attention.clamp_kqv': (0.0,),
    'attention.max_alibi_bias': (0.0,),
    'expert_count': (0,),
    'expert_used_count': (0,),
    'rope.scale_linear': (1.0,),
    'rope.scaling.type': ('none',),
    'rope.scaling.factor': (1.0,),
    'use_parallel_residual': (True,),
}


def _read_llama(fields: Fields) -> models.Config:
    """The configuration in the settings of the architecture `llama`."""
    _only(fields, _SIZES | _RMS)
    return Phi3Config(
        **_sizes(fields),
        norm_eps=fields.number('attention.layer_norm_rms_epsilon'),
        tied_head=fields.flag(TIED),
    )


def _read_phi3(fields: Fields) -> models.Config:
    """The configuration in the settings of the architecture `phi3`.

    Source: src/models/phi3.cpp of llama.cpp, which has no window whatever the file says.
    """
    _only(fields, _SIZES | _RMS | _LONGROPE, {'rope.scaling.type': ('none', 'longrope')})
    config = Phi3Config(
        **_sizes(fields),
        norm_eps=fields.number('attention.layer_norm_rms_epsilon'),
        tied_head=fields.flag(TIED),
        window=fields.integer('attention.sliding_window', 0),
        **_longrope(fields),
    )
    magnitude = fields.number('rope.scaling.attn_factor', 1.0)
    published = np.float32(rotary.magnitude(config, long=True) if config.original_length else 1)
    if np.float32(magnitude) == published:
        return config
    return dataclasses.replace(config, short_magnitude=magnitude, long_magnitude=magnitude)


def _read_phi2(fields: Fields) -> models.Config:
    """The configuration in the settings of the architecture `phi2`."""
    _only(fields, _SIZES | {'attention.layer_norm_epsilon'})
    fields.only(TIED, False)
    return PhiConfig(**_sizes(fields), norm_eps=fields.number('attention.layer_norm_epsilon'))


def _write_phi3(config: Phi3Config) -> dict[str, Any]:
    """The settings of phi-3 as `llama` where that is enough, as `phi3` where it is not.

    Raises:
        InputError: llama.cpp has no such model.
    """
    plain = not config.original_length and not config.window
    if plain and config.rotary_dim == config.head_dim:
        return _settings('llama', config) | {
            'llama.attention.layer_norm_rms_epsilon': config.norm_eps
        }
    _check_natural('phi3', config)
    settings = _settings('phi3', config) | {
        'phi3.attention.layer_norm_rms_epsilon': config.norm_eps,
        'phi3.attention.sliding_window': config.window,
        'phi3.rope.scaling.original_context_length': config.original_length or config.max_length,
    }
    if not config.original_length:
        return settings
    short, long = (rotary.magnitude(config, long=long) for long in (False, True))
    if short != long:
        raise InputError(
            f'GGUF has one magnitude for short and long rows, got short_magnitude {short} and '
            f'long_magnitude {long}'
        )
    return settings | {'phi3.rope.scaling.attn_factor': short}


def _write_phi(config: PhiConfig) -> dict[str, Any]:
    """The settings of phi-1 to phi-2.

    Raises:
        InputError: llama.cpp has no such model.
    """
    _check_natural('phi2', config)
    if config.qk_layernorm or config.original_length:
        raise InputError('GGUF has phi-2 only without qk_layernorm and without LongRoPE')
    return _settings('phi2', config) | {'phi2.attention.layer_norm_epsilon': config.norm_eps}


LLAMA = Family(
    readers={'llama': _read_llama},
    write=_write_phi3,
    names=(_ENDS | _ATTENTION | _LLAMA_BLOCK,),
    ignored=(),
)
PHI3 = Family(
    readers={'phi3': _read_phi3},
    write=_write_phi3,
    names=(_ENDS | _FUSED | _PHI3_BLOCK, _ENDS | _ATTENTION | _PHI3_BLOCK),
    ignored=(SHORT, LONG),
)
PHI2 = Family(
    readers={'phi2': _read_phi2},
    write=_write_phi,
    names=(_ENDS | _FUSED | _PHI2_BLOCK, _ENDS | _ATTENTION | _PHI2_BLOCK),
    ignored=(),
)
# By the name of an architecture in GGUF, and by that of a family here.
ARCHITECTURES = {'llama': LLAMA, 'phi3': PHI3, 'phi2': PHI2}
WRITERS: dict[str, Callable[[Any], dict[str, Any]]] = {'phi': _write_phi, 'phi3': _write_phi3}


def factors(config: models.Config) -> dict[str, np.ndarray]:
    """The tensors of LongRoPE's factors, none for a model without it."""
    if not config.original_length:
        return {}
    pairs = {SHORT: config.short_factors, LONG: config.long_factors}
    return {name: np.asarray(values, np.float32) for name, values in pairs.items()}


def decimals(values: np.ndarray) -> list[float]:
    """Numbers of 32 bits as the shortest decimal fractions that they can be."""
    return [float(str(np.float32(value))) for value in values.ravel()]


def _only(
    fields: Fields, known: frozenset[str], neutral: dict[str, Sequence[Any]] | None = None
) -> None:
    """Returns when every setting is known, or has a value at which there is nothing to it."""
    values = _NEUTRAL | (neutral or {})
    for name in fields.values.keys() - known:
        fields.only(name, *values.get(name, ()))


def _sizes(fields: Fields) -> dict[str, Any]:
    """What all architectures have."""
    width, heads = _size(fields, 'embedding_length'), _size(fields, 'attention.head_count')
    head_dim = _size(fields, 'attention.key_length', width // max(heads, 1))
    fields.only('attention.value_length', head_dim)
    rows = _size(fields, ROWS)
    fields.only('vocab_size', rows)
    return {
        'vocab_size': rows,
        'embed_dim': width,
        'num_layers': _size(fields, 'block_count'),
        'num_heads': heads,
        'num_kv_heads': _size(fields, 'attention.head_count_kv', heads),
        'head_dim': head_dim,
        'mlp_dim': _size(fields, 'feed_forward_length'),
        'rotary_dim': _size(fields, 'rope.dimension_count', head_dim),
        'rope_theta': fields.number('rope.freq_base', 10000.0),
        'max_length': _size(fields, 'context_length'),
    }


def _size(fields: Fields, name: str, *default: int, least: int = 1) -> int:
    value = fields.integer(name, *default)
    if not least <= value <= _LARGEST_SIZE:
        raise InputError(f'{name} must be {least} to {_LARGEST_SIZE}, got {value}')
    return value


def _longrope(fields: Fields) -> dict[str, Any]:
    """The fields of a configuration that the tensors of factors set, none where there are none."""
    if SHORT not in fields.values and LONG not in fields.values:
        fields.only('rope.scaling.type', 'none')
        fields.only('rope.scaling.attn_factor', 1.0)
        return {}
    return {
        'short_factors': fields.numbers(SHORT),
        'long_factors': fields.numbers(LONG),
        'original_length': _size(fields, 'rope.scaling.original_context_length', least=2),
    }


def _settings(architecture: str, config: models.Config) -> dict[str, Any]:
    """What all architectures have, by key."""
    settings = {
        'vocab_size': config.vocab_size,
        'context_length': config.max_length,
        'embedding_length': config.embed_dim,
        'block_count': config.num_layers,
        'feed_forward_length': config.mlp_dim,
        'attention.head_count': config.num_heads,
        'attention.head_count_kv': config.num_kv_heads,
        'attention.key_length': config.head_dim,
        'attention.value_length': config.head_dim,
        'rope.dimension_count': config.rotary_dim,
        'rope.freq_base': config.rope_theta,
    }
    named = {f'{architecture}.{name}': value for name, value in settings.items()}
    return {'general.architecture': architecture} | named


def _check_natural(architecture: str, config: models.Config) -> None:
    if config.num_heads * config.head_dim != config.embed_dim:
        raise InputError(
            f'GGUF has {architecture} only with heads of embed_dim / num_heads features: head_dim '
            f'must be {config.embed_dim / config.num_heads:g}, got {config.head_dim}'
        )
