"""Exact causal attention, block of queries by block, over what the mask's structure leaves.

Nothing that the structure hides is computed or kept, in either direction; it runs on every backend.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from phijax.models import sparsity
from phijax.models.configs import Reach
from phijax.models.tiles import Place, band, is_band, near_visible, needed, pattern_of, walk

MASKED = -1e30


@dataclasses.dataclass(frozen=True)
class Mask:
    """Which keys a query sees besides those after it, as structure and never as a dense boolean.

    Attributes:
        segments: number of the document of each position; attention stays within a document.
        reach: how far back a query sees.
    """

    segments: Int[Array, 'b t'] | None = None
    reach: Reach = dataclasses.field(default_factory=Reach)


class Part(NamedTuple):
    """Keys and values that queries see a part of.

    Attributes:
        letters: the axes of keys, `bksh` or, where each query head has its own, `bkgsh`.
        blocks: the number of each key's block, `(k, g, s)`, where keys are those of one residue.
        segments: the document of each key, `(b, s)` or `(b, k, g, s)`.
        padding: how many keys that are none stand before the first.
    """

    letters: str
    key: Array
    value: Array
    blocks: np.ndarray | None
    segments: Array | None
    padding: int


class Tile(NamedTuple):
    """A block of queries and the keys that it looks at, of one part.

    Attributes:
        number: place of the block of queries.
        query: `(b, k, g, t, h)`; the keys and values have the axes of the part.
        visible: `(b, k, g, t, s)`, where axes that do not matter have length 1.
    """

    number: int | Int[Array, '']
    query: Array
    key: Array
    value: Array
    visible: Bool[Array, 'b k g t s']


def attend(
    query: Float[Array, 'b t n h'],
    key: Float[Array, 'b t k h'],
    value: Float[Array, 'b t k h'],
    mask: Mask,
    *,
    scale: float | None = None,
    rate: float = 0.0,
    key_: Key[Array, ''] | None = None,
) -> Float[Array, 'b t n h']:
    """Exact causal attention that neither computes nor keeps what the mask's structure hides.

    Queries go block by block, each over the keys that its block can reach, so half of the scores
    of plain causal attention are never computed, and the backward pass computes the weights
    again instead of keeping them. With a sparse pattern the far keys of a head, one residue of
    their blocks, are one strided slice, so what is skipped costs nothing. Scores and softmax are
    float32 in every compute dtype.

    Args:
        scale: what scores are multiplied by; by default 1 / sqrt(h).
        rate: dropout of the attention weights, drawn from `key_`; no key, no dropout.
    """
    static = Static(
        needed(mask.reach, query.shape[1]),
        1 / math.sqrt(query.shape[-1]) if scale is None else scale,
        rate if key_ is not None else 0.0,
        query.shape[2],
    )
    key, value = (jnp.einsum('bskh->bksh', x) for x in (key, value))
    far_key, far_value = _far(static, key), _far(static, value)
    grouped = jnp.einsum('btkgh->bkgth', group(query, key.shape[1]))
    y = _blocked(static, grouped, (key, far_key), (value, far_value), mask.segments, key_)
    return jnp.einsum('bkgth->btkgh', y).reshape(query.shape)


def group(query: Float[Array, 'b t n h'], num_kv_heads: int) -> Float[Array, 'b t k g h']:
    """Query heads by the key/value head that they share."""
    batch, length, num_heads, head_dim = query.shape
    return query.reshape(batch, length, num_kv_heads, num_heads // num_kv_heads, head_dim)


def score(equation: str, query: Array, key: Array, scale: float) -> Array:
    """Scaled products of queries and keys, in float32."""
    if query.dtype == jnp.float16:  # phi-2's scores overflow half precision
        query, key = query.astype(jnp.float32), key.astype(jnp.float32)
    return jnp.einsum(equation, query, key, preferred_element_type=jnp.float32) * scale


class Static(NamedTuple):
    """What a compiled program is made for."""

    reach: Reach
    scale: float
    rate: float
    num_heads: int


def _far(static: Static, x: Float[Array, 'b k t h']) -> Float[Array, 'b k g u h'] | None:
    """For each query head the blocks of its residue, in a row; None where all blocks are local.

    Heads are sliced by their place in a period of the pattern, so that the axis `k` keeps its
    sharding.
    """
    pattern = static.reach.sparsity
    if pattern is None or not sparsity.far_blocks(pattern, x.shape[2]):
        return None
    residues = sparsity.residues(pattern, static.num_heads, x.shape[1])
    period = sparsity.period(residues)
    rows = -(-x.shape[2] // (pattern.block * pattern.stride))
    x = _padded(x, 2, 0, rows * pattern.block * pattern.stride)
    shape = (x.shape[0], -1, period, rows, pattern.stride, pattern.block, x.shape[-1])
    blocks = x.reshape(shape)
    heads = [[blocks[:, :, i, :, r] for r in residues[i].tolist()] for i in range(period)]
    far = jnp.stack([jnp.stack(group, axis=2) for group in heads], axis=2)
    return far.reshape(x.shape[0], *residues.shape, -1, x.shape[-1])


def _parts(static: Static, keys: tuple, values: tuple, segments: Array | None) -> list[Part]:
    """The near part and, if there is one, the far part."""
    padding, whole = 0, keys[0].shape[2]
    if is_band(static.reach):
        block, padding = band(static.reach)
        whole = -(-whole // block) * block
    near, near_values = (_padded(x[0], 2, padding, whole) for x in (keys, values))
    of_near = None if segments is None else _padded(segments, 1, padding, whole)
    parts = [Part('bksh', near, near_values, None, of_near, padding)]
    if keys[1] is None:
        return parts
    pattern = pattern_of(static.reach)
    residues = sparsity.residues(pattern, static.num_heads, keys[0].shape[1])
    slots = np.arange(keys[1].shape[3])
    blocks = slots // pattern.block * pattern.stride + residues[..., None]
    of_far = None
    if segments is not None:
        places = blocks * pattern.block + slots % pattern.block
        of_far = segments[:, np.minimum(places, segments.shape[1] - 1)]
    return [*parts, Part('bkgsh', keys[1], values[1], blocks, of_far, 0)]


def _padded(x: Array, axis: int, before: int, whole: int) -> Array:
    """`x` with zeros before it along an axis, and after it up to `whole`."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, whole - x.shape[axis])
    return jnp.pad(x, widths)


