"""Counts against arrays that exist only as shapes, and against XLA's own count of a program."""

import math

import jax
import jax.numpy as jnp
import pytest

from phijax import models
from phijax.models import arithmetic, tiles
from phijax.models.configs import Reach
from phijax.models.tiles import computed_pairs

# Wide heads keep the work that is not a product small; three blocks of queries, one short.
TINY = {
    'vocab_size': 512,
    'embed_dim': 128,
    'num_layers': 3,
    'num_heads': 4,
    'num_kv_heads': 2,
    'head_dim': 512,
    'mlp_dim': 256,
    'rotary_dim': 64,
}
BATCH, LENGTH = 2, 160


def _tiny(**overrides):
    return models.config('phi1', **TINY | overrides)


def _shapes(config):
    return jax.eval_shape(lambda: models.init(config, jax.random.key(0)))


def _forward(config):
    return lambda params, tokens: models.apply(config, params, tokens)[0]


def _gradient(config):
    def loss(params, tokens):
        logits = _forward(config)(params, tokens)
        hot = jnp.arange(config.vocab_size) == tokens[..., None]
        return (jax.nn.logsumexp(logits, axis=-1) - jnp.where(hot, logits, 0).sum(axis=-1)).mean()

    return jax.grad(loss)


def _measured(config, program):
    tokens = jax.ShapeDtypeStruct((BATCH, LENGTH), jnp.int32)
    compiled = jax.jit(program(config)).lower(_shapes(config), tokens).compile()
    return compiled.cost_analysis()['flops']


@pytest.mark.parametrize(
    ('name', 'count'),
    [
        ('codegen_350m', 356_712_448),
        ('phi1_small', 356_794_368),
        ('phi1', 1_418_270_720),
        ('phi1_5', 1_418_270_720),
        ('phi2', 2_779_683_840),
        ('phi3_mini', 3_821_079_552),
        ('phi3_mini_128k', 3_821_079_552),
        ('phi3_medium', 13_960_238_080),
        ('phi3_small', 7_392_272_384),
    ],
)
def test_published_models_have_their_number_of_parameters(name, count):
    assert arithmetic.count_parameters(models.config(name)) == count


@pytest.mark.parametrize('overrides', [{}, {'num_kv_heads': 4, 'qk_layernorm': True}])
def test_parameters_are_those_of_init(overrides):
    config = _tiny(**overrides)
    shapes = jax.tree.leaves(_shapes(config))
    assert arithmetic.count_parameters(config) == sum(math.prod(x.shape) for x in shapes)
    assert arithmetic.parameter_bytes(config) == sum(x.size * x.dtype.itemsize for x in shapes)
    assert arithmetic.moment_bytes(config) == 2 * arithmetic.parameter_bytes(config)


def test_matmul_parameters_are_the_kernels_without_the_embedding():
    # Per layer 4 d^2 of attention and 8 d^2 of the MLP, and the head.
    assert arithmetic.count_matmul_parameters(models.config('phi1')) == (
        24 * 12 * 2048**2 + 2048 * 51200
    )


def test_flops_of_a_step_are_six_per_parameter_and_token_plus_attention():
    config = models.config('phi1')
    length = 2048
    kernels = 6 * (24 * 12 * 2048**2 + 2048 * 51200) * length
    full_attention = 12 * 24 * 2048 * length * length
    assert arithmetic.flops(config, 1, length, causal=False) == kernels + full_attention
    assert arithmetic.flops(config, 1, length) == kernels + full_attention // 2
    assert arithmetic.flops(config, 5, length) == 5 * arithmetic.flops(config, 1, length)
    assert 3 * arithmetic.flops(config, 1, length, training=False) == arithmetic.flops(
        config, 1, length
    )


def test_executed_flops_are_those_xla_counts_in_an_unrolled_forward_pass():
    config = _tiny(num_layers=2, unroll=2)
    expected = arithmetic.executed_flops(config, BATCH, LENGTH, training=False)
    assert _measured(config, _forward) == pytest.approx(expected, rel=0.02)


