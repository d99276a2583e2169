"""Wider arrays from narrow ones, axis by axis and by the axis's name.

Growth works on maps: for each axis, which old place each new place is filled from (`FRESH` where
from none). Heads are an axis of their own, so nothing is smeared across them; rotated features
keep their places and their partners; a query head keeps its key/value head.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

METHODS = ('reuse', 'tile', 'clone', 'net2net')
PLACES = ('edge', 'centre')
FRESH = -1

Params = dict[str, Any]
Maps = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """How wider arrays are filled.

    `clone` and `net2net` preserve the function: each product is divided by how often it now counts
    an input. Both refuse a width factor that is no whole number, as LayerNorm's mean and variance
    would count some features more often than others.

    Source: Microsoft's talk on phi-2 at NeurIPS 2023 as the press reported it (`reuse`, and `tile`
    from the edge); arXiv:2412.13663, app. A (`tile` from the centre); arXiv:2409.12903, sec. 3
    (`clone`: HyperCloning; noise); arXiv:1511.05641, sec. 2.2 (`net2net`: Net2WiderNet).

    Attributes:
        method: `reuse` puts the narrow array into the wide one, whose other values are fresh;
            `tile` repeats it, wrapping around; `clone` repeats it whole; `net2net` repeats each
            place as often but in random order.
        place: where the narrow array lies for `reuse` and `tile`.
        divide: divide by the counts for `tile` too, which keeps sizes of activations; at whole
            factors it is `clone`.
        noise: of `clone` and `net2net`: standard deviation of what is added to the copies, as a
            share of the kernel's own. It sums to zero over the copies of an input, so that they
            drift apart in training while the function is kept.
    """

    method: str
    place: str = 'edge'
    divide: bool = False
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ValueError: one of them is unknown, negative, or not of this method.
        """
        for field, allowed in (('method', METHODS), ('place', PLACES)):
            if getattr(self, field) not in allowed:
                value = getattr(self, field)
                raise ValueError(
                    f'width.{field} must be one of {", ".join(allowed)}, got {value!r}'
                )
        if self.preserves and self.place != 'edge':
            raise ValueError(f'width.place=centre is for reuse and tile, got {self.method}')
        if self.divide and self.method != 'tile':
            raise ValueError(f'width.divide=true is for tile, got {self.method}')
        if self.noise < 0 or (self.noise and not self.preserves):
            raise ValueError(
                f'width.noise must be 0, or positive for clone and net2net, got {self.noise} for '
                f'{self.method}'
            )

    @property
    def preserves(self) -> bool:
        """Whether the wide model computes what the narrow one did."""
        return self.method in ('clone', 'net2net')

    @property
    def divides(self) -> bool:
        """Whether products are divided by how often they count an input."""
        return self.preserves or self.divide


def maps(old: Mapping[str, int], new: Mapping[str, int], rule: Rule, seed: int = 0) -> Maps:
    """For each axis that may grow, the old place of each new place, or `FRESH`.

    Args:
        old, new: sizes of the axes by letter, as `models.Config.sizes` has them, `r` included.
        seed: of the order of `net2net`.

    Raises:
        ValueError: an axis shrinks, or cannot grow by this rule; the message says why.
    """
    for axis in 'dnkhfvr':
        if new[axis] < old[axis]:
            raise ValueError(
                f'a model grows: axis {axis} must be at least {old[axis]}, got {new[axis]}'
            )
    if rule.preserves and new['d'] % old['d']:
        raise ValueError(
            f'{rule.method} keeps the function at whole width factors only: at '
            f'{new["d"] / old["d"]:.4g} (embed_dim {old["d"]} -> {new["d"]}) LayerNorm would count '
            'some features more often than others. Use tile, or reuse'
        )
    random = np.random.default_rng(seed)
    spread = lambda axis: _spread(old[axis], new[axis], rule, random)  # noqa: E731
    per_group, wanted = old['n'] // old['k'], new['n'] // new['k']
    keys, queries = spread('k'), _groups(per_group, wanted, rule, random)
    heads = np.where(
        (keys[:, None] < 0) | (queries < 0), FRESH, keys[:, None] * per_group + queries
    )
    return {
        'd': spread('d'),
        'f': spread('f'),
        'k': keys,
        'n': heads.ravel(),
        'h': _features(old, new, rule),
        'v': _beside(old['v'], new['v']),
    }


