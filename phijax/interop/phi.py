"""phi-1, phi-1.5 and phi-2 in Hugging Face directories: transformers' form and Microsoft's two."""

from typing import Any

from phijax import models
from phijax.errors import InputError
from phijax.interop import rope
from phijax.interop.fields import Fields
from phijax.interop.layout import Family, Names
from phijax.models.configs import PhiConfig

_ROPE_FIELDS = ('rope_type', 'type', 'rope_theta', 'partial_rotary_factor')

# Source: modular_phi.py of transformers 5.23.
_TRANSFORMERS: Names = {
    'embed': ('model.embed_tokens', 'v,d'),
    'blocks.norm': ('model.layers.{layer}.input_layernorm', 'd'),
    'blocks.attention.query': ('model.layers.{layer}.self_attn.q_proj', 'nh,d'),
    'blocks.attention.key': ('model.layers.{layer}.self_attn.k_proj', 'kh,d'),
    'blocks.attention.value': ('model.layers.{layer}.self_attn.v_proj', 'kh,d'),
    'blocks.attention.query_norm': ('model.layers.{layer}.self_attn.q_layernorm', 'h'),
    'blocks.attention.key_norm': ('model.layers.{layer}.self_attn.k_layernorm', 'h'),
    'blocks.attention.out': ('model.layers.{layer}.self_attn.dense', 'd,nh'),
    'blocks.mlp.up': ('model.layers.{layer}.mlp.fc1', 'f,d'),
    'blocks.mlp.down': ('model.layers.{layer}.mlp.fc2', 'd,f'),
    'final_norm': ('model.final_layernorm', 'd'),
    'head': ('lm_head', 'v,d'),
}


def _microsoft(embed: str, block: str, end: str) -> Names:
    """The names of the 2023 checkpoints: the rows of Wqkv are the queries, the keys, the values.

    Source: convert_phi_weights_to_hf.py of transformers 4.36 and 4.40.
    """
    return {
        'embed': (f'{embed}.wte', 'v,d'),
        'blocks.norm': (f'{block}.ln', 'd'),
        'blocks.attention.query': (f'{block}.mixer.Wqkv', 'nh,d'),
        'blocks.attention.key': (f'{block}.mixer.Wqkv', 'kh,d'),
        'blocks.attention.value': (f'{block}.mixer.Wqkv', 'kh,d'),
        'blocks.attention.out': (f'{block}.mixer.out_proj', 'd,nh'),
        'blocks.mlp.up': (f'{block}.mlp.fc1', 'f,d'),
        'blocks.mlp.down': (f'{block}.mlp.fc2', 'd,f'),
        'final_norm': (f'{end}.ln', 'd'),
        'head': (f'{end}.linear', 'v,d'),
    }


