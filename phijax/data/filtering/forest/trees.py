"""Decision trees as plain arrays, and the leaf of each tree that a row of features ends in."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from phijax.errors import InputError

LEAF = -1
# Rows that are walked down at once, and groups of trees that are walked equally far.
_ROWS_AT_ONCE = {'cpu': 512, 'gpu': 16_384}
_GROUPS = 16
# Blocks of rows that wait on the device for the host to sum their leaves.
_AHEAD = 4
# How far the shares of the classes in a leaf may be from one in sum.
_ROUNDING = 1e-9
_BELOW_ALL = np.iinfo(np.int32).min


class Trees(NamedTuple):
    """All nodes of all trees, each tree in preorder: a node's left child is the node after it.

    Attributes:
        feature: what a node asks for; `LEAF` at a leaf.
        threshold: rows whose feature is at most this go left. Rounded down to float32, which
            decides alike for every float32; 0 at a leaf.
        right: the right child's place among all nodes; `LEAF` at a leaf.
        value: the share of each class among a leaf's samples; 0 elsewhere.
        start: the place of each tree's root, and at last the number of nodes.
    """

    feature: Int[np.ndarray, ' node']
    threshold: Float[np.ndarray, ' node']
    right: Int[np.ndarray, ' node']
    value: Float[np.ndarray, 'node class']
    start: Int[np.ndarray, ' tree']


DTYPES: dict[str, type[np.generic]] = {
    'feature': np.int32,
    'threshold': np.float32,
    'right': np.int32,
    'value': np.float64,
    'start': np.int64,
}


def check(trees: Trees, width: int, num_classes: int) -> None:
    """Returns when the arrays are trees over `width` features, so that every walk ends in a leaf.

    Raises:
        InputError: they are not; the message says what is wrong.
    """
    for what, holds in _facts(trees, width, num_classes):
        if not holds:
            raise InputError(f'the arrays are no trees: {what}')


def _facts(trees: Trees, width: int, num_classes: int) -> Iterator[tuple[str, bool]]:
    """What must hold, in an order in which each makes sense if those before it hold."""
    feature, threshold, right, value, start = trees
    for name, array in trees._asdict().items():
        yield f'{name} is {array.dtype}, not {DTYPES[name].__name__}', array.dtype == DTYPES[name]
    nodes = feature.size
    shapes = ((nodes,), (nodes,), (nodes,), (nodes, num_classes), (start.size,))
    for (name, array), shape in zip(trees._asdict().items(), shapes, strict=True):
        yield f'{name} has the shape {array.shape}, not {shape}', array.shape == shape
    yield 'there is none', len(start) > 1 and nodes > 0
    bounds = bool(start[0] == 0 and start[-1] == nodes and (np.diff(start) > 0).all())
    yield f'start is not rising from 0 to {nodes}', bounds
    inner = feature != LEAF
    yield f'a feature is not in 0..{width - 1}', _within(feature[inner], 0, width)
    yield (
        'a leaf has a right child or a threshold',
        not ((right[~inner] != LEAF).any() or (threshold[~inner] != 0).any()),
    )
    yield 'a threshold is not a finite number', bool(np.isfinite(threshold).all())
    here, left = np.flatnonzero(inner), np.flatnonzero(inner) + 1
    ends = np.repeat(start[1:], np.diff(start))[here]
    outside = not ((right[here] > left) & (right[here] < ends)).all()
    yield 'a child is not after its parent in the same tree', not outside
    parents = np.bincount(np.concatenate([left, right[here]]), minlength=nodes)
    yield 'a node has not one parent', bool((np.delete(parents, start[:-1]) == 1).all())
    yield 'a root has a parent', not parents[start[:-1]].any()
    sums = value.sum(axis=1)
    whole = bool((value >= 0).all() and np.allclose(sums[~inner], 1, rtol=0, atol=_ROUNDING))
    yield 'the shares of a leaf are not shares', whole
    yield 'a node that is no leaf has shares', not value[inner].any()


def _within(array: np.ndarray, low: int, high: int) -> bool:
    return bool(((array >= low) & (array < high)).all())


def depths(trees: Trees) -> Int[np.ndarray, ' tree']:
    """How many nodes above its deepest leaf each tree has."""
    owner = np.repeat(np.arange(len(trees.start) - 1), np.diff(trees.start))
    found = np.zeros(len(trees.start) - 1, np.int64)
    level, nodes = 0, trees.start[:-1]
    while len(nodes := nodes[trees.feature[nodes] != LEAF]):
        level, nodes = level + 1, np.concatenate([nodes + 1, trees.right[nodes]])
        found[owner[nodes]] = level
    return found


class Walker:
    """The way down all trees, on the device that jax works on."""

    def __init__(self, trees: Trees) -> None:
        """Puts the nodes on the device.

        Args:
            trees: those that `check` found good.
        """
        inner = trees.feature != LEAF
        # A leaf sends every row to its right child, which is the leaf itself.
        keys = np.where(inner, np.asarray(_order(jnp.asarray(trees.threshold))), _BELOW_ALL)
        right = np.where(inner, trees.right, np.arange(len(inner), dtype=np.int32))
        self._nodes = jax.device_put((np.where(inner, trees.feature, 0), keys, right))
        depth = depths(trees)
        order = np.argsort(depth, kind='stable')
        groups = np.array_split(order, min(_GROUPS, len(order)))
        self._roots = [trees.start[group].astype(np.int32) for group in groups]
        self._steps = tuple(int(depth[group].max()) for group in groups)
        # Where among the leaves that are found each tree's are.
        self.places = np.argsort(order)

    def __call__(self, features: Float[np.ndarray, 'n w']) -> Iterator[Int[np.ndarray, 'tree m']]:
        """The leaves of the first rows, of the next, and so on, with the trees in `places`.

        Raises:
            InputError: a feature is not a finite number.
        """
        most = _ROWS_AT_ONCE.get(jax.default_backend(), _ROWS_AT_ONCE['gpu'])
        waiting: list[tuple[int, tuple[Array, Array]]] = []
        for begin in range(0, len(features), most):
            block = features[begin : begin + most]
            padded = np.zeros((most, features.shape[1]), np.float32)
            padded[: len(block)] = block
            found = _leaves(padded, *self._nodes, self._roots, self._steps)
            waiting.append((len(block), found))
            if len(waiting) > _AHEAD:
                yield _on_host(*waiting.pop(0))
        for number, found in waiting:
            yield _on_host(number, found)


def _on_host(number: int, found: tuple[Array, Array]) -> np.ndarray:
    leaves, finite = found
    if not finite:
        raise InputError('features must be finite numbers, got NaN or infinity')
    return np.asarray(leaves)[:, :number]


@functools.partial(jax.jit, static_argnames='steps')
def _leaves(
    features: Float[Array, 'm w'],
    feature: Int[Array, ' node'],
    threshold: Int[Array, ' node'],
    right: Int[Array, ' node'],
    roots: list[Int[Array, ' part']],
    steps: tuple[int, ...],
) -> tuple[Int[Array, 'tree m'], Bool[Array, '']]:
    """The leaf of each tree and row, a group of trees after the other; are all features finite?"""
    flat = _order(features).ravel()
    rows = jnp.arange(len(features)) * features.shape[1]

    def down(_: int, node: Array) -> Array:
        asked = _take(flat, rows[None] + _take(feature, node))
        return jnp.where(asked > _take(threshold, node), _take(right, node), node + 1)

    found = [
        jax.lax.fori_loop(0, many, down, jnp.tile(root[:, None], (1, len(features))))
        for root, many in zip(roots, steps, strict=True)
    ]
    return jnp.concatenate(found), jnp.isfinite(features).all()


def _take(array: Array, index: Array) -> Array:
    return array.at[index].get(mode='promise_in_bounds')


def _order(x: Float[Array, '*s']) -> Int[Array, '*s']:
    """Whole numbers in the order of float32s: exact where a device takes tiny numbers for zero."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return jnp.where(ordered == -1, 0, ordered)  # -0 is 0