def widen(
    params: Params,
    axes: Params,
    fan_in: Params,
    old: Mapping[str, int],
    new: Mapping[str, int],
    rule: Rule,
    *,
    fresh: Callable[[str], Any] | None = None,
    seed: int = 0,
    before: Callable[[str, Any], Any] = lambda path, x: x,
) -> Params:
    """`params` with every array at its new size.

    Arrays of NumPy give arrays of NumPy; those of JAX, also sharded or traced, such of JAX. One
    array is grown at a time. A model without a `head` has the embedding for one; as that is looked
    up too, what a head would be divided by goes to the last norm.

    Args:
        axes, fan_in: what `models.axes` and `models.fan_in` give; the same for both sizes.
        old, new: sizes of the axes by letter, `r` for the rotated features included.
        fresh: the initial array of the wide model at a path such as `blocks.mlp.up.kernel`; needed
            where something is filled from nowhere (`reuse`, and new rows of the vocabulary).
        seed: of the order of `net2net`, and of the noise.
        before: what is done to each array (by its path) first, such as `depth.restacker`'s, so that
            its results never exist for all arrays at once.

    Raises:
        ValueError: an axis cannot grow by this rule, or `fresh` is needed.
    """
    places = maps(old, new, rule, seed)
    arrays = _arrays(params, axes, fan_in)
    if rule.preserves:
        _check_norms(arrays, old, new)
    # Scores are sums over `h`, divided by the root of its length: the queries make up for both.
    ratio = math.sqrt(new['h'] / old['h'])
    grown = []
    for number, array in enumerate(arrays):
        divided = array.fan_in if rule.divides else ''
        if array.makes_queries:
            divided += 'h'
        elif rule.divides and array.scales_tied_head:
            divided += 'd'
        x = before(array.path, array.value)
        x = _grow(x, array, places, divided, ratio if array.makes_queries else 1.0)
        if rule.noise and array.fan_in:
            x = _with_noise(
                x, array, places, rule, jax.random.fold_in(jax.random.key(seed), number)
            )
        grown.append(_filled(x, array, places, fresh))
    return jax.tree.unflatten(jax.tree.structure(params), grown)


def widen_moments(
    moments: Params,
    axes: Params,
    fan_in: Params,
    old: Mapping[str, int],
    new: Mapping[str, int],
    rule: Rule,
    *,
    power: int,
    seed: int = 0,
    before: Callable[[str, Any], Any] = lambda path, x: x,
) -> Params:
    """Moments of the gradients of the narrow model as those of the wide one.

    Where the function is kept, a copy's gradient is its original's, divided by how many copies the
    products above share it between; `test_moments_grow_as_gradients_do` holds it. Fresh places get
    no momentum, and the mean of the second moments of their array.

    Args:
        power: 1 for Adam's `mu`, 2 for its `nu`.
    """
    places = maps(old, new, rule, seed)
    ratio = math.sqrt(old['h'] / new['h'])
    grown = []
    for array in _arrays(moments, axes, fan_in):
        shared = ''.join(a for a in array.axes if a not in array.fan_in) if rule.divides else ''
        if array.makes_queries:
            shared = shared.replace('h', '')
        elif array.scales_tied_head:
            shared = shared.replace('d', '')
        x = before(array.path, array.value)
        x = _grow(x, array, places, shared, ratio if array.makes_queries else 1.0, power)
        mean = array.value.mean() if power == 2 else 0.0
        grown.append(_filled(x, array, places, lambda _: mean))  # noqa: B023
    return jax.tree.unflatten(jax.tree.structure(moments), grown)


@dataclasses.dataclass(frozen=True)
class _Array:
    """One array of a model, and its part in it."""

    path: str
    value: Any
    axes: str
    fan_in: str
    makes_queries: bool
    scales_tied_head: bool


def _arrays(params: Params, axes: Params, fan_in: Params) -> list[_Array]:
    leaves = jax.tree.leaves_with_path(params)
    paths = [jax.tree_util.keystr(path, simple=True, separator='.') for path, _ in leaves]
    # What the size of the queries is made by: their norm where they have one, else their product.
    normed = any('.query_norm.' in path for path in paths)
    queries = '.query_norm.' if normed else '.query.'
    tied = 'head' not in params
    rows = zip(paths, leaves, jax.tree.leaves(axes), jax.tree.leaves(fan_in), strict=True)
    return [
        _Array(path, x, names, sums, queries in path, tied and path.startswith('final_norm.'))
        for path, (_, x), names, sums in rows
    ]


def copied(names: str, places: Maps) -> float:
    """The share of an array of axes `names` that is filled from the narrow one."""
    return math.prod(float(np.mean(places[axis] >= 0)) for axis in names if axis in places)


def _grow(x: Any, array: _Array, places: Maps, divided: str, scale: float, power: int = 1) -> Any:
    """The array at its new size, divided along some axes by the counts of what they repeat."""
    xp = np if isinstance(x, np.ndarray) else jnp
    scales: list[Any] = [] if scale == 1 else [scale]
    for number, axis in enumerate(array.axes):
        if axis not in places or _is_identity(places[axis], x.shape[number]):
            continue
        x = xp.take(x, np.maximum(places[axis], 0), axis=number)
        if axis in divided:
            scales.append((1 / _counts(places[axis])).reshape(-1, *[1] * (x.ndim - number - 1)))
    return x * xp.asarray(math.prod(scales) ** power, x.dtype) if scales else x