def _read_transformers(fields: Fields) -> models.Config:
    """The configuration in a config.json of transformers, 4 or 5.

    Source: configuration_phi.py of transformers 5.23 (names and defaults).
    """
    rotation = rope.read(fields)
    rotation.only('rope_type', 'default', 'longrope')
    rotation.only('type', 'default', 'longrope')
    longrope = rope.longrope(fields, rotation)
    for name in () if longrope else rotation.values.keys() - set(_ROPE_FIELDS):
        rotation.only(name)
    fields.only('hidden_act', 'gelu_new')
    fields.only('tie_word_embeddings', False)
    width, heads = fields.integer('hidden_size'), fields.integer('num_attention_heads')
    head_dim = fields.integer('head_dim', width // max(heads, 1))
    theta = fields.number('rope_theta', 10000.0)
    factor = fields.number('partial_rotary_factor', 0.5)
    return PhiConfig(
        vocab_size=fields.integer('vocab_size'),
        embed_dim=width,
        num_layers=fields.integer('num_hidden_layers'),
        num_heads=heads,
        num_kv_heads=fields.integer('num_key_value_heads', heads),
        head_dim=head_dim,
        mlp_dim=fields.integer('intermediate_size'),
        rotary_dim=int(head_dim * rotation.number('partial_rotary_factor', factor)),
        rope_theta=rotation.number('rope_theta', theta),
        max_length=fields.integer('max_position_embeddings', 2048),
        norm_eps=fields.number('layer_norm_eps', 1e-5),
        init_std=fields.number('initializer_range', 0.02),
        embed_dropout=fields.number('embd_pdrop', 0.0),
        residual_dropout=fields.number('resid_pdrop', 0.0),
        attention_dropout=fields.number('attention_dropout', 0.0),
        qk_layernorm=fields.flag('qk_layernorm', False),
        **longrope,
    )


def _read_microsoft(fields: Fields) -> models.Config:
    """The configuration in a config.json of the 2023 checkpoints.

    Source: configuration_phi.py of microsoft/phi-1_5 and configuration_mixformer_sequential.py of
    microsoft/phi-1, both of 2023 (names and defaults).
    """
    fields.only('activation_function', 'gelu_new')
    fields.only('tie_word_embeddings', False)
    fields.group('architecture').only('block_cls', 'parallel')
    width, heads = fields.integer('n_embd'), fields.integer('n_head')
    head_dim = width // max(heads, 1)
    return PhiConfig(
        vocab_size=fields.integer('vocab_size'),
        embed_dim=width,
        num_layers=fields.integer('n_layer'),
        num_heads=heads,
        num_kv_heads=fields.integer('n_head_kv', heads),
        head_dim=head_dim,
        mlp_dim=fields.integer('n_inner', 4 * width),
        rotary_dim=min(fields.integer('rotary_dim', 32), head_dim),
        max_length=fields.integer('n_positions', 2048),
        norm_eps=fields.number('layer_norm_epsilon', 1e-5),
        init_std=fields.number('initializer_range', 0.02),
        embed_dropout=fields.number('embd_pdrop', 0.0),
        residual_dropout=fields.number('resid_pdrop', 0.0),
        attention_dropout=fields.number('attn_pdrop', 0.0),
    )


def _write(config: PhiConfig) -> dict[str, Any]:
    """The config.json that transformers 4 and 5 read as this model.

    Raises:
        InputError: transformers has no such model.
    """
    natural = config.embed_dim // config.num_heads
    if config.qk_layernorm and config.head_dim != natural:
        raise InputError(
            'transformers has qk_layernorm only with heads of embed_dim / num_heads features: '
            f'head_dim must be {natural}, got {config.head_dim}'
        )
    return {
        'architectures': ['PhiForCausalLM'],
        'model_type': 'phi',
        'vocab_size': config.vocab_size,
        'hidden_size': config.embed_dim,
        'num_hidden_layers': config.num_layers,
        'num_attention_heads': config.num_heads,
        'num_key_value_heads': config.num_kv_heads,
        **({} if config.head_dim == natural else {'head_dim': config.head_dim}),
        'intermediate_size': config.mlp_dim,
        'hidden_act': 'gelu_new',
        **rope.write(config),
        'max_position_embeddings': config.max_length,
        'layer_norm_eps': config.norm_eps,
        'initializer_range': config.init_std,
        'embd_pdrop': config.embed_dropout,
        'resid_pdrop': config.residual_dropout,
        'attention_dropout': config.attention_dropout,
        'qk_layernorm': config.qk_layernorm,
        'tie_word_embeddings': False,
    }


FAMILY = Family(
    readers={
        'phi': _read_transformers,
        'phi-msft': _read_microsoft,
        'mixformer-sequential': _read_microsoft,
    },
    write=_write,
    names=(
        _TRANSFORMERS,
        _microsoft('transformer.embd', 'transformer.h.{layer}', 'lm_head'),
        _microsoft('layers.0', 'layers.{after}', 'layers.{end}'),
    ),
    ignored=('.rotary_emb.inv_freq',),
)
