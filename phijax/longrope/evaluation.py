"""How well a model predicts rows with given factors, position by position."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from phijax import models
from phijax.evaluate.overfitting import tokens
from phijax.longrope.baselines import Method


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
    def losses(logits: Array, targets: Array) -> tuple[Array]:
        return (-tokens.log_probability(logits, targets),)

    x, _ = models.hidden(config, params, rows[:, :-1], rescaling=rescaling)
    return tokens.by_chunks(config, params, x, rows[:, 1:], losses)[0]
