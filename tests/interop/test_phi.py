"""config.json in the spellings of transformers 4 and 5 and of Microsoft, and mistakes in them."""

import dataclasses

import pytest

from phijax import models
from phijax.interop import layout, phi, rope
from phijax.interop.fields import Fields
from phijax.models.configs import PhiConfig
from tests.models import tiny

# What microsoft/phi-2 has on the hub, as transformers 4 wrote it; the same for phi-1 differs in
# the sizes.
PHI2 = {
    'architectures': ['PhiForCausalLM'],
    'attention_dropout': 0.0,
    'bos_token_id': 50256,
    'embd_pdrop': 0.0,
    'eos_token_id': 50256,
    'hidden_act': 'gelu_new',
    'hidden_size': 2560,
    'initializer_range': 0.02,
    'intermediate_size': 10240,
    'layer_norm_eps': 1e-05,
    'max_position_embeddings': 2048,
    'model_type': 'phi',
    'num_attention_heads': 32,
    'num_hidden_layers': 32,
    'num_key_value_heads': 32,
    'partial_rotary_factor': 0.4,
    'qk_layernorm': False,
    'resid_pdrop': 0.1,
    'rope_scaling': None,
    'rope_theta': 10000.0,
    'tie_word_embeddings': False,
    'torch_dtype': 'float16',
    'transformers_version': '4.37.0',
    'use_cache': True,
    'vocab_size': 51200,
}
MICROSOFT_PHI2 = {
    '_name_or_path': 'microsoft/phi-2',
    'activation_function': 'gelu_new',
    'architectures': ['PhiForCausalLM'],
    'attn_pdrop': 0.0,
    'auto_map': {'AutoConfig': 'configuration_phi.PhiConfig'},
    'embd_pdrop': 0.0,
    'flash_attn': False,
    'flash_rotary': False,
    'fused_dense': False,
    'initializer_range': 0.02,
    'layer_norm_epsilon': 1e-05,
    'model_type': 'phi-msft',
    'n_embd': 2560,
    'n_head': 32,
    'n_head_kv': None,
    'n_inner': None,
    'n_layer': 32,
    'n_positions': 2048,
    'resid_pdrop': 0.1,
    'rotary_dim': 32,
    'tie_word_embeddings': False,
    'vocab_size': 51200,
}
MIXFORMER = {
    'activation_function': 'gelu_new',
    'architecture': {'block_cls': 'parallel', 'mixer': {}, 'mlp': {'mlp_cls': 'mlp'}},
    'embd_layer': 'default',
    'embd_pdrop': 0.0,
    'layer_norm_epsilon': 1e-05,
    'model_type': 'mixformer-sequential',
    'n_embd': 2048,
    'n_head': 32,
    'n_inner': None,
    'n_layer': 24,
    'n_positions': 2048,
    'phyagi_version': '0.0.4.dev',
    'resid_pdrop': 0.0,
    'rotary_dim': 32,
    'vocab_size': 51200,
}
# Every size unlike the others and unlike its default.
OTHER = {
    'vocab_size': 11,
    'hidden_size': 12,
    'num_hidden_layers': 3,
    'num_attention_heads': 4,
    'num_key_value_heads': 2,
    'head_dim': 10,
    'intermediate_size': 7,
    'max_position_embeddings': 77,
    'layer_norm_eps': 1e-3,
    'initializer_range': 0.5,
    'embd_pdrop': 0.1,
    'resid_pdrop': 0.2,
    'attention_dropout': 0.3,
    'qk_layernorm': True,
    'rope_parameters': {
        'rope_type': 'default',
        'rope_theta': 55.0,
        'partial_rotary_factor': 0.8,
    },
}
OTHER_CONFIG = PhiConfig(
    vocab_size=11,
    embed_dim=12,
    num_layers=3,
    num_heads=4,
    num_kv_heads=2,
    head_dim=10,
    mlp_dim=7,
    rotary_dim=8,
    rope_theta=55.0,
    max_length=77,
    norm_eps=1e-3,
    init_std=0.5,
    embed_dropout=0.1,
    residual_dropout=0.2,
    attention_dropout=0.3,
    qk_layernorm=True,
)
MICROSOFT_OTHER = {
    'vocab_size': 11,
    'n_embd': 40,
    'n_layer': 3,
    'n_head': 4,
    'n_head_kv': 2,
    'n_inner': 7,
    'n_positions': 77,
    'rotary_dim': 8,
    'layer_norm_epsilon': 1e-3,
    'initializer_range': 0.5,
    'embd_pdrop': 0.1,
    'resid_pdrop': 0.2,
    'attn_pdrop': 0.3,
}
# Factors of rotary_dim 4.
LONGROPE = {
    'max_length': 64,
    'original_length': 16,
    'short_factors': (1.0, 1.5),
    'long_factors': (1.25, 4.0),
    'short_magnitude': 1.125,
    'long_magnitude': 1.125,
}


