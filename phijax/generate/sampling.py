"""From scores to tokens. Each row is drawn with its own key, so no row depends on another."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

Number = float | Float[Array, '']


def choose(
    logits: Float[Array, 'b v'],
    keys: Key[Array, 'b'],
    *,
    temperature: Number,
    top_k: int | Int[Array, ''] = 0,
    top_p: Number = 1.0,
    min_p: Number = 0.0,
) -> Int[Array, 'b']:
    """One token per row: the likeliest at temperature 0, otherwise one drawn with the row's key.

    Args:
        temperature: what the logits are divided by before the softmax.
        top_k, top_p, min_p: as of `keep`.
    """

    def draw() -> Int[Array, 'b']:
        below_best = logits - logits.max(axis=-1, keepdims=True)
        scaled = below_best / temperature  # the best stays 0 at any temperature
        kept = keep(scaled, top_k=top_k, top_p=top_p, min_p=min_p)
        return jax.vmap(jax.random.categorical)(keys, kept)

    return jax.lax.cond(temperature > 0, draw, lambda: jnp.argmax(logits, axis=-1))


def keep(
    logits: Float[Array, 'b v'],
    *,
    top_k: int | Int[Array, ''] = 0,
    top_p: Number = 1.0,
    min_p: Number = 0.0,
) -> Float[Array, 'b v']:
    """`logits` with minus infinity for the tokens that are not to be drawn.

    Tokens exactly as likely as the last one kept are kept too. A limit that is off costs nothing.

    Source: arXiv:1904.09751, sec. 3.1 (`top_p`); arXiv:2407.01082, sec. 3 (`min_p`); the order is
    that of `_get_logits_processor` of transformers.

    Args:
        top_k: how many of the likeliest tokens are kept; 0 is no limit.
        top_p: of those, the fewest whose probabilities reach this sum are kept.
        min_p: of those, the ones at least this share as likely as the likeliest are kept.
    """
    num_kept = jnp.where(top_k > 0, jnp.minimum(top_k, logits.shape[-1]), logits.shape[-1])
    ordered = jax.lax.cond(
        (num_kept < logits.shape[-1]) | (top_p < 1),
        lambda: _least_of_best(logits, num_kept, top_p),
        lambda: jnp.full((len(logits), 1), -jnp.inf, logits.dtype),
    )
    least = jnp.maximum(ordered, logits.max(axis=-1, keepdims=True) + jnp.log(min_p))
    return jnp.where(logits >= least, logits, -jnp.inf)


def penalise(
    logits: Float[Array, 'b v'],
    tokens: Int[Array, 'b s'],
    lengths: Int[Array, 'b'],
    penalty: Number,
) -> Float[Array, 'b v']:
    """`logits`, lower where the token is among the first `lengths` of its row; 1 changes nothing.

    Source: arXiv:1909.05858, sec. 4.1.
    Deviation: negative scores are multiplied, as transformers does, so that they fall too.
    """

    def lowered() -> Float[Array, 'b v']:
        written = jnp.arange(tokens.shape[1])[None] < lengths[:, None]
        places = jnp.where(written, tokens, logits.shape[1])
        rows = jnp.arange(len(tokens))[:, None]
        seen = jnp.zeros(logits.shape, bool).at[rows, places].set(True, mode='drop')
        return jnp.where(seen, jnp.where(logits > 0, logits / penalty, logits * penalty), logits)

    return jax.lax.cond(penalty != 1, lowered, lambda: logits)


def _least_of_best(
    logits: Float[Array, 'b v'], num_kept: Int[Array, ''], top_p: Number
) -> Float[Array, 'b 1']:
    """The least score among the `num_kept` best that reach `top_p` together."""
    ordered = jnp.flip(jnp.sort(logits, axis=-1), axis=-1)
    # All that are as good as the last of them count, as they are kept as well.
    last = jnp.take(ordered, num_kept - 1, axis=-1)[:, None]
    best = jnp.where(ordered >= last, ordered, -jnp.inf)
    probabilities = jax.nn.softmax(best, axis=-1)
    before = jnp.cumsum(probabilities, axis=-1) - probabilities
    reached = (before < top_p) & (ordered >= last)
    return jnp.where(reached, ordered, jnp.inf).min(axis=-1, keepdims=True)
