"""What caches keep: shapes, places, and what leaves them; generation's results are elsewhere."""

import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models
from phijax.models import cache
from phijax.models.configs import Reach, Sparsity
from tests.models import tiny


def _new(start, count, length, heads=(6, 2)):
    """New keys whose every number is their position, and values that are its negative."""
    start = jnp.asarray(start, jnp.int32)
    places = (start[:, None] + jnp.arange(length))[..., None, None] * jnp.ones((heads[1], 10))
    query = jnp.zeros((len(start), length, heads[0], 10))
    return cache.New(query, places, -places, start, jnp.asarray(count, jnp.int32))


def _empty(reach, length, rows=2, heads=(6, 2)):
    config = tiny.config(num_heads=heads[0], num_kv_heads=heads[1])
    shapes = cache.store_shapes(config, reach, length)
    return {name: jnp.full((3, rows, *shape), 999.0) for name, shape in shapes.items()}


def test_an_empty_cache():
    made = models.init_cache(tiny.config(dtype='bfloat16'), 2, 5)
    assert made.lengths.tolist() == [0, 0]
    assert made.long.tolist() == [False, False]
    [store] = made.layers
    assert {name: (x.shape, x.dtype.name) for name, x in store.items()} == {
        'key': ((3, 2, 5, 2, 10), 'bfloat16'),
        'value': ((3, 2, 5, 2, 10), 'bfloat16'),
    }
    assert not any(x.any() for x in store.values())


def test_write_leaves_padding_out():
    written = cache.write(_empty(Reach(), 5), jnp.int32(1), _new([0, 3], [2, 1], 2), Reach())
    expected = np.full((3, 2, 5), 999.0)
    expected[1, 0, :2], expected[1, 1, 3] = [0, 1], 3
    np.testing.assert_array_equal(written['key'][..., 0, 0], expected)
    np.testing.assert_array_equal(
        written['value'][..., 1, 9], np.where(expected == 999, 999, -expected)
    )


@pytest.mark.parametrize('size', [1, 2, 7, 20])
def test_a_ring_keeps_the_last_keys(size):
    """However many are written at once, and for rows of unlike lengths."""
    reach = Reach(window=5)
    store = _empty(reach, 100)
    assert store['key'].shape[2] == 5
    lengths = np.array([20, 13])
    for start in range(0, 20, size):
        count = np.clip(lengths - start, 0, size)
        store = cache.write(store, jnp.int32(0), _new([start] * 2, count, size), reach)
    for row, length in enumerate(lengths):
        last = np.arange(length - 5, length)
        np.testing.assert_array_equal(store['key'][0, row, last % 5, 0, 0], last)
    assert (store['key'][1:] == 999).all()


@pytest.mark.parametrize('size', [1, 5, 13, 60])
@pytest.mark.parametrize('homogeneous', [False, True])
def test_a_sparse_store_keeps_what_can_still_be_seen(size, homogeneous):
    pattern = Sparsity(block=2, local=3, stride=4, homogeneous=homogeneous)
    reach, length, heads = Reach(sparsity=pattern), 60, (8, 4)
    store = _empty(reach, length, heads=heads)
    for start in range(0, length, size):
        count = min(size, length - start)
        new = _new([start] * 2, [count] * 2, size, heads)
        store = cache.write(store, jnp.int32(0), new, reach)
    per_group = 1 if homogeneous else 2
    assert store['far_key'].shape[2] == 7 * per_group * 2  # 27 far blocks, in rows of 4
    for head in range(4):
        residues = {3} if homogeneous else {(-2 * head - 1) % 4, (-2 * head - 2) % 4}
        expected = [p for p in range(length - 6) if p // 2 % 4 in residues]
        kept = np.asarray(store['far_key'][0, 0, :, head, 0])
        assert sorted(kept[kept != 999]) == expected
        np.testing.assert_array_equal(sorted(store['key'][0, 0, :, head, 0]), range(54, 60))


def test_the_published_sizes_of_a_sparse_layer():
    """72 of 128 blocks at 8k and 1032 of 2048 at 128k."""
    config = models.config('phi3_small')
    for length, blocks in ((8192, 72), (131072, 1032)):
        sparse, dense = (cache.store_shapes(config, reach, length) for reach in config.pattern)
        assert sparse['key'][0] + sparse['far_key'][0] == 64 * blocks
        assert dense == {'key': (length, 8, 128), 'value': (length, 8, 128)}
