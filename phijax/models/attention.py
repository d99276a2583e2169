"""Causal attention with grouped heads: one layer, its cache, and the product behind it."""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from phijax.models import rotary
from phijax.models.configs import Config
from phijax.models.layers import Einsum, LayerNorm, fold_in

BLOCK = 64
MOST_BLOCKS = 16
_HEADS_FIRST = 'bkgth,bksh->bkgts'
_MASKED = -1e30

Cache = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Mask:
    """Which keys a query sees besides those after it, as structure and never as a dense boolean.

    Attributes:
        segments: number of the document of each position; attention stays within a document.
        window: how many keys a query sees at most, itself included.
    """

    segments: Int[Array, 'b t'] | None = None
    window: int | None = None


class Inputs(NamedTuple):
    """What a layer needs besides its parameters and `x`."""

    layer: Int[Array, '']
    positions: Int[Array, 'b t']
    tables: rotary.Tables
    mask: Mask
    cache: Cache | None
    key: Key[Array, ''] | None


class Attention(nnx.Module):
    """Projections, rotation, causal attention over `n` query heads and `k` key/value heads."""

    def __init__(
        self, config: Config, rngs: nnx.Rngs, *, bias: bool, normalise: bool = False
    ) -> None:
        """Builds the four products.

        Args:
            normalise: queries and keys of each head go through a LayerNorm (`qk_layernorm`).
        """
        self.query = Einsum('btd,dnh->btnh', config, rngs, bias=bias)
        self.key = Einsum('btd,dkh->btkh', config, rngs, bias=bias)
        self.value = Einsum('btd,dkh->btkh', config, rngs, bias=bias)
        self.out = Einsum('btnh,nhd->btd', config, rngs, bias=bias)
        if normalise:
            self.query_norm = LayerNorm(config, 'h')
            self.key_norm = LayerNorm(config, 'h')
        self.dropout = config.attention_dropout
        self.implementation = config.attention

    def __call__(
        self, x: Float[Array, 'b t d'], inputs: Inputs
    ) -> tuple[Float[Array, 'b t d'], Cache | None]:
        """What each position gathers from those before it, and the cache with its keys added."""
        query, key, value = self.query(x), self.key(x), self.value(x)
        if hasattr(self, 'query_norm'):
            query, key = self.query_norm(query), self.key_norm(key)
        query = rotary.rotate(query, inputs.tables)
        key = rotary.rotate(key, inputs.tables)
        cache = inputs.cache
        if cache is not None:
            cache = write(cache, inputs.layer, inputs.positions, key, value)
            keys, values = cache['key'][inputs.layer], cache['value'][inputs.layer]
            y = attend_cached(query, keys, values, inputs.positions)
        elif self.implementation == 'cudnn':
            y = _attend_cudnn(query, key, value, inputs.mask)
        else:
            random = fold_in(inputs.key, 0)
            y = attend(query, key, value, inputs.mask, rate=self.dropout, key_=random)
        return self.out(y), cache


def init_cache(config: Config, batch: int, length: int) -> Cache:
    """An empty cache for `length` positions of `batch` rows, right-padded, in the compute dtype.

    `index` counts what each row holds; key and value are `(l, b, s, k, h)`.
    """
    shape = (config.num_layers, batch, length, config.num_kv_heads, config.head_dim)
    return {
        'key': jnp.zeros(shape, config.dtype),
        'value': jnp.zeros(shape, config.dtype),
        'index': jnp.zeros(batch, jnp.int32),
    }


def write(
    cache: Cache,
    layer: Int[Array, ''],
    positions: Int[Array, 'b t'],
    key: Float[Array, 'b t k h'],
    value: Float[Array, 'b t k h'],
) -> Cache:
    """The cache with the keys and values of one layer at `positions`; `index` stays as it was."""
    rows = jnp.arange(key.shape[0])[:, None]
    place = (layer, rows, positions)
    return cache | {
        'key': cache['key'].at[place].set(key, mode='drop'),
        'value': cache['value'].at[place].set(value, mode='drop'),
    }


