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
from phijax.models.configs import Reach, Sparsity

BLOCK = 64
MOST_BLOCKS = 16
MOST_BLOCKS_OF_A_BAND = 64
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


class Span(NamedTuple):
    """A block of queries `first..last`, its first near key, and how many far keys it reaches."""

    first: int
    last: int
    near: int
    far: int


class Part(NamedTuple):
    """Keys and values that blocks of queries see a range of: near ones, or far ones by head.

    Attributes:
        letters: the axes of keys, `bksh` or, where each query head has its own, `bkgsh`.
        blocks: for far keys, the number of each key's block, `(k, g, s)`.
        segments: the document of each key, `(b, s)` or `(b, k, g, s)`.
    """

    letters: str
    key: Array
    value: Array
    blocks: np.ndarray | None
    segments: Array | None


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
        mask.reach,
        1 / math.sqrt(query.shape[-1]) if scale is None else scale,
        rate if key_ is not None else 0.0,
        query.shape[2],
    )
    key, value = (jnp.einsum('bskh->bksh', x) for x in (key, value))
    far_key, far_value = _far(static, key), _far(static, value)
    grouped = jnp.einsum('btkgh->bkgth', group(query, key.shape[1]))
    y = _blocked(static, grouped, (key, far_key), (value, far_value), mask.segments, key_)
    return jnp.einsum('bkgth->btkgh', y).reshape(query.shape)


def computed_pairs(length: int, reach: Reach) -> int:
    """Pairs of query and key in one row whose score `attend` computes, for each head."""
    spans = _spans(length, reach)
    return sum((span.last - span.first) * (span.last - span.near + span.far) for span in spans)


def visible_pairs(length: int, reach: Reach) -> int:
    """Pairs of query and key in one row that a head sees; the mean of heads, rounded down."""
    if reach.sparsity is None:
        window = min(reach.window or length, length)
        return window * (window + 1) // 2 + (length - window) * window
    pattern = reach.sparsity
    total = 0
    for first in range(0, length, pattern.block):
        size, number = min(pattern.block, length - first), first // pattern.block
        near = min(number, pattern.local - 1)
        total += size * (size + 1) // 2 + size * near * pattern.block
        total += size * pattern.block * (number - near) // pattern.stride
    return total