def _keep(key: Array | None, part: Part, tile: Tile, rate: float, shape: tuple) -> Array | float:
    """Dropout's factor on the weights of one tile: 0 or 1 / (1 - rate)."""
    if not rate or key is None:
        return 1.0
    key = jax.random.fold_in(key, tile.number)
    key = key if part.blocks is None else jax.random.fold_in(key, 1)
    kept = jax.random.bernoulli(key, 1 - rate, shape)
    return jnp.where(kept, 1 / (1 - rate), 0.0)


def _scores(static: Static, part: Part, tile: Tile) -> Array:
    scores = score(f'bkgth,{part.letters}->bkgts', tile.query, tile.key, static.scale)
    return jnp.where(tile.visible, scores, MASKED)


def _gather(static: Static, part: Part, tile: Tile, dropout_key: Array | None) -> tuple:
    """What the queries of a tile gather, and the logarithm of the sum of their weights."""
    scores = _scores(static, part, tile)
    normaliser = jax.nn.logsumexp(scores, axis=-1, keepdims=True)
    weights = jnp.exp(scores - normaliser)
    weights *= _keep(dropout_key, part, tile, static.rate, weights.shape)
    weights = weights.astype(part.value.dtype)
    equation = f'bkgts,{part.letters}->bkgth'
    return jnp.einsum(equation, weights, tile.value, preferred_element_type=jnp.float32), normaliser


def _pull(
    static: Static, part: Part, tile: Tile, dropout_key: Array | None, above: tuple
) -> tuple[Array, Array, Array]:
    """Gradients of the queries, keys and values of a tile.

    Args:
        above: of its queries, the normaliser of all parts, the gradient of what they gather, and
            the product of both.
    """
    normaliser, gradient, through = above
    wide = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
    weights = jnp.exp(_scores(static, part, tile) - normaliser)
    keep = _keep(dropout_key, part, tile, static.rate, weights.shape)
    used = (weights * keep).astype(part.value.dtype)
    pull = wide(f'bkgth,{part.letters}->bkgts', gradient, tile.value) * keep
    pull = (weights * (pull - through) * static.scale).astype(tile.query.dtype)
    return (
        wide(f'bkgts,{part.letters}->bkgth', pull, tile.key),
        wide(f'bkgts,bkgth->{part.letters}', pull, tile.query),
        wide(f'bkgts,bkgth->{part.letters}', used, gradient),
    )


