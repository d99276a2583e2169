"""What llama.cpp rounds and phijax does not, put into phijax, to see what of a difference it makes.

On a CPU, llama.cpp multiplies quantised weights by inputs that it quantises too: 32 numbers share a
scale of half precision, and each becomes a whole number of 8 bits. GELU it looks up in a table of
half precision.
"""

import contextlib
from collections.abc import Iterator
from unittest import mock

import jax
import jax.numpy as jnp

from phijax.models import layers

BLOCK = 32
_gelu = jax.nn.gelu


def eight_bits(x: jax.Array) -> jax.Array:
    """`x` as its last axis looks after it was stored in blocks of 8 bits."""
    blocks = x.reshape(*x.shape[:-1], -1, BLOCK)
    scale = jnp.abs(blocks).max(axis=-1, keepdims=True) / 127
    whole = jnp.round(blocks / jnp.where(scale == 0, 1, scale))
    return (whole * scale.astype(jnp.float16).astype(x.dtype)).reshape(x.shape)


def half_gelu(x: jax.Array, *, approximate: bool) -> jax.Array:
    """GELU of `x` in half precision, rounded to half precision."""
    half = x.astype(jnp.float16).astype(x.dtype)
    return _gelu(half, approximate=approximate).astype(jnp.float16).astype(x.dtype)


@contextlib.contextmanager
def eight_bit_inputs() -> Iterator[None]:
    """Every product has inputs of 8 bits, in programs that are traced within this context."""
    product, wide = layers.Einsum.__call__, layers._wide_einsum
    with (
        mock.patch.object(layers.Einsum, '__call__', lambda own, x: product(own, eight_bits(x))),
        mock.patch.object(layers, '_wide_einsum', lambda e, x, k: wide(e, eight_bits(x), k)),
    ):
        yield


@contextlib.contextmanager
def half_precision_gelu() -> Iterator[None]:
    """GELU is that of a table in half precision, in programs traced within this context."""
    with mock.patch.object(jax.nn, 'gelu', half_gelu):
        yield