def read(model_type, fields):
    return phi.FAMILY.readers[model_type](Fields(fields))


def test_published_files():
    assert read('phi', PHI2) == models.config('phi2')
    assert read('phi-msft', MICROSOFT_PHI2) == models.config('phi2')
    assert read('mixformer-sequential', MIXFORMER) == models.config('phi1_5')


def test_every_field_is_read():
    assert read('phi', OTHER) == OTHER_CONFIG
    old = {**OTHER, 'rope_theta': 55.0, 'partial_rotary_factor': 0.8, 'rope_parameters': None}
    assert read('phi', old) == OTHER_CONFIG
    both = {**OTHER, 'rope_theta': 1.0, 'partial_rotary_factor': 0.2}
    assert read('phi', both) == OTHER_CONFIG
    expected = dataclasses.replace(OTHER_CONFIG, embed_dim=40, rope_theta=1e4, qk_layernorm=False)
    assert read('phi-msft', MICROSOFT_OTHER) == expected


def test_defaults():
    sizes = ('vocab_size', 'hidden_size', 'num_hidden_layers', 'num_attention_heads')
    fields = {name: PHI2[name] for name in (*sizes, 'intermediate_size')}
    expected = dataclasses.replace(models.config('phi2'), rotary_dim=40, residual_dropout=0.0)
    assert read('phi', fields) == expected
    fields = {name: MICROSOFT_PHI2[name] for name in ('vocab_size', 'n_embd', 'n_layer', 'n_head')}
    expected = dataclasses.replace(models.config('phi2'), residual_dropout=0.0)
    assert read('phi-msft', fields) == expected
    narrow = read('phi-msft', fields | {'n_embd': 512})
    assert (narrow.head_dim, narrow.rotary_dim) == (16, 16)


