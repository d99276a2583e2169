"""Rotary embedding against its definition, computed with complex numbers in float64."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models
from phijax.models import rotary
from tests.models import tiny


def config(rotary_dim, theta):
    return tiny.config(head_dim=10, rotary_dim=rotary_dim, rope_theta=float(theta))


def _normal(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def _turned(x, positions, rotary_dim, theta):
    """Features i and i + r/2 as one complex number, turned by position * theta^(-2i/r)."""
    half = rotary_dim // 2
    x = np.asarray(x, np.float64)
    angles = np.asarray(positions, np.float64)[..., None] * theta ** -(np.arange(half) / half)
    pairs = (x[..., :half] + 1j * x[..., half:rotary_dim]) * np.exp(1j * angles)[:, :, None]
    return np.concatenate([pairs.real, pairs.imag, x[..., rotary_dim:]], axis=-1)


@pytest.mark.parametrize(('head_dim', 'rotary_dim', 'theta'), [(10, 4, 1e4), (8, 8, 500.0)])
def test_definition(head_dim, rotary_dim, theta):
    x = _normal(2, 5, 3, head_dim)
    positions = jnp.array([[0, 1, 2, 3, 2047], [7, 0, 100, 5, 6]])
    y = rotary.rotate(x, rotary.tables(config(rotary_dim, theta), positions))
    np.testing.assert_allclose(y, _turned(x, positions, rotary_dim, theta), atol=3e-4)
    np.testing.assert_allclose(y[1], _turned(x, positions, rotary_dim, theta)[1], atol=3e-5)
    np.testing.assert_array_equal(y[..., rotary_dim:], x[..., rotary_dim:])


def test_tables_are_float32():
    cos, sin = rotary.tables(config(6, 1e4), jnp.zeros((1, 4), jnp.int32))
    assert cos.shape == sin.shape == (1, 4, 3)
    assert cos.dtype == sin.dtype == jnp.float32


def test_scores_depend_on_distance_alone():
    query, key = _normal(2, 1, 4, 1, 8)

    def scores(shift):
        tables = rotary.tables(config(8, 1e4), jnp.arange(4)[None] + shift)
        q, k = rotary.rotate(query, tables), rotary.rotate(key, tables)
        return jnp.einsum('btnh,bsnh->ts', q, k)

    np.testing.assert_allclose(scores(0), scores(50), atol=1e-4)
    assert np.abs(scores(0) - jnp.einsum('btnh,bsnh->ts', query, key)).max() > 0.1


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_half_precision_rounds_once(dtype):
    x = _normal(1, 64, 2, 8).astype(dtype)
    positions = jnp.arange(64)[None] * 31
    tables = rotary.tables(config(6, 1e4), positions)
    y = rotary.rotate(x, tables)
    assert y.dtype == x.dtype
    exact = rotary.rotate(x.astype(jnp.float32), tables)
    np.testing.assert_array_equal(y, exact.astype(dtype))


def test_factors_divide_frequencies_and_the_magnitude_multiplies():
    x = _normal(2, 5, 3, 10)
    positions = jnp.array([[0, 1, 2, 3, 47], [7, 0, 100, 5, 6]])
    given = models.Rescaling(jnp.array([1.25, 3.0]), jnp.float32(1.5))
    y = rotary.rotate(x, rotary.tables(config(4, 500), positions, given))
    first, second = np.split(np.asarray(x)[..., :4], 2, axis=-1)
    angles = np.asarray(positions)[..., None] * np.array([1 / 1.25, 500**-0.5 / 3])
    turned = 1.5 * (first + 1j * second) * np.exp(1j * angles)[:, :, None]
    expected = np.concatenate([turned.real, turned.imag, x[..., 4:]], axis=-1)
    np.testing.assert_allclose(y, expected, atol=3e-5)


def test_factors_as_arrays_are_those_of_a_config():
    plain = tiny.config(rotary_dim=6, max_length=16)
    longer = dataclasses.replace(
        plain,
        max_length=64,
        original_length=16,
        short_factors=(1.0, 1.5, 2.0),
        long_factors=(1.25, 2.5, 4.0),
        short_magnitude=1.0,
        long_magnitude=1.125,
    )
    params, tokens = tiny.randomised(plain), tiny.tokens(plain, 2, 24)
    hidden = tiny.jit(models.hidden, static_argnums=0)
    expected, _ = hidden(longer, params, tokens)
    given = models.Rescaling(jnp.array(longer.long_factors), jnp.float32(1.125))
    for config in (plain, longer):
        found, _ = hidden(config, params, tokens, rescaling=given)
        np.testing.assert_array_equal(found, expected)
    short, _ = hidden(longer, params, tokens[:, :16])
    given = models.Rescaling(jnp.array(longer.short_factors), jnp.float32(1))
    found, _ = hidden(plain, params, tokens[:, :16], rescaling=given)
    np.testing.assert_array_equal(found, short)
    assert (found != expected[:, :16]).any()
    assert (short != hidden(plain, params, tokens[:, :16])[0]).any()
