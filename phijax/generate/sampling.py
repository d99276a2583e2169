"""From scores to tokens. Each row is drawn with its own key, so no row depends on another."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key


def choose(
    logits: Float[Array, 'b v'],
    keys: Key[Array, 'b'],
    *,
    temperature: float | Float[Array, ''],
    top_p: float | Float[Array, ''] = 1.0,
) -> Int[Array, 'b']:
    """One token per row: the likeliest at temperature 0, otherwise one drawn with the row's key.

    Args:
        temperature: what the logits are divided by before the softmax.
        top_p: draw from the `nucleus` of this probability; 1 draws from the whole vocabulary.
    """

    def draw() -> Int[Array, 'b']:
        below_best = logits - logits.max(axis=-1, keepdims=True)
        scaled = below_best / temperature  # the best stays 0 at any temperature
        kept = jax.lax.cond(top_p < 1, lambda: nucleus(scaled, top_p), lambda: scaled)
        return jax.vmap(jax.random.categorical)(keys, kept)

    return jax.lax.cond(temperature > 0, draw, lambda: jnp.argmax(logits, axis=-1))


def nucleus(logits: Float[Array, 'b v'], top_p: float | Float[Array, '']) -> Float[Array, 'b v']:
    """`logits` with minus infinity outside the fewest tokens whose probabilities reach `top_p`.

    Tokens exactly as likely as the last one kept are kept too.
    Source: arXiv:1904.09751, sec. 3.1.
    """
    probabilities = jax.nn.softmax(logits, axis=-1)
    ordered = jnp.flip(jnp.sort(probabilities, axis=-1), axis=-1)
    before = jnp.cumsum(ordered, axis=-1) - ordered
    least = jnp.where(before < top_p, ordered, jnp.inf).min(axis=-1, keepdims=True)
    return jnp.where(probabilities >= least, logits, -jnp.inf)