def attend_cached(
    query: Float[Array, 'b t n h'],
    key: Float[Array, 'b s k h'],
    value: Float[Array, 'b s k h'],
    positions: Int[Array, 'b t'],
) -> Float[Array, 'b t n h']:
    """Attention of new queries to a cache whose slot is the position of its key."""
    slots = jnp.arange(key.shape[1])
    visible = slots[None, None, :] <= positions[:, :, None]
    scores = _scores('btkgh,bskh->bkgts', _grouped(query, key.shape[2]), key)
    weights = jax.nn.softmax(jnp.where(visible[:, None, None], scores, _MASKED), axis=-1)
    y = jnp.einsum('bkgts,bskh->btkgh', weights.astype(value.dtype), value)
    return y.reshape(query.shape)


def attend(
    query: Float[Array, 'b t n h'],
    key: Float[Array, 'b t k h'],
    value: Float[Array, 'b t k h'],
    mask: Mask,
    *,
    rate: float = 0.0,
    key_: Key[Array, ''] | None = None,
) -> Float[Array, 'b t n h']:
    """Exact causal attention that neither computes nor keeps what the mask's structure hides.

    Queries go block by block, each over the keys that its block can reach, so half of the scores
    of plain causal attention are never computed, and the backward pass computes the weights
    again instead of keeping them. Scores and softmax are float32 in every compute dtype.

    Args:
        rate: dropout of the attention weights, drawn from `key_`; no key, no dropout.
    """
    y = _blocked(
        mask.window,
        rate if key_ is not None else 0.0,
        jnp.einsum('btkgh->bkgth', _grouped(query, key.shape[2])),
        jnp.einsum('bskh->bksh', key),
        jnp.einsum('bskh->bksh', value),
        mask.segments,
        key_,
    )
    return jnp.einsum('bkgth->btkgh', y).reshape(query.shape)


def _attend_cudnn(query: Array, key: Array, value: Array, mask: Mask) -> Array:
    dense = None
    if mask.segments is not None:
        dense = mask.segments[:, None, :, None] == mask.segments[:, None, None, :]
    window = None if mask.window is None else (mask.window - 1, 0)
    return jax.nn.dot_product_attention(
        query,
        key,
        value,
        mask=dense,
        is_causal=True,
        local_window_size=window,
        implementation='cudnn',
    )


