"""Rotary position embedding on the first features of each head."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Tables = tuple[Float[Array, 'b t c'], Float[Array, 'b t c']]


def tables(positions: Int[Array, 'b t'], rotary_dim: int, theta: float) -> Tables:
    """Cosines and sines `(b, t, rotary_dim / 2)` of the angle of each pair, in float32.

    Source: arXiv:2104.09864, sec. 3.2.2: pair i turns by position / theta^(2i / rotary_dim).
    """
    exponents = jnp.arange(0, rotary_dim, 2, dtype=jnp.float32) / rotary_dim
    angles = positions[..., None].astype(jnp.float32) / theta**exponents
    return jnp.cos(angles), jnp.sin(angles)


def rotate(x: Float[Array, 'b t n h'], tables: Tables) -> Float[Array, 'b t n h']:
    """`x` with its first features turned by their position, the others untouched.

    Feature i is paired with feature i + rotary_dim / 2 (the half-split layout).
    Source: modular_phi.py of transformers (`rotate_half` on `partial_rotary_factor` of a head).
    """
    cos, sin = (table[:, :, None, :] for table in tables)
    half = cos.shape[-1]
    first, second, rest = jnp.split(x, (half, 2 * half), axis=-1)
    first, second = first.astype(jnp.float32), second.astype(jnp.float32)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return jnp.concatenate([turned.astype(x.dtype), rest], axis=-1)
