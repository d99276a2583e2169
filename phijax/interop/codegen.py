"""CodeGen in Hugging Face directories."""

from typing import Any

from phijax import models
from phijax.errors import InputError
from phijax.interop.fields import Fields
from phijax.interop.layout import Family, Names
from phijax.models.configs import CodegenConfig

# Source: modeling_codegen.py of transformers 5.23: the rows of qkv_proj are four shares (`mp_num`,
# of the cores that it was trained on), each the queries, the values and the keys of a quarter of
# the heads.
_SHARES = 4
_QKV = 'transformer.h.{layer}.attn.qkv_proj'
_NAMES: Names = {
    'embed': ('transformer.wte', 'v,d'),
    'blocks.norm': ('transformer.h.{layer}.ln_1', 'd'),
    'blocks.attention.query': (_QKV, f'{_SHARES}:nH,d'),
    'blocks.attention.value': (_QKV, f'{_SHARES}:kh,d'),
    'blocks.attention.key': (_QKV, f'{_SHARES}:kH,d'),
    'blocks.attention.out': ('transformer.h.{layer}.attn.out_proj', 'd,nh'),
    'blocks.mlp.up': ('transformer.h.{layer}.mlp.fc_in', 'f,d'),
    'blocks.mlp.down': ('transformer.h.{layer}.mlp.fc_out', 'd,f'),
    'final_norm': ('transformer.ln_f', 'd'),
    'head': ('lm_head', 'v,d'),
}


def _read(fields: Fields) -> models.Config:
    """The configuration in a config.json of transformers, 4 or 5.

    Source: configuration_codegen.py of transformers 5.23 (names and defaults).

    Raises:
        InputError: a model that transformers cannot compute either.
    """
    fields.only('activation_function', 'gelu_new')
    fields.only('tie_word_embeddings', False)
    fields.only('scale_attn_weights', True)
    width, heads = fields.integer('n_embd', 4096), fields.integer('n_head', 16)
    head_dim = width // max(heads, 1)
    config = CodegenConfig(
        vocab_size=fields.integer('vocab_size', 50400),
        embed_dim=width,
        num_layers=fields.integer('n_layer', 28),
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=head_dim,
        mlp_dim=fields.integer('n_inner', 4 * width),
        rotary_dim=fields.integer('rotary_dim', 64),
        max_length=fields.integer('n_positions', 2048),
        norm_eps=fields.number('layer_norm_epsilon', 1e-5),
        init_std=fields.number('initializer_range', 0.02),
        embed_dropout=fields.number('embd_pdrop', 0.0),
        residual_dropout=fields.number('resid_pdrop', 0.0),
        attention_dropout=fields.number('attn_pdrop', 0.0),
    )
    _check(config)
    return config


def _write(config: CodegenConfig) -> dict[str, Any]:
    """The config.json that transformers 4 and 5 read as this model.

    Raises:
        InputError: transformers has no such model.
    """
    _check(config)
    return {
        'architectures': ['CodeGenForCausalLM'],
        'model_type': 'codegen',
        'vocab_size': config.vocab_size,
        'n_embd': config.embed_dim,
        'n_layer': config.num_layers,
        'n_head': config.num_heads,
        'n_inner': config.mlp_dim,
        'n_positions': config.max_length,
        'n_ctx': config.max_length,
        'rotary_dim': config.rotary_dim,
        'activation_function': 'gelu_new',
        'layer_norm_epsilon': config.norm_eps,
        'initializer_range': config.init_std,
        'embd_pdrop': config.embed_dropout,
        'resid_pdrop': config.residual_dropout,
        'attn_pdrop': config.attention_dropout,
        'tie_word_embeddings': False,
    }


def _check(config: models.Config) -> None:
    """Returns when transformers has such a model."""
    if config.num_heads % _SHARES:
        raise InputError(
            f'CodeGen has heads (n_head) by multiples of {_SHARES}, got {config.num_heads}'
        )
    shape = config.num_kv_heads, config.head_dim
    natural = config.num_heads, config.embed_dim // config.num_heads
    if shape != natural or config.embed_dim % config.num_heads:
        raise InputError(
            'CodeGen has as many key/value heads as heads, which make up the width '
            f'{config.embed_dim}: {natural[0]} of {config.embed_dim / config.num_heads:g} '
            f'features, got {shape[0]} of {shape[1]}'
        )
    if config.rope_theta != 10000.0 or config.original_length:
        raise InputError(
            'CodeGen rotates with the base 10000 and has no LongRoPE, got rope_theta '
            f'{config.rope_theta:g} and original_length {config.original_length}'
        )


FAMILY = Family(
    readers={'codegen': _read},
    write=_write,
    names=(_NAMES,),
    ignored=('.attn.causal_mask', '.attn.bias', '.attn.masked_bias', '.embed_positions'),
)