def _tile(static: Static, part: Part, query: Array, place: Place, segments: Array | None) -> Tile:
    take = jax.lax.dynamic_slice_in_dim
    queries = place.first + jnp.arange(place.size)[:, None]
    key, value = (take(x, place.start, place.reached, axis=-2) for x in (part.key, part.value))
    if part.blocks is None:
        keys = place.start - part.padding + jnp.arange(place.reached)[None]
        visible = (near_visible(static.reach, queries, keys) & (keys >= 0))[None, None, None]
    else:
        pattern = pattern_of(static.reach)
        blocks = jnp.asarray(part.blocks[..., : place.reached])[None, :, :, None]
        visible = queries // pattern.block - blocks >= pattern.local
    if segments is not None and part.segments is not None:
        of_queries = take(segments, place.first, place.size, axis=1)[:, None, None, :, None]
        of_keys = take(part.segments, place.start, place.reached, axis=-1)
        of_keys = of_keys[:, None, None] if of_keys.ndim == 2 else of_keys
        visible &= of_queries == of_keys[:, :, :, None]
    return Tile(place.number, take(query, place.first, place.size, axis=3), key, value, visible)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _blocked(
    static: Static,
    query: Array,
    keys: tuple,
    values: tuple,
    segments: Array | None,
    dropout_key: Array | None,
) -> Array:
    return _forward(static, query, keys, values, segments, dropout_key)[0]


def _forward(
    static: Static,
    query: Array,
    keys: tuple,
    values: tuple,
    segments: Array | None,
    dropout_key: Array | None,
) -> tuple[Array, tuple]:
    whole = _whole(static, query)
    rows = None if segments is None else _whole(static, segments, axis=1)
    outputs, normalisers = [], []
    for part in _parts(static, keys, values, segments):

        def visit(_: None, place: Place) -> tuple[None, tuple]:
            tile = _tile(static, part, whole, place, rows)  # noqa: B023
            return None, _gather(static, part, tile, dropout_key)  # noqa: B023

        output, normaliser = walk(static.reach, part.blocks is None, query.shape[3], visit, None)[1]
        outputs.append(output)
        normalisers.append(normaliser)
    normaliser = functools.reduce(jnp.logaddexp, normalisers)
    shares = [jnp.exp(own - normaliser) * y for own, y in zip(normalisers, outputs, strict=True)]
    output = functools.reduce(jnp.add, shares if len(shares) > 1 else outputs).astype(query.dtype)
    return output, (query, keys, values, segments, dropout_key, output, normaliser)


def _backward(static: Static, kept: tuple, gradient: Array) -> tuple:
    query, keys, values, segments, dropout_key, output, normaliser = kept
    length = query.shape[3]
    through = (gradient.astype(jnp.float32) * output.astype(jnp.float32)).sum(axis=-1)[..., None]
    above = [_whole(static, x) for x in (normaliser, gradient, through)]
    whole = _whole(static, query)
    rows = None if segments is None else _whole(static, segments, axis=1)
    query_gradients, key_gradients, value_gradients = [], [], []
    for part in _parts(static, keys, values, segments):

        def visit(sums: tuple, place: Place) -> tuple[tuple, Array]:
            tile = _tile(static, part, whole, place, rows)  # noqa: B023
            take = functools.partial(jax.lax.dynamic_slice_in_dim, axis=3)
            own = tuple(take(x, place.first, place.size) for x in above)
            of_query, *pulls = _pull(static, part, tile, dropout_key, own)  # noqa: B023
            return tuple(_added(x, y, place) for x, y in zip(sums, pulls, strict=True)), of_query

        zeros = tuple(jnp.zeros(x.shape, jnp.float32) for x in (part.key, part.value))
        sums, of_query = walk(static.reach, part.blocks is None, length, visit, zeros)
        query_gradients.append(of_query)
        end = part.padding + length if part.blocks is None else part.key.shape[-2]
        own_key, own_value = (x[..., part.padding : end, :].astype(query.dtype) for x in sums)
        key_gradients.append(own_key)
        value_gradients.append(own_value)
    absent = [None] * (len(keys) - len(key_gradients))
    return (
        functools.reduce(jnp.add, query_gradients).astype(query.dtype),
        (*key_gradients, *absent),
        (*value_gradients, *absent),
        None,
        None,
    )


_blocked.defvjp(_forward, _backward)


def _added(sums: Array, pull: Array, place: Place) -> Array:
    """`sums` with the gradient of the keys, or values, of one tile in their places."""
    old = jax.lax.dynamic_slice_in_dim(sums, place.start, place.reached, axis=-2)
    return jax.lax.dynamic_update_slice_in_dim(sums, old + pull, place.start, axis=-2)


def _whole(static: Static, x: Array, axis: int = 3) -> Array:
    """`x` with zeros after it, so that it is whole blocks of a band."""
    if not is_band(static.reach):
        return x
    block, _ = band(static.reach)
    return _padded(x, axis, 0, -(-x.shape[axis] // block) * block)