def test_executed_flops_are_those_xla_counts_in_an_unrolled_gradient():
    # So wide that the scores, which XLA does not compute a second time here, are a small part.
    config = _tiny(num_layers=2, unroll=2, embed_dim=2048)
    expected = arithmetic.executed_flops(config, BATCH, LENGTH)
    assert _measured(config, _gradient) == pytest.approx(expected, rel=0.02)


SPARSE = {'block': 16, 'local_blocks': 2, 'stride': 4, 'dense_every': 2, 'dummy_tokens': ()}


def _sparse(**overrides):
    config = TINY | SPARSE | {'num_layers': 2, 'unroll': 2} | overrides
    return models.config('phi3_small', **config)


@pytest.mark.parametrize('homogeneous', [False, True])
def test_skipped_blocks_cost_nothing(monkeypatch, homogeneous):
    """A sparse layer runs the operations of the keys that it looks at, by XLA's own count."""
    monkeypatch.setattr(tiles, 'BLOCK', 32)
    config = _sparse(homogeneous=homogeneous)
    expected = arithmetic.executed_flops(config, BATCH, LENGTH, training=False)
    assert _measured(config, _forward) == pytest.approx(expected, rel=0.02)
    dense = arithmetic.executed_flops(_sparse(local_blocks=99), BATCH, LENGTH, training=False)
    assert expected < 0.96 * dense


def test_a_window_costs_its_keys(monkeypatch):
    monkeypatch.setattr(tiles, 'BLOCK', 32)
    config = models.config('phi3_mini', **TINY | {'num_layers': 2}, window=33, unroll=2)
    expected = arithmetic.executed_flops(config, BATCH, LENGTH, training=False)
    assert _measured(config, _forward) == pytest.approx(expected, rel=0.02)


def test_what_sparse_attention_saves():
    """The shares of phi-3-small: scores of a sparse layer, and bytes of the cache of the model."""
    config, homogeneous = (models.config('phi3_small', homogeneous=h) for h in (False, True))
    sparse, dense = config.pattern
    for length, scores, cache, least in (
        (8192, 0.324, 100 / 128, 79 / 128),
        (131072, 0.139, 0.752, 0.566),
    ):
        share = tiles.visible_pairs(length, sparse) / tiles.visible_pairs(length, dense)
        assert share == pytest.approx(scores, abs=1e-3)
        whole = 2 * 32 * 8 * 128 * 4 * length + 5
        assert arithmetic.cache_bytes(config, 1, length) / whole == pytest.approx(cache, abs=1e-3)
        found = arithmetic.cache_bytes(homogeneous, 1, length) / whole
        assert found == pytest.approx(least, abs=1e-3)


@pytest.mark.parametrize('remat', ['none', 'dots', 'full'])
def test_executed_flops_are_those_xla_counts_in_a_scanned_gradient(remat):
    config = _tiny(unroll=1, remat=remat)
    measured = _measured(config, _gradient)  # XLA counts the body of a loop once
    one_layer = _tiny(num_layers=1, remat=remat)
    expected = arithmetic.executed_flops(one_layer, BATCH, LENGTH)
    pairs = BATCH * computed_pairs(LENGTH, Reach())
    product = arithmetic._attention_product(one_layer, pairs)
    assert product > 0.04 * expected  # so that one product more or less shows
    assert measured == pytest.approx(expected, rel=0.02)


def test_what_is_computed_again_counts_as_executed_only():
    plain, remat = _tiny(), _tiny(remat='full')
    assert arithmetic.flops(plain, BATCH, LENGTH) == arithmetic.flops(remat, BATCH, LENGTH)
    assert arithmetic.executed_flops(plain, BATCH, LENGTH) < arithmetic.executed_flops(
        remat, BATCH, LENGTH
    )
    assert arithmetic.flops(plain, BATCH, LENGTH) < arithmetic.executed_flops(plain, BATCH, LENGTH)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_cache_bytes_are_those_of_the_cache(dtype):
    config = _tiny(dtype=dtype)
    cache = jax.eval_shape(lambda: models.init_cache(config, 3, 70))
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(cache))
    assert arithmetic.cache_bytes(config, 3, 70) == size