def _grouped(query: Array, num_kv_heads: int) -> Array:
    batch, length, num_heads, head_dim = query.shape
    return query.reshape(batch, length, num_kv_heads, num_heads // num_kv_heads, head_dim)


def _scores(equation: str, query: Array, key: Array) -> Array:
    """Scaled products of grouped queries and keys, `(b, k, g, t, s)` in float32."""
    if query.dtype == jnp.float16:  # phi-2's scores overflow half precision
        query, key = query.astype(jnp.float32), key.astype(jnp.float32)
    scale = 1 / math.sqrt(query.shape[-1])
    scores = jnp.einsum(equation, query, key, preferred_element_type=jnp.float32)
    return scores * scale


def block_length(length: int) -> int:
    """How many queries go at once: a fixed share of a long row, so that programs stay small."""
    return max(BLOCK, -(-length // MOST_BLOCKS))


def _spans(length: int, window: int | None) -> list[tuple[int, int, int]]:
    """Per block of queries: its first query, its end, and the first key that it can reach."""
    block = block_length(length)
    reach = length if window is None else window
    return [(t, min(t + block, length), max(0, t - reach + 1)) for t in range(0, length, block)]


def _visible(span: tuple[int, int, int], window: int | None, segments: Array | None) -> Array:
    """Dense mask of one block, `(1 or b, 1, 1, t, s)`."""
    first, last, reach = span
    distance = jnp.arange(first, last)[:, None] - jnp.arange(reach, last)[None, :]
    visible = distance >= 0
    if window is not None:
        visible &= distance < window
    if segments is None:
        return visible[None, None, None]
    same = segments[:, first:last, None] == segments[:, None, reach:last]
    return (visible[None] & same)[:, None, None]


def _keep(key: Array | None, block: int, rate: float, shape: tuple[int, ...]) -> Array | float:
    """Dropout's factor on the weights of one block: 0 or 1 / (1 - rate)."""
    if not rate or key is None:
        return 1.0
    kept = jax.random.bernoulli(jax.random.fold_in(key, block), 1 - rate, shape)
    return jnp.where(kept, 1 / (1 - rate), 0.0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _blocked(
    window: int | None,
    rate: float,
    query: Array,
    key: Array,
    value: Array,
    segments: Array | None,
    dropout_key: Array | None,
) -> Array:
    return _blocked_forward(window, rate, query, key, value, segments, dropout_key)[0]


def _blocked_forward(
    window: int | None,
    rate: float,
    query: Array,
    key: Array,
    value: Array,
    segments: Array | None,
    dropout_key: Array | None,
) -> tuple[Array, tuple]:
    outputs, normalisers = [], []
    for block, span in enumerate(_spans(query.shape[3], window)):
        first, last, reach = span
        scores = _scores(_HEADS_FIRST, query[..., first:last, :], key[..., reach:last, :])
        scores = jnp.where(_visible(span, window, segments), scores, _MASKED)
        normaliser = jax.nn.logsumexp(scores, axis=-1, keepdims=True)
        weights = jnp.exp(scores - normaliser)
        weights *= _keep(dropout_key, block, rate, weights.shape)
        weights = weights.astype(value.dtype)
        outputs.append(jnp.einsum('bkgts,bksh->bkgth', weights, value[..., reach:last, :]))
        normalisers.append(normaliser)
    output = jnp.concatenate(outputs, axis=3)
    return output, (query, key, value, segments, dropout_key, output, normalisers)


def _blocked_backward(window: int | None, rate: float, kept: tuple, gradient: Array) -> tuple:
    query, key, value, segments, dropout_key, output, normalisers = kept
    scale = 1 / math.sqrt(query.shape[-1])
    wide = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
    query_gradients = []
    key_gradient, value_gradient = (jnp.zeros(x.shape, jnp.float32) for x in (key, value))
    through = (gradient.astype(jnp.float32) * output.astype(jnp.float32)).sum(axis=-1)[..., None]
    for block, span in enumerate(_spans(query.shape[3], window)):
        first, last, reach = span
        block_query, block_gradient = query[..., first:last, :], gradient[..., first:last, :]
        block_key, block_value = key[..., reach:last, :], value[..., reach:last, :]
        scores = _scores(_HEADS_FIRST, block_query, block_key)
        scores = jnp.where(_visible(span, window, segments), scores, _MASKED)
        weights = jnp.exp(scores - normalisers[block])
        keep = _keep(dropout_key, block, rate, weights.shape)
        used = (weights * keep).astype(value.dtype)
        value_gradient = value_gradient.at[..., reach:last, :].add(
            wide('bkgts,bkgth->bksh', used, block_gradient)
        )
        pull = wide('bkgth,bksh->bkgts', block_gradient, block_value) * keep
        pull = (weights * (pull - through[..., first:last, :]) * scale).astype(query.dtype)
        query_gradients.append(wide('bkgts,bksh->bkgth', pull, block_key))
        key_gradient = key_gradient.at[..., reach:last, :].add(
            wide('bkgts,bkgth->bksh', pull, block_query)
        )
    query_gradient = jnp.concatenate(query_gradients, axis=3)
    return (
        query_gradient.astype(query.dtype),
        key_gradient.astype(key.dtype),
        value_gradient.astype(value.dtype),
        None,
        None,
    )


_blocked.defvjp(_blocked_forward, _blocked_backward)
