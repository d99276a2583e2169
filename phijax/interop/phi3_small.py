"""phi-3-small in Hugging Face directories, by the names that were published.

transformers itself has no class for it: such a directory needs Microsoft's own code there.
"""

from typing import Any

from phijax import models
from phijax.interop import rope
from phijax.interop.fields import Fields
from phijax.interop.layout import Family, Names
from phijax.models.configs import Phi3SmallConfig

# Source: modeling_phi3_small.py of microsoft/Phi-3-small-8k-instruct: the rows of query_key_value
# are, for each key/value head, its queries, its key and its value; the rows of up_proj are a gate
# and the branch that it gates by turns.
_NAMES: Names = {
    'embed': ('model.embed_tokens', 'v,d'),
    'blocks.attention_norm': ('model.layers.{layer}.input_layernorm', 'd'),
    'blocks.attention.query': ('model.layers.{layer}.self_attn.query_key_value', 'k:nh,d'),
    'blocks.attention.key': ('model.layers.{layer}.self_attn.query_key_value', 'k:kh,d'),
    'blocks.attention.value': ('model.layers.{layer}.self_attn.query_key_value', 'k:kh,d'),
    'blocks.attention.out': ('model.layers.{layer}.self_attn.dense', 'd,nh'),
    'blocks.mlp_norm': ('model.layers.{layer}.post_attention_layernorm', 'd'),
    'blocks.mlp.gate': ('model.layers.{layer}.mlp.up_proj', 'f:f,d'),
    'blocks.mlp.up': ('model.layers.{layer}.mlp.up_proj', 'f:f,d'),
    'blocks.mlp.down': ('model.layers.{layer}.mlp.down_proj', 'd,f'),
    'final_norm': ('model.final_layernorm', 'd'),
}


def _read(fields: Fields) -> models.Config:
    """The configuration in a published config.json.

    The head is the embedding's table whatever `tie_word_embeddings` says, as in the published code.
    Source: configuration_phi3_small.py of microsoft/Phi-3-small-8k-instruct (names and defaults).
    """
    fields.only('hidden_act', 'gegelu')
    fields.only('mup_use_scaling', True)
    fields.only('rope_position_scale', 1.0)
    width, heads = fields.integer('hidden_size'), fields.integer('num_attention_heads')
    head_dim = width // max(heads, 1)
    block = fields.integer('blocksparse_block_size', 64)
    return Phi3SmallConfig(
        vocab_size=fields.integer('vocab_size'),
        embed_dim=width,
        num_layers=fields.integer('num_hidden_layers'),
        num_heads=heads,
        num_kv_heads=fields.integer('num_key_value_heads', heads),
        head_dim=head_dim,
        mlp_dim=fields.integer('ff_intermediate_size'),
        rotary_dim=head_dim,
        rope_theta=fields.number('rope_embedding_base', 1e6),
        max_length=fields.integer('max_position_embeddings', 8192),
        norm_eps=fields.number('layer_norm_epsilon', 1e-5),
        init_std=fields.number('initializer_range', 0.02),
        embed_dropout=fields.number('embedding_dropout_prob', 0.1),
        residual_dropout=fields.number('ffn_dropout_prob', 0.1),
        attention_dropout=fields.number('attention_dropout_prob', 0.0),
        activation_limit=fields.number('gegelu_limit', 20.0),
        attention_multiplier=fields.number('mup_attn_multiplier', 1.0),
        embed_multiplier=fields.number('mup_embedding_multiplier', 10.0),
        width_multiplier=fields.number('mup_width_multiplier', 8.0),
        block=block,
        local_blocks=fields.integer('blocksparse_num_local_blocks', 16),
        stride=fields.integer('blocksparse_vert_stride', 8),
        homogeneous=fields.flag('blocksparse_homo_head_pattern', False),
        dense_every=fields.integer('dense_attention_every_n_layers', 2),
        dummy_tokens=tuple(map(int, fields.numbers('dummy_token_indices', []))),
        **rope.longrope(fields, rope.read(fields)),
    )


def _write(config: Phi3SmallConfig) -> dict[str, Any]:
    """The config.json that Microsoft's code reads as this model."""
    scaling = {
        'type': 'longrope',
        'short_factor': list(config.short_factors),
        'long_factor': list(config.long_factors),
        'original_max_position_embeddings': config.original_length,
        'short_mscale': config.short_magnitude or None,
        'long_mscale': config.long_magnitude or None,
    }
    return {
        'architectures': ['Phi3SmallForCausalLM'],
        'model_type': 'phi3small',
        'vocab_size': config.vocab_size,
        'hidden_size': config.embed_dim,
        'num_hidden_layers': config.num_layers,
        'num_attention_heads': config.num_heads,
        'num_key_value_heads': config.num_kv_heads,
        'ff_intermediate_size': config.mlp_dim,
        'hidden_act': 'gegelu',
        'gegelu_limit': config.activation_limit,
        'gegelu_pad_to_256': True,
        'rope_embedding_base': config.rope_theta,
        'rope_position_scale': 1.0,
        'rope_scaling': scaling if config.original_length else None,
        'max_position_embeddings': config.max_length,
        'layer_norm_epsilon': config.norm_eps,
        'initializer_range': config.init_std,
        'embedding_dropout_prob': config.embed_dropout,
        'ffn_dropout_prob': config.residual_dropout,
        'attention_dropout_prob': config.attention_dropout,
        'mup_use_scaling': True,
        'mup_attn_multiplier': config.attention_multiplier,
        'mup_embedding_multiplier': config.embed_multiplier,
        'mup_width_multiplier': config.width_multiplier,
        'blocksparse_block_size': config.block,
        'blocksparse_triton_kernel_block_size': config.block,
        'blocksparse_num_local_blocks': config.local_blocks,
        'blocksparse_vert_stride': config.stride,
        'blocksparse_homo_head_pattern': config.homogeneous,
        'dense_attention_every_n_layers': config.dense_every,
        'dummy_token_indices': list(config.dummy_tokens),
        'tie_word_embeddings': True,
    }


FAMILY = Family(readers={'phi3small': _read}, write=_write, names=(_NAMES,), ignored=('.inv_freq',))