def group(query: Float[Array, 'b t n h'], num_kv_heads: int) -> Float[Array, 'b t k g h']:
    """Query heads by the key/value head that they share."""
    batch, length, num_heads, head_dim = query.shape
    return query.reshape(batch, length, num_kv_heads, num_heads // num_kv_heads, head_dim)


def score(equation: str, query: Array, key: Array, scale: float) -> Array:
    """Scaled products of queries and keys, in float32."""
    if query.dtype == jnp.float16:  # phi-2's scores overflow half precision
        query, key = query.astype(jnp.float32), key.astype(jnp.float32)
    return jnp.einsum(equation, query, key, preferred_element_type=jnp.float32) * scale


def block_length(length: int, reach: Reach) -> int:
    """How many queries go at once: a fixed share of a long row, so that programs stay small.

    Where queries see a narrow band, small blocks waste less of it.
    """
    band = reach.window or (reach.sparsity and reach.sparsity.block * reach.sparsity.local)
    block = max(BLOCK, -(-length // MOST_BLOCKS))
    if band:
        block = min(block, max(BLOCK, band // 4, -(-length // MOST_BLOCKS_OF_A_BAND)))
    return block


class Static(NamedTuple):
    """What a compiled program is made for."""

    reach: Reach
    scale: float
    rate: float
    num_heads: int


def _spans(length: int, reach: Reach) -> list[Span]:
    block = block_length(length, reach)
    return [_span(reach, t, min(t + block, length)) for t in range(0, length, block)]


def _span(reach: Reach, first: int, last: int) -> Span:
    if reach.sparsity is None:
        return Span(first, last, 0 if reach.window is None else max(0, first - reach.window + 1), 0)
    size, local, stride = reach.sparsity.block, reach.sparsity.local, reach.sparsity.stride
    near = max(0, first // size - local + 1) * size
    behind = (last - 1) // size - local  # the last far block that a query here may see
    return Span(first, last, near, (behind // stride + 1) * size if behind >= 0 else 0)


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
    whole = -(-x.shape[2] // (pattern.block * pattern.stride)) * pattern.block * pattern.stride
    x = jnp.pad(x, ((0, 0), (0, 0), (0, whole - x.shape[2]), (0, 0)))
    shape = (x.shape[0], -1, period, whole // (pattern.block * pattern.stride), pattern.stride)
    blocks = x.reshape(*shape, pattern.block, x.shape[-1])
    heads = [[blocks[:, :, i, :, r] for r in residues[i].tolist()] for i in range(period)]
    far = jnp.stack([jnp.stack(group, axis=2) for group in heads], axis=2)
    return far.reshape(x.shape[0], *residues.shape, -1, x.shape[-1])


def _parts(static: Static, keys: tuple, values: tuple, segments: Array | None) -> list[Part]:
    """The near part and, if there is one, the far part."""
    near = Part('bksh', keys[0], values[0], None, segments)
    if keys[1] is None:
        return [near]
    pattern = _sparsity(static)
    residues = sparsity.residues(pattern, static.num_heads, keys[0].shape[1])
    rows = np.arange(keys[1].shape[3]) // pattern.block * pattern.stride
    blocks = rows + residues[..., None]
    if segments is not None:
        offsets = np.arange(keys[1].shape[3]) % pattern.block
        places = np.minimum(blocks * pattern.block + offsets, segments.shape[1] - 1)
        segments = segments[:, places]
    return [near, Part('bkgsh', keys[1], values[1], blocks, segments)]


def _range(part: Part, span: Span) -> slice:
    return slice(span.near, span.last) if part.blocks is None else slice(0, span.far)


def near_visible(
    reach: Reach, queries: Int[Array, '...'], keys: Int[Array, '...']
) -> Bool[Array, '...']:
    """Which keys queries see, by their positions; with a sparse pattern, those of local blocks."""
    visible = queries >= keys
    if reach.window is not None:
        visible &= queries - keys < reach.window
    if reach.sparsity is not None:
        size = reach.sparsity.block
        visible &= queries // size - keys // size < reach.sparsity.local
    return visible


def _visible(
    static: Static, part: Part, span: Span, segments: Array | None
) -> Bool[Array, 'b k g t s']:
    """Dense mask of one block of queries and one part; axes that do not matter have length 1."""
    queries, keys = jnp.arange(span.first, span.last)[:, None], _range(part, span)
    if part.blocks is None:
        places = jnp.arange(keys.start, keys.stop)[None, :]
        visible = near_visible(static.reach, queries, places)[None, None, None]
    else:
        pattern = _sparsity(static)
        blocks = jnp.asarray(part.blocks[..., keys])[None, :, :, None]
        visible = queries // pattern.block - blocks >= pattern.local
    if segments is None or part.segments is None:
        return visible
    of_keys = part.segments[..., keys]
    of_keys = of_keys[:, None, None, None] if of_keys.ndim == 2 else of_keys[:, :, :, None]
    return visible & (segments[:, None, None, span.first : span.last, None] == of_keys)


def _keep(key: Array | None, place: tuple[int, int], rate: float, shape: tuple) -> Array | float:
    """Dropout's factor on the weights of one block and part: 0 or 1 / (1 - rate)."""
    if not rate or key is None:
        return 1.0
    block, part = place
    key = jax.random.fold_in(key, block)
    kept = jax.random.bernoulli(jax.random.fold_in(key, part) if part else key, 1 - rate, shape)
    return jnp.where(kept, 1 / (1 - rate), 0.0)


def _weigh(
    static: Static, parts: list[Part], span: Span, query: Array, segments: Array | None
) -> list[Array]:
    """Masked scores of one block of queries with each part that it reaches."""
    found = []
    for part in parts:
        keys = part.key[..., _range(part, span), :]
        scores = score(f'bkgth,{part.letters}->bkgts', query, keys, static.scale)
        found.append(jnp.where(_visible(static, part, span, segments), scores, MASKED))
    return found


def _reached(parts: list[Part], span: Span) -> list[Part]:
    return parts if span.far else parts[:1]


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
    parts = _parts(static, keys, values, segments)
    outputs, normalisers = [], []
    for block, span in enumerate(_spans(query.shape[3], static.reach)):
        reached = _reached(parts, span)
        scores = _weigh(static, reached, span, query[..., span.first : span.last, :], segments)
        normaliser = functools.reduce(
            jnp.logaddexp, [jax.nn.logsumexp(x, axis=-1, keepdims=True) for x in scores]
        )
        gathered = []
        for number, (part, x) in enumerate(zip(reached, scores, strict=True)):
            weights = jnp.exp(x - normaliser)
            weights *= _keep(dropout_key, (block, number), static.rate, weights.shape)
            weights = weights.astype(part.value.dtype)
            own = part.value[..., _range(part, span), :]
            gathered.append(jnp.einsum(f'bkgts,{part.letters}->bkgth', weights, own))
        outputs.append(functools.reduce(jnp.add, gathered))
        normalisers.append(normaliser)
    output = jnp.concatenate(outputs, axis=3)
    return output, (query, keys, values, segments, dropout_key, output, normalisers)


def _backward(static: Static, kept: tuple, gradient: Array) -> tuple:
    query, keys, values, segments, dropout_key, output, normalisers = kept
    parts = _parts(static, keys, values, segments)
    wide = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
    query_gradients = []
    gradients = [tuple(jnp.zeros(x.shape, jnp.float32) for x in part[1:3]) for part in parts]
    through = (gradient.astype(jnp.float32) * output.astype(jnp.float32)).sum(axis=-1)[..., None]
    for block, span in enumerate(_spans(query.shape[3], static.reach)):
        rows = (..., slice(span.first, span.last), slice(None))
        reached = _reached(parts, span)
        scores = _weigh(static, reached, span, query[rows], segments)
        pulls = []
        for number, (part, x) in enumerate(zip(reached, scores, strict=True)):
            reach = (..., _range(part, span), slice(None))
            weights = jnp.exp(x - normalisers[block])
            keep = _keep(dropout_key, (block, number), static.rate, weights.shape)
            used = (weights * keep).astype(part.value.dtype)
            pull = wide(f'bkgth,{part.letters}->bkgts', gradient[rows], part.value[reach]) * keep
            pull = (weights * (pull - through[rows]) * static.scale).astype(query.dtype)
            pulls.append(wide(f'bkgts,{part.letters}->bkgth', pull, part.key[reach]))
            of_key = wide(f'bkgts,bkgth->{part.letters}', pull, query[rows])
            of_value = wide(f'bkgts,bkgth->{part.letters}', used, gradient[rows])
            of_keys, of_values = gradients[number]
            gradients[number] = (of_keys.at[reach].add(of_key), of_values.at[reach].add(of_value))
        query_gradients.append(functools.reduce(jnp.add, pulls))
    narrow = [tuple(x.astype(query.dtype) for x in pair) for pair in gradients]
    absent = (None,) * (len(keys) - len(parts))
    return (
        jnp.concatenate(query_gradients, axis=3).astype(query.dtype),
        (*(of_key for of_key, _ in narrow), *absent),
        (*(of_value for _, of_value in narrow), *absent),
        None,
        None,
    )


_blocked.defvjp(_forward, _backward)


def _sparsity(static: Static) -> Sparsity:
    assert static.reach.sparsity is not None
    return static.reach.sparsity