@pytest.mark.parametrize(
    ('model_type', 'changes', 'said'),
    [
        ('phi', {'hidden_act': 'gelu'}, "hidden_act 'gelu' is not supported.*'gelu_new'"),
        ('phi', {'hidden_act': 'silu'}, "hidden_act 'silu'"),
        ('phi', {'rope_scaling': {'type': 'linear', 'factor': 2.0}}, "type 'linear'.*'default'"),
        ('phi', {'rope_parameters': {'rope_type': 'yarn', 'factor': 2.0}}, "rope_type 'yarn'"),
        ('phi', {'rope_parameters': {'factor': 2.0}}, r'factor 2\.0 is not supported.*no value'),
        ('phi', {'rope_scaling': {'type': 'yarn', 'short_factor': [1.0]}}, "type 'yarn'"),
        ('phi', {'rope_scaling': {'type': 'longrope'}}, 'short_factor is missing'),
        ('phi', {'rope_scaling': 3}, 'rope_scaling must be an object, got 3'),
        ('phi', {'partial_rotary_factor': 0.04}, 'rotary_dim must be even'),
        ('phi', {'num_attention_heads': 0}, 'num_heads must be positive'),
        ('phi', {'num_key_value_heads': 5}, 'num_kv_heads must divide'),
        ('phi', {'hidden_size': None}, 'hidden_size is missing'),
        ('phi', {'intermediate_size': None}, 'intermediate_size is missing'),
        ('phi', {'hidden_size': '2560'}, "hidden_size must be a whole number, got '2560'"),
        ('phi', {'hidden_size': 2560.0}, r'hidden_size must be a whole number, got 2560\.0'),
        ('phi', {'num_hidden_layers': True}, 'num_hidden_layers must be a whole number, got True'),
        ('phi', {'rope_theta': float('nan')}, 'rope_theta must be a finite number, got nan'),
        ('phi', {'rope_theta': 10**400}, 'rope_theta must be a finite number'),
        ('phi', {'layer_norm_eps': [1]}, r'layer_norm_eps must be a finite number, got \[1\]'),
        ('phi', {'resid_pdrop': True}, 'resid_pdrop must be a finite number, got True'),
        ('phi', {'qk_layernorm': 1}, 'qk_layernorm must be true or false, got 1'),
        ('phi-msft', {'activation_function': 'relu'}, "activation_function 'relu'"),
        ('phi-msft', {'n_head': 0}, 'num_heads must be positive'),
        ('phi-msft', {'n_layer': None}, 'n_layer is missing'),
        ('mixformer-sequential', {'architecture': {'block_cls': 'sequential'}}, "'sequential'"),
        ('mixformer-sequential', {'architecture': 'parallel'}, 'architecture must be an object'),
    ],
)
def test_mistakes(model_type, changes, said):
    fields = PHI2 if model_type == 'phi' else MICROSOFT_PHI2
    with pytest.raises(ValueError, match=said):
        read(model_type, fields | changes)


def test_what_is_written_reads_back():
    for config in (models.config('phi1'), models.config('phi2'), tiny.config(qk_layernorm=False)):
        written = phi.FAMILY.write(config)
        assert written['model_type'] == 'phi'
        assert read('phi', written) == dataclasses.replace(config, unroll=0)
        # Versions before 5 know only the spelling at the top, and 5 prefers the group.
        old = {**written, 'rope_parameters': None}
        assert read('phi', old) == read('phi', written)
        assert {**written, 'rope_theta': None, 'partial_rotary_factor': None} != written
        new = {**written, 'rope_theta': None, 'partial_rotary_factor': None}
        assert read('phi', new) == read('phi', written)
    assert 'head_dim' not in phi.FAMILY.write(models.config('phi2'))
    assert phi.FAMILY.write(tiny.config(qk_layernorm=False))['head_dim'] == 10


def test_factors_are_written_and_read_back():
    config = tiny.config(unroll=0, qk_layernorm=False, **LONGROPE)
    written = phi.FAMILY.write(config)
    assert read('phi', written) == config
    assert read('phi', {**written, 'rope_scaling': None}) == config
    assert read('phi', {**written, 'rope_parameters': None}) == config
    other = dataclasses.replace(config, long_magnitude=1.5)
    with pytest.raises(ValueError, match='one magnitude for short and long rows'):
        phi.FAMILY.write(other)


def test_the_rotary_factor_gives_back_every_size():
    for head_dim in range(2, 300):
        for rotary_dim in range(2, head_dim + 1, 2):
            assert int(head_dim * rope.rotary_factor(rotary_dim, head_dim)) == rotary_dim


def test_tables_name_every_parameter():
    everything = tiny.config(qk_layernorm=True)
    assert layout.covers(everything, phi.FAMILY.names[0])
    for names in phi.FAMILY.names:
        assert layout.covers(tiny.config(qk_layernorm=False), names)
    for names in phi.FAMILY.names[1:]:
        assert not layout.covers(everything, names)
