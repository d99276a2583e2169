"""How well a model predicts rows with given factors, position by position."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from phijax import models
from phijax.longrope.baselines import Method

# Positions whose logits exist at once.
_CHUNK = 512


def nats(
    config: models.Config,
    params: models.Params,
    rows: np.ndarray,
    method: Method,
    rows_at_once: int,
) -> np.ndarray:
    """The loss of each next token `(rows, length)`; one program serves every method.

    Args:
        config: without LongRoPE, which the method stands for.
        rows: of length + 1 tokens.
    """
    factors = jnp.array(method.factors, jnp.float32)
    rescaling = models.Rescaling(factors, jnp.float32(method.magnitude))
    parts = []
    for start in range(0, len(rows), rows_at_once):
        part = rows[start : start + rows_at_once]
        full = np.resize(part, (min(rows_at_once, len(rows)), rows.shape[1]))
        parts.append(np.asarray(_nats(config, params, full, rescaling))[: len(part)])
    return np.concatenate(parts)


@functools.partial(jax.jit, static_argnums=0)
def _nats(
    config: models.Config,
    params: models.Params,
    rows: Int[Array, 'b s'],
    rescaling: models.Rescaling,
) -> Float[Array, 'b t']:
    x, _ = models.hidden(config, params, rows[:, :-1], rescaling=rescaling)
    batch, length, _ = x.shape
    chunk = min(_CHUNK, length)
    padding = -length % chunk

    def cut(array: Array) -> Array:
        padded = jnp.pad(array, [(0, 0), (0, padding)] + [(0, 0)] * (array.ndim - 2))
        return padded.reshape(batch, -1, chunk, *array.shape[2:]).swapaxes(0, 1)

    def losses(part: tuple[Array, Array]) -> Array:
        logits = models.head(config, params, part[0])
        taken = jnp.take_along_axis(logits, part[1][..., None], axis=-1)[..., 0]
        return jax.nn.logsumexp(logits, axis=-1) - taken

    chunks = jax.lax.map(losses, (cut(x), cut(rows[:, 1:])))
    return chunks.swapaxes(0, 1).reshape(batch, -1)[:, :length]
