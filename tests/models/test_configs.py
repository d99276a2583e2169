"""Configurations: the published sizes, and an answer to every mistake that can be made in one."""

import dataclasses
import json
import subprocess
import sys

import pytest

from phijax import models
from phijax.models import configs
from phijax.models.configs import Reach, Sparsity
from tests.models import tiny

# Rows of the vocabulary, width, layers, heads, key/value heads and their width, MLP, rotary share.
PUBLISHED = {
    'codegen_350m': (51200, 1024, 20, 16, 16, 64, 4096, 32),
    'phi1_small': (51200, 1024, 20, 16, 16, 64, 4096, 32),
    'phi1': (51200, 2048, 24, 32, 32, 64, 8192, 32),
    'phi1_5': (51200, 2048, 24, 32, 32, 64, 8192, 32),
    'phi2': (51200, 2560, 32, 32, 32, 80, 10240, 32),
    'phi3_mini': (32064, 3072, 32, 32, 32, 96, 8192, 96),
    'phi3_mini_128k': (32064, 3072, 32, 32, 32, 96, 8192, 96),
    'phi3_small': (100352, 4096, 32, 32, 8, 128, 14336, 128),
    'phi3_medium': (32064, 5120, 40, 40, 10, 128, 17920, 128),
    'phi3_medium_128k': (32064, 5120, 40, 40, 10, 128, 17920, 128),
    'smollm2_135m': (49152, 576, 30, 9, 3, 64, 1536, 64),
}
# Family, longest row, base of the rotation, dropout of embeddings, of residuals.
SETTINGS = {
    'codegen_350m': ('codegen', 2048, 1e4, 0.0, 0.0),
    'phi1_small': ('phi', 2048, 1e4, 0.0, 0.0),
    'phi1': ('phi', 2048, 1e4, 0.0, 0.0),
    'phi1_5': ('phi', 2048, 1e4, 0.0, 0.0),
    'phi2': ('phi', 2048, 1e4, 0.0, 0.1),
    'phi3_mini': ('phi3', 4096, 1e4, 0.0, 0.0),
    'phi3_mini_128k': ('phi3', 131072, 1e4, 0.0, 0.0),
    'phi3_small': ('phi3_small', 8192, 1e6, 0.1, 0.1),
    'phi3_medium': ('phi3', 4096, 1e4, 0.0, 0.0),
    'phi3_medium_128k': ('phi3', 131072, 1e4, 0.0, 0.0),
    'smollm2_135m': ('phi3', 8192, 1e5, 0.0, 0.0),
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_sizes(name):
    c = models.config(name)
    sizes = (c.vocab_size, c.embed_dim, c.num_layers, c.num_heads, c.num_kv_heads)
    assert (*sizes, c.head_dim, c.mlp_dim, c.rotary_dim) == PUBLISHED[name]
    settings = (c.family, c.max_length, c.rope_theta, c.embed_dropout, c.residual_dropout)
    assert settings == SETTINGS[name]
    assert (c.norm_eps, c.init_std, c.attention_dropout) == (1e-5, 0.02, 0.0)
    assert (c.dtype, c.remat, c.unroll, c.attention) == ('float32', 'none', 0, 'blocked')


def test_every_published_name_is_tested():
    assert set(configs.PUBLISHED) == set(PUBLISHED)


def test_what_only_phi3_has():
    assert not models.config('phi2').qk_layernorm
    mini, long = models.config('phi3_mini'), models.config('phi3_mini_128k')
    assert (mini.window, mini.original_length, mini.tied_head) == (2047, 0, False)
    assert (long.window, long.original_length) == (262144, 4096)
    small = models.config('phi3_small')
    assert small.pattern == (Reach(sparsity=Sparsity()), Reach())
    assert len(small.dummy_tokens) == 1 + 3 + 2 + 85
    assert {100257, 100261, 100262, 100263, 100266}.isdisjoint(small.dummy_tokens)


@pytest.mark.parametrize(
    ('fields', 'said'),
    [
        (
            {'original_length': 64},
            r'short_factors must be 2 numbers .* original_length \(64\), got 0',
        ),
        ({'short_factors': [1.0, 2.0]}, 'short_factors needs a positive original_length, got 0'),
        ({'short_factors': (1, 0), 'original_length': 1}, 'short_factors must be positive, got 0'),
        ({'short_factors': 'ab'}, "short_factors must be a list of numbers, got 'ab'"),
        ({'short_factors': ('a',)}, "short_factors must be float, got 'a'"),
        ({'long_magnitude': -1.0}, 'long_magnitude must not be negative, got -1.0'),
    ],
)
def test_mistakes_in_longrope(fields, said):
    with pytest.raises(ValueError, match=said):
        tiny.config(**fields)


def test_sizes_by_letter():
    sizes = {'l': 3, 'd': 24, 'n': 6, 'k': 2, 'h': 10, 'f': 40, 'v': 61, 'r': 4}
    assert tiny.config().sizes == sizes


def test_dict_round_trip():
    config = tiny.config(dtype='bfloat16', norm_eps=1e-3, unroll=2, attention_dropout=0.1)
    config = dataclasses.replace(
        config, original_length=9, short_factors=(1.0, 2.0), long_factors=(1.5, 3.0)
    )
    fields = models.to_dict(config)
    assert {type(value) for value in fields.values()} <= {str, int, float, bool, tuple}
    assert models.from_dict(json.loads(json.dumps(fields))) == config
    assert set(fields) == {field.name for field in dataclasses.fields(config)}
    assert models.from_dict(fields) == config
    assert hash(models.from_dict(fields)) == hash(config)


def test_configs_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny.config().num_layers = 4


def _without(name):
    fields = models.to_dict(tiny.config())
    del fields[name]
    return fields


@pytest.mark.parametrize(
    ('make', 'said'),
    [
        (lambda: models.config('phi1_smal'), r"'phi1_smal'.*phi1_small.*did you mean 'phi1_small'"),
        (
            lambda: models.config('gpt2'),
            r"'gpt2' is not one of phi1_small, phi1, phi1_5, phi2, phi3_mini, ",
        ),
        (lambda: models.config('phi1', num_layer=2), "did you mean 'num_layers'"),
        (lambda: models.from_dict(_without('family')), 'family .*None.* is not one of phi'),
        (lambda: models.from_dict(_without('head_dim')), 'also needs head_dim'),
        (lambda: models.from_dict({'family': 'phy'}), "'phy'.*did you mean 'phi'"),
        (lambda: models.from_dict({'family': 'phi'}), 'vocab_size, embed_dim, num_layers'),
        (lambda: tiny.config(rotary_dim=3), r'rotary_dim must be even and in 2\.\.10.*got 3'),
        (lambda: tiny.config(rotary_dim=0), 'rotary_dim.*got 0'),
        (lambda: tiny.config(rotary_dim=-2), 'rotary_dim.*got -2'),
        (lambda: tiny.config(rotary_dim=12), r'rotary_dim.*2\.\.10.*got 12'),
        (lambda: tiny.config(num_kv_heads=4), r'num_kv_heads must divide num_heads \(6\), got 4'),
        (lambda: tiny.config(dtype='float64'), "dtype 'float64'.*float32, bfloat16, float16"),
        (lambda: tiny.config(dtype='bfloat'), "did you mean 'bfloat16'"),
        (lambda: tiny.config(remat='all'), "remat 'all' is not one of none, dots, full"),
        (lambda: tiny.config(attention='flash'), "attention 'flash' is not one of blocked, cudnn"),
        (lambda: tiny.config(unroll=-1), 'unroll.*got -1'),
        (lambda: tiny.config(attention='cudnn'), 'cudnn.*bfloat16 or float16.*float32'),
        (
            lambda: tiny.config(attention='cudnn', dtype='bfloat16', attention_dropout=0.1),
            r'attention_dropout 0.*0\.1',
        ),
        (lambda: tiny.config(num_layers=2.5), r'num_layers must be int, got 2\.5'),
        (lambda: tiny.config(num_layers=True), 'num_layers must be int, got True'),
        (lambda: tiny.config(embed_dim='24'), "embed_dim must be int, got '24'"),
        (lambda: tiny.config(norm_eps='1e-5'), "norm_eps must be float, got '1e-5'"),
        (lambda: tiny.config(qk_layernorm='no'), "qk_layernorm must be bool, got 'no'"),
        (lambda: tiny.config(qk_layernorm=1), 'qk_layernorm must be bool, got 1'),
        (lambda: tiny.config(dtype=32), 'dtype must be str, got 32'),
    ],
)
def test_mistakes(make, said):
    with pytest.raises(ValueError, match=said):
        make()


POSITIVE = (
    'vocab_size',
    'embed_dim',
    'num_layers',
    'num_heads',
    'num_kv_heads',
    'head_dim',
    'mlp_dim',
    'max_length',
    'rope_theta',
    'norm_eps',
)


@pytest.mark.parametrize('field', POSITIVE)
@pytest.mark.parametrize('value', [0, -1])
def test_sizes_are_positive(field, value):
    with pytest.raises(ValueError, match=f'{field} must be positive, got {value}'):
        tiny.config(**{field: value})


@pytest.mark.parametrize('field', ['embed_dropout', 'residual_dropout', 'attention_dropout'])
def test_dropout_is_a_share(field):
    assert getattr(tiny.config(**{field: 0.0}), field) == 0.0
    assert getattr(tiny.config(**{field: 0.9}), field) == 0.9
    for value in (-0.1, 1.0, float('nan')):
        with pytest.raises(ValueError, match=rf'{field} must be in \[0, 1\), got {value}'):
            tiny.config(**{field: value})


def test_half_precision_with_cudnn_is_allowed():
    for dtype in ('bfloat16', 'float16'):
        assert tiny.config(attention='cudnn', dtype=dtype).attention == 'cudnn'


def test_a_whole_number_is_a_float_too():
    assert tiny.config(rope_theta=10000).rope_theta == 10000.0


def test_a_configuration_needs_no_jax():
    code = (
        'import sys; from phijax import models; models.config("phi2"); '
        'sys.exit(sum(name in sys.modules for name in ("jax", "flax", "numpy")))'
    )
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_the_public_face():
    for name in models.__all__:
        assert getattr(models, name) is not None
    with pytest.raises(AttributeError, match='no_such_name'):
        models.no_such_name  # noqa: B018
