"""How the queries of a row are cut into blocks, and which keys each block looks at.

Causal attention is a triangle, walked block by block with ever more keys. Where queries see a band
of near keys, all blocks look at equally many, so they are one loop; what a sparse pattern adds to
its band are the keys of one residue, a triangle again.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from phijax.models.configs import Reach, Sparsity

BLOCK = 64
MOST_BLOCKS = 16


class Place(NamedTuple):
    """Where a tile is: the number of its block of queries, and the first of queries and keys.

    Only the numbers of queries and keys, `size` and `reached`, are known to the compiler.
    """

    number: int | Int[Array, '']
    first: int | Int[Array, '']
    start: int | Int[Array, '']
    size: int
    reached: int


def computed_pairs(length: int, reach: Reach) -> int:
    """Pairs of query and key in one row whose score `attend` computes, for each head."""
    reach = needed(reach, length)
    if is_band(reach):
        block, back = band(reach)
        near = -(-length // block) * block * (block + back)
    else:
        near = sum((last - first) * last for first, last in spans(length))
    if reach.sparsity is None:
        return near
    far = ((last - first) * far_end(reach.sparsity, last) for first, last in spans(length))
    return near + sum(far)


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


def block_length(length: int) -> int:
    """How many queries go at once: a fixed share of a long row, so that programs stay small."""
    return max(BLOCK, -(-length // MOST_BLOCKS))


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


def needed(reach: Reach, length: int) -> Reach:
    """`reach`, or none where it hides nothing of a row so short."""
    pattern = reach.sparsity
    all_seen = length <= (pattern.block * pattern.local if pattern else reach.window or length)
    return Reach() if all_seen else reach


def is_band(reach: Reach) -> bool:
    """Whether queries see near keys only, and perhaps far ones of one residue."""
    return reach != Reach()


def band(reach: Reach) -> tuple[int, int]:
    """The length of a block of queries, and how many keys before the block it looks at."""
    if reach.sparsity is None:
        window = reach.window or 1
        return max(BLOCK, window // 4), window - 1
    size, local = reach.sparsity.block, reach.sparsity.local
    return -(-max(BLOCK, size * local // 4) // size) * size, (local - 1) * size


def spans(length: int) -> list[tuple[int, int]]:
    """The first query of each block, and the first after it."""
    block = block_length(length)
    return [(first, min(first + block, length)) for first in range(0, length, block)]


def far_end(pattern: Sparsity, last: int) -> int:
    """How many keys of one residue the queries before `last` may see beyond the local blocks."""
    behind = (last - 1) // pattern.block - pattern.local  # the last block that they may see
    return (behind // pattern.stride + 1) * pattern.block if behind >= 0 else 0


def walk(
    reach: Reach, near: bool, length: int, visit: Callable[[Any, Place], tuple], carry: Any
) -> tuple[Any, Any]:
    """What `visit(carry, place)` carries past all tiles, and its results joined along `t`.

    Args:
        near: whether the tiles are of near keys, or of the far keys of a sparse pattern.
        visit: its result has the axes `(b, k, g, t, h)`.
    """
    if near and is_band(reach):
        block, back = band(reach)
        numbers = jnp.arange(-(-length // block))

        def turn(carry: Any, number: Array) -> tuple[Any, Any]:
            return visit(carry, Place(number, number * block, number * block, block, block + back))

        few = len(numbers) if len(numbers) <= MOST_BLOCKS else 1
        carry, results = jax.lax.scan(turn, carry, numbers, unroll=few)
        return carry, jax.tree.map(lambda x: _in_a_row(x)[..., :length, :], results)
    rows = []
    for number, (first, last) in enumerate(spans(length)):
        reached = last if near else far_end(pattern_of(reach), last)
        carry, result = visit(carry, Place(number, first, 0, last - first, reached))
        rows.append(result)
    return carry, jax.tree.map(lambda *x: jnp.concatenate(x, axis=3), *rows)


def _in_a_row(x: Array) -> Array:
    """Blocks `(n, b, k, g, t, h)` joined along `t`."""
    joined = jnp.moveaxis(x, 0, 3)
    return joined.reshape(*joined.shape[:3], -1, joined.shape[-1])


def pattern_of(reach: Reach) -> Sparsity:
    """The sparse pattern, which is there."""
    assert reach.sparsity is not None
    return reach.sparsity
