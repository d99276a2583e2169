"""Counts against arrays that exist only as shapes, and against XLA's own count of a program."""

import math

import jax
import jax.numpy as jnp
import pytest

from phijax import models
from phijax.models import arithmetic
from phijax.models.blocked import computed_pairs
from phijax.models.configs import Reach

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
        ('phi1_small', 356_794_368),
        ('phi1', 1_418_270_720),
        ('phi1_5', 1_418_270_720),
        ('phi2', 2_779_683_840),
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
