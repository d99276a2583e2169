"""Rotary position embedding on the first features of each head, and LongRoPE's rescaling of it."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from phijax.models.configs import Config

Tables = tuple[Float[Array, 'b t c'], Float[Array, 'b t c']]


def tables(
    config: Config, positions: Int[Array, 'b t'], long: Bool[Array, ' b'] | None = None
) -> Tables:
    """Cosines and sines `(b, t, rotary_dim / 2)` of the angle of each pair, in float32.

    Source: arXiv:2104.09864, sec. 3.2.2: pair i turns by position / theta^(2i / rotary_dim).
    Source: modeling_rope_utils.py of transformers (longrope): each frequency is divided by its
    factor, and cosines and sines are multiplied by the magnitude.

    Args:
        long: the rows that have the long factors of LongRoPE; needed where `config` has factors.
    """
    exponents = jnp.arange(0, config.rotary_dim, 2, dtype=jnp.float32) / config.rotary_dim
    periods = config.rope_theta**exponents
    wide = positions[..., None].astype(jnp.float32)
    if long is None or not config.original_length:
        angles = wide / periods
        return jnp.cos(angles), jnp.sin(angles)
    rows = long[:, None, None]
    factors = jnp.where(rows, jnp.array(config.long_factors), jnp.array(config.short_factors))
    factor = jnp.where(rows, magnitude(config, long=True), magnitude(config, long=False))
    angles = wide / (periods * factors)
    return jnp.cos(angles) * factor, jnp.sin(angles) * factor


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


def magnitude(config: Config, *, long: bool) -> float:
    """What LongRoPE multiplies queries and keys by, for attention over more keys to stay sharp.

    Source: arXiv:2404.14219's config.json (`short_mscale`, `long_mscale`), and without them
    sqrt(1 + ln(s) / ln(L)) for L = original_length stretched s times, at short lengths too.
    """
    given = config.long_magnitude if long else config.short_magnitude
    stretch = config.max_length / config.original_length
    if given or stretch <= 1:
        return given or 1.0
    return math.sqrt(1 + math.log(stretch) / math.log(config.original_length))
