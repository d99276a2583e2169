"""The layers against their formulas in float64, and what follows from the names of the axes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from phijax.models import layers
from tests.models import tiny

CONFIG = tiny.config()


def _normal(seed, *shape, std=1.0):
    return jnp.asarray(np.random.default_rng(seed).normal(0, std, shape), jnp.float32)


@pytest.mark.parametrize(
    ('equation', 'kernel', 'bias'),
    [
        ('btd,dnh->btnh', 'dnh', 'nh'),
        ('btd,dkh->btkh', 'dkh', 'kh'),
        ('btnh,nhd->btd', 'nhd', 'd'),
        ('btd,df->btf', 'df', 'f'),
        ('btd,dv->btv', 'dv', 'v'),
    ],
)
def test_axes_and_shapes_follow_from_the_equation(equation, kernel, bias):
    layer, plain = (
        nnx.eval_shape(lambda has=has: layers.Einsum(equation, CONFIG, nnx.Rngs(0), bias=has))
        for has in (True, False)
    )
    for parameter, names in ((layer.kernel, kernel), (layer.bias, bias)):
        assert parameter.get_metadata()['axes'] == names
        assert parameter.shape == tuple(CONFIG.sizes[name] for name in names)
    assert not hasattr(plain, 'bias')


def test_einsum_is_a_product_plus_a_bias():
    layer = layers.Einsum('btd,dnh->btnh', CONFIG, nnx.Rngs(0), bias=True)
    layer.bias[...] = _normal(1, 6, 10)
    x = _normal(2, 2, 3, 24)
    exact = np.einsum('btd,dnh->btnh', *(np.float64(a) for a in (x, layer.kernel[...])))
    np.testing.assert_allclose(layer(x), exact + np.float64(layer.bias[...]), atol=1e-6)


def test_wide_products_are_float32_and_keep_their_gradients_narrow():
    layer = layers.Einsum('btd,dv->btv', CONFIG, nnx.Rngs(0), bias=True, wide=True)
    x, kernel = (a.astype(jnp.bfloat16) for a in (_normal(1, 2, 3, 24), _normal(2, 24, 61)))
    layer.kernel[...] = kernel
    y = layer(x)
    assert y.dtype == jnp.float32
    exact = np.einsum('btd,dv->btv', np.float64(x), np.float64(kernel))
    np.testing.assert_allclose(y, exact, atol=1e-5)

    product = lambda x, kernel: layers._wide_einsum('btd,dv->btv', x, kernel)  # noqa: E731
    y, pull = jax.vjp(product, x, kernel)
    assert [g.dtype for g in pull(y)] == [jnp.bfloat16, jnp.bfloat16]
    x, kernel = _normal(3, 2, 3, 24), _normal(4, 24, 61)
    y, pull = jax.vjp(product, x, kernel)
    _, exact = jax.vjp(lambda x, kernel: jnp.einsum('btd,dv->btv', x, kernel), x, kernel)
    for ours, theirs in zip(pull(y), exact(y), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)


def test_embed_takes_rows():
    layer = layers.Embed(CONFIG, nnx.Rngs(0))
    assert layer.kernel.get_metadata()['axes'] == 'vd'
    tokens = jnp.array([[3, 60, 0]])
    np.testing.assert_array_equal(layer(tokens), layer.kernel[...][np.array([[3, 60, 0]])])


@pytest.mark.parametrize('eps', [1e-5, 1e-2])
def test_layer_norm(eps):
    layer = layers.LayerNorm(tiny.config(norm_eps=eps))
    assert layer.scale.get_metadata()['axes'] == layer.bias.get_metadata()['axes'] == 'd'
    assert float(layer.scale[...].min()) == float(layer.scale[...].max()) == 1.0
    assert not layer.bias[...].any()
    layer.scale[...], layer.bias[...] = _normal(1, 24), _normal(2, 24)
    x = 3 + _normal(3, 2, 5, 24, std=0.1)
    wide = np.float64(x)
    normed = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(wide.var(-1, keepdims=True) + eps)
    exact = normed * np.float64(layer.scale[...]) + np.float64(layer.bias[...])
    np.testing.assert_allclose(layer(x), exact, atol=3e-5)


def test_layer_norm_of_a_head_and_in_half_precision():
    layer = layers.LayerNorm(CONFIG, 'h')
    assert layer.scale.shape == (10,)
    x = 100 + _normal(0, 2, 3, 4, 10).astype(jnp.bfloat16)
    y = layer(x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(y, layer(x.astype(jnp.float32)).astype(jnp.bfloat16))


def test_mlp_is_the_tanh_form_of_gelu_between_products():
    layer = layers.Mlp(CONFIG, nnx.Rngs(0), bias=True)
    for seed, part in enumerate((layer.up, layer.down)):
        part.kernel[...] = _normal(seed, *part.kernel.shape)
        part.bias[...] = _normal(seed + 2, *part.bias.shape)
    x = _normal(5, 1, 4, 24)
    up, down = layer.up, layer.down
    h = np.float64(x) @ np.float64(up.kernel[...]) + np.float64(up.bias[...])
    h = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
    exact = h @ np.float64(down.kernel[...]) + np.float64(down.bias[...])
    np.testing.assert_allclose(layer(x), exact, atol=1e-4)
    assert not hasattr(layers.Mlp(CONFIG, nnx.Rngs(0), bias=False).up, 'bias')


def test_dropout():
    x = _normal(0, 100, 100) + 5
    key = jax.random.key(1)
    assert layers.dropout(x, 0.3, None) is x
    assert layers.dropout(x, 0.0, key) is x
    y = np.asarray(layers.dropout(x, 0.3, key))
    kept = y != 0
    assert abs(kept.mean() - 0.7) < 0.02
    np.testing.assert_allclose(y[kept], np.asarray(x)[kept] / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(y, layers.dropout(x, 0.3, key))
    other = np.asarray(layers.dropout(x, 0.3, jax.random.key(2))) != 0
    assert abs((kept == other).mean() - 0.58) < 0.02  # 0.7 * 0.7 + 0.3 * 0.3: independent
    assert layers.dropout(x.astype(jnp.bfloat16), 0.3, key).dtype == jnp.bfloat16


def test_branches_of_a_key():
    key = jax.random.key(0)
    assert layers.fold_in(None, 3) is None
    assert layers.fold_in(key, 1) != layers.fold_in(key, 2)
    assert layers.fold_in(key, 1) == jax.random.fold_in(key, 1)


def test_gegelu_is_clamped_but_for_infinities():
    gate = jnp.array([1.0, 25.0, -25.0, jnp.inf, 1.0, 1.0])
    up = jnp.array([1.0, 1.0, 1.0, 1.0, -30.0, jnp.inf])
    y = layers.gegelu(gate, up, limit=20.0)
    quick = lambda x: x / (1 + np.exp(-1.702 * x))  # noqa: E731
    expected = [2 * quick(1.0), 2 * quick(20.0), 2 * quick(-25.0), np.inf, -19 * quick(1.0), np.inf]
    np.testing.assert_allclose(y, expected, rtol=1e-6)