def _filled(x: Any, array: _Array, places: Maps, fresh: Callable[[str], Any] | None) -> Any:
    """The array with the initial values wherever one of its axes is filled from nowhere."""
    kept = _masks(array, places)
    if not kept:
        return x
    if fresh is None:
        raise ValueError(f'{array.path} has places that no old value fills: fresh must be given')
    xp = np if isinstance(x, np.ndarray) else jnp
    masks = (mask.reshape(-1, *[1] * (x.ndim - number - 1)) for number, mask in kept)
    return xp.where(math.prod(masks, start=np.True_), x, xp.asarray(fresh(array.path), x.dtype))


def _masks(array: _Array, places: Maps) -> list[tuple[int, np.ndarray]]:
    """Of each axis with fresh places, its number and which of its places are old."""
    masks = [(number, places[a] >= 0) for number, a in enumerate(array.axes) if a in places]
    return [(number, mask) for number, mask in masks if not mask.all()]


def _with_noise(x: Any, array: _Array, places: Maps, rule: Rule, key: jax.Array) -> Any:
    """The kernel with noise whose sum over the copies of each input is zero."""
    repeated = [axis for axis in array.fan_in if len(set(places[axis])) < len(places[axis])]
    if not repeated:
        return x
    noise = jax.random.normal(key, x.shape, x.dtype)
    following = _following(places[repeated[0]])
    noise -= jnp.take(noise, following, axis=array.axes.index(repeated[0]))
    size = x.std() * (rule.noise / math.sqrt(2))
    return x + (np.asarray(noise) if isinstance(x, np.ndarray) else noise) * size


def _following(place: np.ndarray) -> np.ndarray:
    """For each place the next one with the same origin, and for the last of them the first."""
    following = np.arange(len(place))
    for origin in np.unique(place):
        members = np.flatnonzero(place == origin)
        following[members] = np.roll(members, -1)
    return following


def _spread(old: int, new: int, rule: Rule, random: np.random.Generator) -> np.ndarray:
    """The map of an axis without an order of its own."""
    if rule.method == 'net2net':
        rest = np.concatenate([random.permutation(old) for _ in range(math.ceil(new / old))])
        return np.concatenate([np.arange(old), rest[: new - old]])
    offset = (new - old) // 2 if rule.place == 'centre' else 0
    place = np.arange(new) - offset
    if rule.method == 'reuse':
        return np.where((place >= 0) & (place < old), place, FRESH)
    return place % old


def _groups(old: int, new: int, rule: Rule, random: np.random.Generator) -> np.ndarray:
    """The map of the query heads of one key/value head."""
    if new < old:
        raise ValueError(
            f'query heads per key/value head must be at least {old}, got {new}: num_heads must '
            'grow at least as much as num_kv_heads'
        )
    return _spread(old, new, rule, random)


def _features(old: Mapping[str, int], new: Mapping[str, int], rule: Rule) -> np.ndarray:
    """The map within a head: the rotated features first, in two halves of partners, then the rest.

    It always begins at the edge, since a feature's place is the speed at which it turns.
    """
    if rule.preserves and new['r'] != old['r']:
        raise ValueError(
            f'{rule.method} keeps the function only while the rotated features turn as before: '
            f'rotary_dim must stay {old["r"]}, got {new["r"]}'
        )
    half, rest = old['r'] // 2, old['h'] - old['r']
    pairs = _repeat(half, new['r'] // 2, rule)
    partners = np.where(pairs < 0, FRESH, pairs + half)
    unrotated = _repeat(rest, new['h'] - new['r'], rule)
    return np.concatenate([pairs, partners, np.where(unrotated < 0, FRESH, unrotated + old['r'])])


def _repeat(old: int, new: int, rule: Rule) -> np.ndarray:
    if new > old == 0 and rule.method != 'reuse':
        raise ValueError(
            'heads grow by features that are not rotated, and the old heads have none to repeat: '
            'width.method must be reuse'
        )
    return _beside(old, new) if rule.method == 'reuse' else np.arange(new) % max(old, 1)


def _beside(old: int, new: int) -> np.ndarray:
    """What was there first, and beside it what is fresh."""
    return np.where(np.arange(new) < old, np.arange(new), FRESH)


def _counts(place: np.ndarray) -> np.ndarray:
    """How many places have the same origin as each; 1 for a fresh one."""
    counts = np.bincount(place[place >= 0])[np.maximum(place, 0)]
    return np.where(place < 0, 1, counts)


def _is_identity(place: np.ndarray, old: int) -> bool:
    return len(place) == old and bool((place == np.arange(old)).all())


def _check_norms(arrays: list[_Array], old: Mapping[str, int], new: Mapping[str, int]) -> None:
    for array in arrays:
        if array.path.endswith('.scale') and 'h' in array.axes and old['h'] != new['h']:
            raise ValueError(
                f'{array.path} normalises over head_dim: its function is only kept while head_dim '
                f'stays {old["h"]}, got {new["h"]}'
            )
