"""phi-3-mini and phi-3-medium in Hugging Face directories."""

from typing import Any

from phijax import models
from phijax.errors import InputError
from phijax.interop import rope
from phijax.interop.fields import Fields
from phijax.interop.layout import Family, Names
from phijax.models.configs import Phi3Config

# Source: modular_phi3.py of transformers 5.23: the rows of qkv_proj are all queries, all keys, all
# values; those of gate_up_proj all gates, then the branch that they gate.
_NAMES: Names = {
    'embed': ('model.embed_tokens', 'v,d'),
    'blocks.attention_norm': ('model.layers.{layer}.input_layernorm', 'd'),
    'blocks.attention.query': ('model.layers.{layer}.self_attn.qkv_proj', 'nh,d'),
    'blocks.attention.key': ('model.layers.{layer}.self_attn.qkv_proj', 'kh,d'),
    'blocks.attention.value': ('model.layers.{layer}.self_attn.qkv_proj', 'kh,d'),
    'blocks.attention.out': ('model.layers.{layer}.self_attn.o_proj', 'd,nh'),
    'blocks.mlp_norm': ('model.layers.{layer}.post_attention_layernorm', 'd'),
    'blocks.mlp.gate': ('model.layers.{layer}.mlp.gate_up_proj', 'f,d'),
    'blocks.mlp.up': ('model.layers.{layer}.mlp.gate_up_proj', 'f,d'),
    'blocks.mlp.down': ('model.layers.{layer}.mlp.down_proj', 'd,f'),
    'final_norm': ('model.norm', 'd'),
    'head': ('lm_head', 'v,d'),
}


def _read(fields: Fields) -> models.Config:
    """The configuration in a config.json of transformers, 4 or 5.

    Source: configuration_phi3.py of transformers 4.41 and 5.23 (names and defaults).
    """
    fields.only('hidden_act', 'silu')
    rotation = rope.read(fields)
    width, heads = fields.integer('hidden_size'), fields.integer('num_attention_heads')
    head_dim = fields.integer('head_dim', width // max(heads, 1))
    factor = fields.number('partial_rotary_factor', 1.0)
    return Phi3Config(
        vocab_size=fields.integer('vocab_size'),
        embed_dim=width,
        num_layers=fields.integer('num_hidden_layers'),
        num_heads=heads,
        num_kv_heads=fields.integer('num_key_value_heads', heads),
        head_dim=head_dim,
        mlp_dim=fields.integer('intermediate_size'),
        rotary_dim=int(head_dim * rotation.number('partial_rotary_factor', factor)),
        rope_theta=rotation.number('rope_theta', fields.number('rope_theta', 10000.0)),
        max_length=fields.integer('max_position_embeddings', 4096),
        norm_eps=fields.number('rms_norm_eps', 1e-5),
        init_std=fields.number('initializer_range', 0.02),
        embed_dropout=fields.number('embd_pdrop', 0.0),
        residual_dropout=fields.number('resid_pdrop', 0.0),
        attention_dropout=fields.number('attention_dropout', 0.0),
        window=fields.integer('sliding_window', 0),
        tied_head=fields.flag('tie_word_embeddings', False),
        **rope.longrope(fields, rotation),
    )


def _write(config: Phi3Config) -> dict[str, Any]:
    """The config.json that transformers 4 and 5 read as this model.

    Raises:
        InputError: transformers has no such model.
    """
    natural = config.embed_dim // config.num_heads
    if config.original_length and config.head_dim != natural:
        raise InputError(
            'transformers has LongRoPE for phi-3 only with heads of embed_dim / num_heads: '
            f'head_dim must be {natural}, got {config.head_dim}'
        )
    return {
        'architectures': ['Phi3ForCausalLM'],
        'model_type': 'phi3',
        'vocab_size': config.vocab_size,
        'hidden_size': config.embed_dim,
        'num_hidden_layers': config.num_layers,
        'num_attention_heads': config.num_heads,
        'num_key_value_heads': config.num_kv_heads,
        **({} if config.head_dim == natural else {'head_dim': config.head_dim}),
        'intermediate_size': config.mlp_dim,
        'hidden_act': 'silu',
        'max_position_embeddings': config.max_length,
        'original_max_position_embeddings': config.max_length,
        **rope.write(config),
        'rms_norm_eps': config.norm_eps,
        'initializer_range': config.init_std,
        'embd_pdrop': config.embed_dropout,
        'resid_pdrop': config.residual_dropout,
        'attention_dropout': config.attention_dropout,
        'sliding_window': config.window or None,
        'tie_word_embeddings': config.tied_head,
    }


FAMILY = Family(
    readers={'phi3': _read}, write=_write, names=(_NAMES,), ignored=('.rotary_emb.inv_freq',)
)
