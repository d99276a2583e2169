"""The compiled part of generation: prompts into a cache, and the loop over new tokens."""

import functools
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from phijax import models
from phijax.generate import sampling


class Drawing(NamedTuple):
    """How tokens are drawn: the stream of each row, the limits, and what ends a row."""

    keys: Key[Array, ' b']
    temperature: Float[Array, '']
    top_k: Int[Array, '']
    top_p: Float[Array, '']
    min_p: Float[Array, '']
    repetition_penalty: Float[Array, '']
    vocab_size: Int[Array, '']
    ends: Int[Array, ' e']


class Rows(NamedTuple):
    """Rows under way: their tokens, the keys and values of all but the last, and which ended.

    `cache.lengths` counts those keys, so it is also the place of each row's last token.
    """

    tokens: Int[Array, 'b s']
    cache: models.Cache
    ended: Bool[Array, ' b']


@functools.partial(jax.jit, static_argnames=('config', 'width'))
def prefill(
    config: models.Config,
    params: models.Params,
    tokens: Int[Array, 'b s'],
    lengths: Int[Array, ' b'],
    width: int,
) -> Rows:
    """The rows before their first new token. Rows of length 0 are padding and have ended.

    The last token of a prompt is left to the first step of decoding, which so is like the others.

    Args:
        width: no row of `tokens` is longer.
    """
    cache = models.init_cache(config, *tokens.shape)
    if config.original_length:
        cache = cache._replace(long=lengths > config.original_length)
    before = jnp.maximum(lengths - 1, 0)
    return Rows(tokens, _written(config, params, tokens[:, :width], before, cache), lengths == 0)


@functools.partial(jax.jit, static_argnames='config', donate_argnames='rows')
def decode(
    config: models.Config,
    params: models.Params,
    rows: Rows,
    drawing: Drawing,
    over: Bool[Array, ' b'],
    length: int | Int[Array, ''],
) -> tuple[Rows, Bool[Array, ' b']]:
    """The rows with new tokens until the first has `length` keys, and which have to `restart`.

    It is done earlier where all have ended, or where some have to start again before they go on.

    Args:
        over: rows that are to end now.
    """

    def unfinished(rows: Rows) -> Bool[Array, '']:
        stopped = rows.ended.all() | _crossing(config, rows).any()
        return (rows.cache.lengths[0] < length) & ~stopped

    rows = rows._replace(ended=rows.ended | over)
    rows = jax.lax.while_loop(unfinished, lambda rows: _extend(config, params, rows, drawing), rows)
    return rows, _crossing(config, rows)


@functools.partial(jax.jit, static_argnames=('config', 'width'), donate_argnames='rows')
def restart(
    config: models.Config, params: models.Params, rows: Rows, places: Int[Array, ' r'], width: int
) -> Rows:
    """The rows with those at `places` processed again, with the long factors of LongRoPE.

    The keys of the other rows stay as they are, to the bit.

    Args:
        places: beyond the last row for none.
        width: no row at `places` has more keys.
    """
    tokens = rows.tokens.at[places].get(mode='clip')
    lengths = rows.cache.lengths.at[places].get(mode='clip')
    empty = models.init_cache(config, *tokens.shape)
    empty = empty._replace(long=jnp.ones_like(empty.long))
    again = _written(config, params, tokens[:, :width], lengths, empty)
    layers = jax.tree.map(
        lambda old, new: old.at[:, places].set(new, mode='drop'), rows.cache.layers, again.layers
    )
    long = rows.cache.long.at[places].set(True, mode='drop')
    return rows._replace(cache=rows.cache._replace(long=long, layers=layers))


def _crossing(config: models.Config, rows: Rows) -> Bool[Array, ' b']:
    """The rows that cannot go on with the short factors of LongRoPE that their keys have."""
    if not config.original_length:
        return jnp.zeros_like(rows.ended)
    full = rows.cache.lengths >= config.original_length
    return full & ~rows.cache.long & ~rows.ended


def _written(
    config: models.Config,
    params: models.Params,
    tokens: Int[Array, 'b t'],
    lengths: Int[Array, ' b'],
    cache: models.Cache,
) -> models.Cache:
    _, cache_after = models.hidden(config, params, tokens, lengths=lengths, cache=cache)
    return cast(models.Cache, cache_after)


def _extend(config: models.Config, params: models.Params, rows: Rows, drawing: Drawing) -> Rows:
    """The rows after one new token."""
    last = jnp.take_along_axis(rows.tokens, rows.cache.lengths[:, None], axis=1)
    logits, extended = models.apply(config, params, last, cache=rows.cache)
    cache = cast(models.Cache, extended)
    allowed = jnp.arange(config.vocab_size) < drawing.vocab_size
    scores = sampling.penalise(logits[:, 0], rows.tokens, cache.lengths, drawing.repetition_penalty)
    chosen = sampling.choose(
        jnp.where(allowed, scores, -jnp.inf),
        jax.vmap(jax.random.fold_in)(drawing.keys, cache.lengths),
        temperature=drawing.temperature,
        top_k=drawing.top_k,
        top_p=drawing.top_p,
        min_p=drawing.min_p,
    )
    tokens = rows.tokens.at[jnp.arange(len(last)), cache.lengths].set(chosen)
    return Rows(tokens, cache, rows.ended | jnp.isin(chosen, drawing.ends))
