"""Kept keys and values, for generation: as many as later queries can still see, and no more.

Each kind of layer has a store of its own. A store of the last keys is a ring: position p is in slot
p modulo its length, so one that is as long as the row keeps everything. A sparse layer also keeps,
for each key/value head, the older blocks of the residues that its query heads see: block j of
residue rank r is in slot r + ranks * (j // stride).
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from phijax.models import sparsity
from phijax.models.blocked import MASKED, Mask, attend, group, score
from phijax.models.configs import Config, Reach, Sparsity
from phijax.models.tiles import near_visible

Store = dict[str, Array]

_QUERIES_AT_ONCE = 256


class Cache(NamedTuple):
    """The keys and values of some rows.

    Attributes:
        lengths: how many positions of each row were written.
        long: which rows have the long factors of LongRoPE.
        layers: a store for each kind of layer of `config.pattern`, its arrays stacked over layers.
    """

    lengths: Int[Array, ' b']
    long: Bool[Array, ' b']
    layers: tuple[Store, ...]


class New(NamedTuple):
    """Queries, keys and values of new positions, and where they go.

    Attributes:
        start: how many keys each row has already; its new positions count on from there.
        added: how many of the new positions are real; the others are padding at the end.
    """

    query: Float[Array, 'b t n h']
    key: Float[Array, 'b t k h']
    value: Float[Array, 'b t k h']
    start: Int[Array, ' b']
    added: Int[Array, ' b']

    @property
    def positions(self) -> Int[Array, 'b t']:
        """The place of each new token in its row."""
        return self.start[:, None] + jnp.arange(self.key.shape[1])[None]


class Kept(NamedTuple):
    """Keys and values to attend to, and the positions they are of, negative where there is none.

    Attributes:
        letters: the axes of keys, `bskh` or, where each query head has its own, `bskgh`.
        positions: `(b, k or 1, g or 1, s)`.
    """

    letters: str
    key: Array
    value: Array
    positions: Array


def init_cache(config: Config, batch: int, length: int) -> Cache:
    """An empty cache for `length` positions of `batch` rows, in the compute dtype."""
    depth = config.num_layers // len(config.pattern)
    stores = (
        {
            name: jnp.zeros((depth, batch, *shape), config.dtype)
            for name, shape in store_shapes(config, reach, length).items()
        }
        for reach in config.pattern
    )
    return Cache(jnp.zeros(batch, jnp.int32), jnp.zeros(batch, bool), tuple(stores))


def store_shapes(config: Config, reach: Reach, length: int) -> dict[str, tuple[int, ...]]:
    """The shapes of what one row and layer keeps of at most `length` positions."""
    features = (config.num_kv_heads, config.head_dim)
    near = min(length, _ring_length(reach, length))
    shapes: dict[str, tuple[int, ...]] = {'key': (near, *features), 'value': (near, *features)}
    if reach.sparsity and sparsity.far_blocks(reach.sparsity, length):
        residues = sparsity.residues(reach.sparsity, config.num_heads, config.num_kv_heads)
        rows = (
            sparsity.far_blocks(reach.sparsity, length),
            1 + int(sparsity.ranks(residues).max()),
        )
        far = (math.prod(rows) * reach.sparsity.block, *features)
        shapes |= {'far_key': far, 'far_value': far}
    return shapes


def attend_cached(
    store: Store, layer: Int[Array, ''], new: New, mask: Mask, scale: float
) -> tuple[Float[Array, 'b t n h'], Store]:
    """Attention of new queries to all that they see, old and new, and the store with the new keys.

    A single token is written and then looks into the store. Several attend among themselves by
    `attend` when nothing is kept yet, and otherwise to what is kept and to each other.

    Args:
        layer: place of the layer among those of its kind.
    """
    reach = mask.reach
    if new.key.shape[1] == 1:
        store = write(store, layer, new, reach)
        kept = _kept(store, layer, new.start + new.added, reach, new)
        return _attend_kept(new.query, kept, new.positions, reach, scale), store

    def fresh() -> Array:
        return attend(new.query, new.key, new.value, mask, scale=scale)

    def onward() -> Array:
        own = Kept('bskh', new.key, new.value, new.positions[:, None, None])
        kept = [*_kept(store, layer, new.start, reach, new), own]
        return _attend_in_pieces(new, kept, reach, scale)

    y = jax.lax.cond(new.start.max() == 0, fresh, onward)
    return y, write(store, layer, new, reach)


def write(store: Store, layer: Int[Array, ''], new: New, reach: Reach) -> Store:
    """The store of one kind with the new keys and values of one layer, less what falls out of it.

    What leaves the ring of a sparse layer moves to its far blocks if a later query can see it.
    """
    length = store['key'].shape[2]
    end = (new.start + new.added)[:, None]
    positions = new.positions
    if 'far_key' in store:
        store = _write_far(store, layer, new, reach)
    kept = (positions < end) & (positions >= end - length)
    slots = jnp.where(kept, positions % length, length)
    place = (layer, jnp.arange(len(slots))[:, None], slots)
    return store | {
        'key': store['key'].at[place].set(new.key, mode='drop'),
        'value': store['value'].at[place].set(new.value, mode='drop'),
    }


def _ring_length(reach: Reach, length: int) -> int:
    if reach.sparsity:
        return reach.sparsity.block * reach.sparsity.local
    return reach.window or length


def _kept(
    store: Store, layer: Int[Array, ''], lengths: Int[Array, ' b'], reach: Reach, new: New
) -> list[Kept]:
    """What a store holds of one layer when `lengths` positions of each row were written."""
    length = store['key'].shape[2]
    last = lengths[:, None] - 1
    positions = last - (last - jnp.arange(length)[None]) % length
    near = Kept('bskh', store['key'][layer], store['value'][layer], positions[:, None, None])
    if 'far_key' not in store:
        return [near]
    pattern, residues = _pattern(reach, new)
    order = sparsity.ranks(residues)
    far_key, far_value = (
        _by_head(store[name][layer], pattern, order) for name in ('far_key', 'far_value')
    )
    slots = np.arange(store['far_key'].shape[2] // (order.max() + 1))
    blocks = slots // pattern.block * pattern.stride + residues[..., None]
    places = jnp.asarray(blocks * pattern.block + slots % pattern.block)[None]
    written = places < (lengths - length)[:, None, None, None]
    return [near, Kept('bskgh', far_key, far_value, jnp.where(written, places, -1))]


def _by_head(x: Float[Array, 'b s k h'], pattern: Sparsity, order: np.ndarray) -> Array:
    """The far blocks that each query head sees, `(b, s', k, g, h)`."""
    ranks = int(order.max()) + 1
    rows = x.reshape(x.shape[0], -1, ranks, pattern.block, *x.shape[2:])
    heads = [rows[:, :, rank].reshape(x.shape[0], -1, *x.shape[2:]) for rank in order.tolist()]
    return jnp.stack(heads, axis=3)


def _write_far(store: Store, layer: Int[Array, ''], new: New, reach: Reach) -> Store:
    """Moves what is about to leave the ring, or never enters it, to the far blocks."""
    pattern, residues = _pattern(reach, new)
    length, size = store['key'].shape[2], store['far_key'].shape[2]
    end = (new.start + new.added)[:, None]
    # The new positions p push out those at p - length: out of the ring, or of the new ones.
    leaving = new.positions - length
    own = leaving - new.start[:, None]
    slots = _far_slots(leaving, pattern, sparsity.kept_residues(residues), size)
    valid = (leaving >= 0) & (new.positions < end)
    slots = jnp.where(valid[..., None], slots, size)
    rows = jnp.arange(len(slots))[:, None]
    place = (layer, rows[..., None], slots, jnp.arange(slots.shape[-1])[None, None])
    moved = {}
    for far, name, fresh in (('far_key', 'key', new.key), ('far_value', 'value', new.value)):
        old = store[name][layer, rows, leaving % length]
        if fresh.shape[1] > length:
            rest = jnp.take_along_axis(fresh, jnp.maximum(own, 0)[..., None, None], axis=1)
            old = jnp.where((own >= 0)[..., None, None], rest, old)
        moved[far] = store[far].at[place].set(old, mode='drop')
    return store | moved


def _far_slots(
    positions: Int[Array, 'b t'], pattern: Sparsity, kept: Int[np.ndarray, 'k r'], size: int
) -> Int[Array, 'b t k']:
    """The slot of each position for each key/value head; `size` where it is of no use."""
    blocks, offsets = positions // pattern.block, positions % pattern.block
    matches = blocks[..., None, None] % pattern.stride == jnp.asarray(kept)
    rank = jnp.argmax(matches, axis=-1)
    row = (blocks // pattern.stride * kept.shape[1])[..., None] + rank
    return jnp.where(matches.any(axis=-1), row * pattern.block + offsets[..., None], size)


def _attend_kept(
    query: Array, kept: list[Kept], positions: Array, reach: Reach, scale: float
) -> Float[Array, 'b t n h']:
    """Attention to what is kept, whatever its order, by the positions that it is of."""
    num_heads, num_kv_heads = query.shape[2], kept[0].key.shape[2]
    grouped = group(query, num_kv_heads)
    scores = []
    for part in kept:
        x = score(f'btkgh,{part.letters}->bkgts', grouped, part.key, scale)
        visible = _sees(reach, positions, part.positions, num_heads, num_kv_heads)
        scores.append(jnp.where(visible, x, MASKED))
    bounds = np.cumsum([x.shape[-1] for x in scores])[:-1]
    weights = jax.nn.softmax(jnp.concatenate(scores, axis=-1), axis=-1)
    gathered = [
        jnp.einsum(f'bkgts,{part.letters}->btkgh', x.astype(part.value.dtype), part.value)
        for part, x in zip(kept, jnp.split(weights, bounds, axis=-1), strict=True)
    ]
    return functools.reduce(jnp.add, gathered).reshape(query.shape)


def _attend_in_pieces(new: New, kept: list[Kept], reach: Reach, scale: float) -> Array:
    """`_attend_kept`, some queries at a time, so that few scores are there at once."""
    length = new.query.shape[1]
    if length <= _QUERIES_AT_ONCE:
        return _attend_kept(new.query, kept, new.positions, reach, scale)

    def cut(x: Array) -> Array:
        padded = jnp.pad(x, [(0, 0), (0, -length % _QUERIES_AT_ONCE)] + [(0, 0)] * (x.ndim - 2))
        return padded.reshape(len(x), -1, _QUERIES_AT_ONCE, *x.shape[2:]).swapaxes(0, 1)

    def piece(part: tuple[Array, Array]) -> Array:
        return _attend_kept(part[0], kept, part[1], reach, scale)

    pieces = jax.lax.map(piece, (cut(new.query), cut(new.positions)))
    return pieces.swapaxes(0, 1).reshape(len(new.query), -1, *new.query.shape[2:])[:, :length]


def _sees(
    reach: Reach, queries: Array, keys: Array, num_heads: int, num_kv_heads: int
) -> Bool[Array, 'b k g t s']:
    """The whole rule, for keys of positions `(b, k or 1, g or 1, s)`; a negative one is no key."""
    queries, keys = queries[:, None, None, :, None], keys[:, :, :, None]
    visible = near_visible(reach, queries, keys)
    if reach.sparsity is not None:
        residues = sparsity.residues(reach.sparsity, num_heads, num_kv_heads)
        own = keys // reach.sparsity.block % reach.sparsity.stride
        visible |= (queries >= keys) & (own == jnp.asarray(residues)[None, :, :, None, None])
    return visible & (keys >= 0)


def _pattern(reach: Reach, new: New) -> tuple[Sparsity, np.ndarray]:
    assert reach.sparsity is not None
    heads = new.query.shape[2], new.key.shape[2]
    return reach.sparsity, sparsity.residues(reach.sparsity, *heads)
