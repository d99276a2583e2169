"""Next-token loss that never needs all logits at once."""

from typing import Any

import jax
import jax.numpy as jnp

from phijax import models

Batch = dict[str, jax.Array]


def pretraining(
    config: models.Config,
    params: Any,
    batch: Batch,
    *,
    within_documents: bool = False,
    chunk: int = 0,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Sum of the loss in nats over the predicted tokens, and how many there are.

    Args:
        batch: `tokens`, `segments` and `positions`, each `(b, t + 1)`; segment 0 is padding.
        within_documents: attention, positions and loss stay within documents. Otherwise a row is
            one stretch of text, as phi-1 was trained (Source: arXiv:2306.11644, sec. 2.3).
        chunk: positions whose logits exist at once; 0 means all.
    """
    tokens, segments = batch['tokens'], batch['segments']
    counted = segments[:, 1:] > 0
    context: dict[str, Any] = {}
    if within_documents:
        counted &= segments[:, 1:] == segments[:, :-1]
        context = {'segments': segments[:, :-1], 'positions': batch['positions'][:, :-1]}
    x, _ = models.hidden(config, params, tokens[:, :-1], key=key, **context)
    targets = jnp.where(counted, tokens[:, 1:], -1)
    nats = _chunked_nats(config, params, x, targets, chunk or x.shape[1])
    return nats, counted.sum()


def _chunked_nats(
    config: models.Config, params: Any, x: jax.Array, targets: jax.Array, chunk: int
) -> jax.Array:
    length = x.shape[1]
    if chunk == length:
        return _nats(models.head(config, params, x), targets)

    @jax.checkpoint
    def add(total: jax.Array, start: jax.Array) -> tuple[jax.Array, None]:
        part, part_targets = (
            jax.lax.dynamic_slice_in_dim(array, start, chunk, axis=1) for array in (x, targets)
        )
        return total + _nats(models.head(config, params, part), part_targets), None

    return jax.lax.scan(add, jnp.float32(0), jnp.arange(0, length, chunk))[0]


def _nats(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Sum of -log p(target); a target of -1 adds nothing.

    The target's logit is taken by a masked sum: the gradient of a gather would be a scatter.
    """
    vocabulary = jnp.arange(logits.shape[-1])
    taken = jnp.where(vocabulary == targets[..., None], logits, 0).sum(axis=-1)
    nats = jax.nn.logsumexp(logits, axis=-1) - taken
    return jnp.where(targets >= 0, nats, 0).sum()
