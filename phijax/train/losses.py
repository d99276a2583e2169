"""The losses of pretraining, chat and preferences, which never need all logits at once."""

from typing import Any

import jax
import jax.numpy as jnp

from phijax import models

Batch = dict[str, jax.Array]

# What a loss gives besides its sum and the number of its terms, by the kind of the objective.
MEASURES: dict[str, tuple[str, ...]] = {
    'pretraining': (),
    'chat': (),
    'preference': ('reward_margin', 'accuracy'),
}


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
            With `learned` only the tokens where it is 1 are predicted: the words of a chat's
            assistant.
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
    if 'learned' in batch:
        counted &= batch['learned'][:, 1:] > 0
    x, _ = models.hidden(config, params, tokens[:, :-1], key=key, **context)
    targets = jnp.where(counted, tokens[:, 1:], -1)
    nats = _chunked_nats(config, params, x, targets, chunk or x.shape[1])
    return nats, counted.sum()


def preference(
    config: models.Config,
    params: Any,
    reference: Any,
    batch: Batch,
    *,
    beta: float,
    chunk: int = 0,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Sums over pairs: of DPO's loss, their number, the margins, and how often the chosen leads.

    A margin is beta times the difference of the two log ratios of policy and reference; the
    chosen answer leads where it is above 0.

    Source: arXiv:2305.18290, eq. 7.

    Args:
        reference: parameters of the policy at its start, of which there is no gradient.
        batch: as for pretraining with `learned`, each `(b, 2, t + 1)`: the chosen answer and then
            the rejected one, each after the same prompt.
        chunk: positions whose logits exist at once; 0 means all.
        key: turns the policy's dropout on; the reference has none.
    """
    policy = _answer_nats(config, params, batch, chunk, key)
    start = _answer_nats(config, jax.lax.stop_gradient(reference), batch, chunk, None)
    ratios = start - policy
    margins = beta * (ratios[:, 0] - ratios[:, 1])
    real = batch['segments'][:, 0, 0] > 0
    sums = (-jax.nn.log_sigmoid(margins), margins, jnp.float32(margins > 0))
    loss, margin, leads = (jnp.where(real, each, 0).sum() for each in sums)
    return loss, real.sum(), margin, leads


def _answer_nats(
    config: models.Config, params: Any, batch: Batch, chunk: int, key: jax.Array | None
) -> jax.Array:
    """-log p of each answer after its prompt, `(b, 2)`. Padding is behind all that is counted."""
    tokens, learned = (
        batch[name].reshape(-1, batch[name].shape[-1]) for name in ('tokens', 'learned')
    )
    x, _ = models.hidden(config, params, tokens[:, :-1], key=key)
    targets = jnp.where(learned[:, 1:] > 0, tokens[:, 1:], -1)
    return _chunked_nats(config, params, x, targets, chunk or x.shape[1], 1).reshape(-1, 2)


def _chunked_nats(
    config: models.Config,
    params: Any,
    x: jax.Array,
    targets: jax.Array,
    chunk: int,
    axis: int | None = None,
) -> jax.Array:
    """The sum of `_nats` over all positions, or along an axis."""
    length = x.shape[1]
    if chunk == length:
        return _nats(models.head(config, params, x), targets, axis)

    @jax.checkpoint
    def add(total: jax.Array, start: jax.Array) -> tuple[jax.Array, None]:
        part, part_targets = (
            jax.lax.dynamic_slice_in_dim(array, start, chunk, axis=1) for array in (x, targets)
        )
        return total + _nats(models.head(config, params, part), part_targets, axis), None

    zero = jnp.zeros(() if axis is None else x.shape[:1], jnp.float32)
    return jax.lax.scan(add, zero, jnp.arange(0, length, chunk))[0]


def _nats(logits: jax.Array, targets: jax.Array, axis: int | None = None) -> jax.Array:
    """Sum of -log p(target); a target of -1 adds nothing.

    The target's logit is taken by a masked sum: the gradient of a gather would be a scatter.
    """
    vocabulary = jnp.arange(logits.shape[-1])
    taken = jnp.where(vocabulary == targets[..., None], logits, 0).sum(axis=-1)
    nats = jax.nn.logsumexp(logits, axis=-1) - taken
    return jnp.where(targets >= 0, nats, 0).sum(axis=axis)
