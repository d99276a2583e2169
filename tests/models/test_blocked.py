"""Blocked attention against the plain formula: values, gradients, dropout, precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax.models import sparsity, tiles
from phijax.models.blocked import Mask, attend
from phijax.models.configs import Reach, Sparsity
from tests.models import reference_phi3_small, tiny


def plain(query, key, value, mask, keep=1.0):
    """The formula, with all scores at once."""
    length, groups = query.shape[1], query.shape[2] // key.shape[2]
    key, value = (jnp.repeat(x, groups, axis=2) for x in (key, value))
    scores = jnp.einsum('btnh,bsnh->bnts', query, key) / query.shape[-1] ** 0.5
    distance = jnp.arange(length)[:, None] - jnp.arange(length)[None]
    visible = (distance >= 0) & (distance < (mask.reach.window or length))
    if mask.reach.sparsity is not None:
        visible = visible & jnp.asarray(dense(mask.reach.sparsity, query.shape[2], length))
    if mask.segments is not None:
        visible = visible & (mask.segments[:, None, :, None] == mask.segments[:, None, None, :])
    weights = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1) * keep
    return jnp.einsum('bnts,bsnh->btnh', weights, value)


def dense(sparsity, num_heads, length):
    """The mask of a sparse pattern, by the slow reference."""
    rule = (sparsity.block, sparsity.local, sparsity.stride, sparsity.homogeneous)
    return reference_phi3_small.sparse_mask(num_heads, length, *rule)


def draw(length, heads=(6, 3, 8), seed=0, std=1.5):
    """Queries, keys, values, and an array like the result."""
    num_heads, num_kv_heads, head_dim = heads
    random = np.random.default_rng(seed)
    return [
        random.normal(0, std, (2, length, n, head_dim)).astype(np.float32)
        for n in (num_heads, num_kv_heads, num_kv_heads, num_heads)
    ]


def documents(length):
    """Numbers of documents of unlike lengths, differing between rows."""
    random = np.random.default_rng(length)
    return jnp.asarray(np.sort(random.integers(1, 5, size=(2, length)), axis=-1))


def both(function, query, key, value, along):
    """The result and its gradients by queries, keys and values."""

    def value_and_gradients(*arrays):
        y, pull = jax.vjp(function, *arrays)
        return y, *pull(along)

    return tiny.jit(value_and_gradients)(query, key, value)


def assert_all_near(ours, theirs, tolerance=2e-5):
    for our, their in zip(ours, theirs, strict=True):
        assert np.abs(their).max() > 0.1
        np.testing.assert_allclose(our, their, atol=tolerance)


# Small blocks make every relation of length, window and block come up at a small cost.
@pytest.mark.parametrize(
    ('length', 'window', 'heads', 'segmented'),
    [
        (3, None, (2, 2, 4), False),
        (8, None, (4, 1, 6), True),
        (9, None, (6, 3, 8), False),
        (20, 1, (6, 2, 8), False),
        (20, 5, (6, 6, 8), True),
        (20, 8, (6, 3, 8), False),
        (20, 9, (6, 3, 8), False),
        (20, 15, (6, 3, 8), True),
        (20, 30, (6, 3, 8), True),
    ],
)
def test_values_and_gradients(monkeypatch, length, window, heads, segmented):
    monkeypatch.setattr(tiles, 'BLOCK', 8)
    query, key, value, along = draw(length, heads)
    mask = Mask(segments=documents(length) if segmented else None, reach=Reach(window=window))
    theirs = both(functools.partial(plain, mask=mask), query, key, value, along)
    ours = both(functools.partial(attend, mask=mask), query, key, value, along)
    for name, our, their in zip('yqkv', ours, theirs, strict=True):
        if window != 1 or name in 'yv':  # a query that sees only itself has no choice
            assert np.abs(their).max() > 0.1
        np.testing.assert_allclose(our, their, atol=2e-5, err_msg=name)


def test_blocks_of_their_real_size():
    length = 2 * tiles.BLOCK + 3
    query, key, value, along = draw(length, (2, 1, 4))
    mask = Mask(segments=documents(length))
    assert_all_near(
        both(functools.partial(attend, mask=mask), query, key, value, along),
        both(functools.partial(plain, mask=mask), query, key, value, along),
    )


@pytest.mark.parametrize(
    ('length', 'block'), [(1, 64), (64, 64), (65, 64), (1024, 64), (1025, 65), (2048, 128)]
)
def test_blocks_grow_with_long_rows(length, block):
    assert tiles.block_length(length) == block
    spans = tiles.spans(length)
    assert spans[0] == (0, min(block, length))
    assert spans[-1][1] == length
    assert [span[0] for span in spans[1:]] == [span[1] for span in spans[:-1]]
    assert len(spans) <= 16


def test_hidden_scores_are_never_computed():
    query, key, value, _ = draw(3 * tiles.BLOCK, (1, 1, 8))
    text = str(jax.make_jaxpr(functools.partial(attend, mask=Mask()))(query, key, value))
    for blocks in (1, 2, 3):
        assert f'{tiles.BLOCK},{blocks * tiles.BLOCK}]' in text
    assert f'{3 * tiles.BLOCK},{3 * tiles.BLOCK}]' not in text


@functools.cache
def _dropping(rate):
    return tiny.jit(lambda *arrays, key: attend(*arrays, Mask(), rate=rate, key_=key))


def kept(key, rate, shape=(2, 32, 6, 3)):
    """Dropout's factor on every weight, `(b, n, t, s)`, as the result shows it.

    Equal scores make the weights of query t equal 1 / (t + 1), and values that are unit vectors
    bring them out.
    """
    batch, length, num_heads, num_kv_heads = shape
    zeros = np.zeros((batch, length, num_heads, length), np.float32)
    unit = np.zeros((batch, length, num_kv_heads, length), np.float32)
    unit += np.eye(length)[None, :, None]
    y = _dropping(rate)(zeros, zeros[:, :, :num_kv_heads], unit, key=key)
    return np.moveaxis(np.asarray(y), 1, 2) * np.arange(1, length + 1)[:, None]


def test_dropout_of_weights(monkeypatch):
    monkeypatch.setattr(tiles, 'BLOCK', 16)
    keep = kept(tiny.key(0), 0.25)
    seen = np.tril(np.ones((32, 32), bool))
    assert not keep[:, :, ~seen].any()
    on = keep[:, :, seen] > 0
    np.testing.assert_allclose(keep[:, :, seen][on], 1 / 0.75, rtol=1e-5)
    assert abs(on.mean() - 0.75) < 0.02
    np.testing.assert_array_equal(keep, kept(tiny.key(0), 0.25))
    np.testing.assert_array_equal(kept(None, 0.25)[:, :, seen] > 0.99, True)
    np.testing.assert_array_equal(kept(tiny.key(0), 0.0)[:, :, seen] > 0.99, True)

    # Rows, heads, blocks of queries and keys all draw for themselves.
    alike = 0.75**2 + 0.25**2
    same = np.tril(np.ones((16, 16), bool))
    blocks = keep[:, :, :16, :16][:, :, same] > 0, keep[:, :, 16:32, 16:32][:, :, same] > 0
    other = kept(tiny.key(1), 0.25)[:, :, seen] > 0
    for a, b in [(on[0], on[1]), (on[:, 0], on[:, 1]), (on[:, 2], on[:, 5]), blocks, (on, other)]:
        assert abs((a == b).mean() - alike) < 0.06


def test_gradients_with_dropout(monkeypatch):
    monkeypatch.setattr(tiles, 'BLOCK', 16)
    query, key, value, along = draw(32)
    random = tiny.key(3)
    keep = jnp.asarray(kept(random, 0.25))
    assert_all_near(
        both(
            functools.partial(attend, mask=Mask(), rate=0.25, key_=random), query, key, value, along
        ),
        both(functools.partial(plain, mask=Mask(), keep=keep), query, key, value, along),
    )


@pytest.mark.parametrize('window', [None, 3])
def test_a_hidden_key_never_wins(window):
    """Not even when every score that a query may see is far below those that it may not."""
    size, length = 100.0, 8
    query = np.full((1, length, 1, 4), size, np.float32)
    key = -query * np.arange(length, 0, -1, dtype=np.float32)[None, :, None, None]
    value = np.zeros_like(key) + np.arange(length, dtype=np.float32)[None, :, None, None]
    y = tiny.jit(functools.partial(attend, mask=Mask(reach=Reach(window=window))))(
        query, key, value
    )
    np.testing.assert_allclose(y[0, :, 0, 0], np.arange(length), atol=1e-6)


@pytest.mark.parametrize(('dtype', 'tolerance'), [('bfloat16', 2e-2), ('float16', 3e-3)])
def test_only_inputs_and_result_are_rounded(dtype, tolerance):
    query, key, value, along = draw(40, (4, 2, 64), std=3.0)
    half = [x.astype(jnp.dtype(dtype)) for x in (query, key, value, along)]
    wide = [x.astype(np.float32) for x in half]
    attend_all = functools.partial(attend, mask=Mask())
    exact = both(functools.partial(plain, mask=Mask()), *wide)
    for ours, theirs in zip(both(attend_all, *half), exact, strict=True):
        assert ours.dtype == half[0].dtype
        error = np.linalg.norm(np.float32(ours) - theirs) / np.linalg.norm(theirs)
        assert error < tolerance


def test_scores_beyond_half_precision_stay_finite():
    query, key, value, along = draw(20, (2, 2, 64), std=120.0)
    half = [x.astype(np.float16) for x in (query, key, value / 120, along / 120)]
    with np.errstate(over='ignore'):
        assert np.isinf(np.einsum('btnh,bsnh->bnts', *half[:2])).any()
    y, *gradients = both(functools.partial(attend, mask=Mask()), *half)
    wide = (x.astype(np.float32) for x in half[:3])
    exact = tiny.jit(functools.partial(plain, mask=Mask()))(*wide)
    np.testing.assert_allclose(y, exact, atol=5e-3)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize('segmented', [False, True])
@pytest.mark.parametrize(
    ('heads', 'pattern'),
    [
        ((8, 2, 6), Sparsity(block=2, local=3, stride=4)),
        ((8, 4, 6), Sparsity(block=4, local=1, stride=8)),
        ((2, 1, 6), Sparsity(block=1, local=2, stride=5)),
        ((6, 6, 6), Sparsity(block=3, local=2, stride=3, homogeneous=True)),
    ],
)
def test_a_sparse_pattern(monkeypatch, heads, pattern, segmented):
    monkeypatch.setattr(tiles, 'BLOCK', 7)
    length = 53
    query, key, value, along = draw(length, heads)
    reach = Reach(sparsity=pattern)
    mask = Mask(segments=documents(length) if segmented else None, reach=reach)
    assert_all_near(
        both(functools.partial(attend, mask=mask), query, key, value, along),
        both(functools.partial(plain, mask=mask), query, key, value, along),
    )
    visible = dense(pattern, heads[0], length).sum()
    computed = heads[0] * tiles.computed_pairs(length, reach)
    assert visible <= computed < 0.9 * heads[0] * length**2


def test_the_published_pattern():
    """The toy of the report's figure 1, and the shares at the lengths of phi-3-small."""
    toy = Sparsity(block=1, local=2, stride=3)
    mask = dense(toy, 3, 9)
    seen = [np.flatnonzero(mask[head, 8]).tolist() for head in range(3)]
    assert seen == [[2, 5, 7, 8], [1, 4, 7, 8], [0, 3, 6, 7, 8]]
    residues = sparsity.residues(toy, 3, 3)
    far = [[key for key in range(7) if key % 3 == residues[head, 0]] for head in range(3)]
    assert far == [[2, 5], [1, 4], [0, 3, 6]]
    pattern = Sparsity()
    np.testing.assert_array_equal(
        sparsity.residues(pattern, 32, 8), [[7, 6, 5, 4], [3, 2, 1, 0]] * 4
    )
    assert sparsity.period(sparsity.residues(pattern, 32, 8)) == 2
    assert [sparsity.far_blocks(pattern, n) * 4 for n in (1024, 8192, 131072)] == [0, 56, 1016]


@pytest.mark.parametrize('length', [5, 40, 64, 100])
def test_visible_pairs(length):
    """Of a window exactly; of a sparse pattern the mean over heads whose residues are all there."""
    query = np.arange(length)[:, None] - np.arange(length)[None]
    for window in (None, 1, 7, 200):
        expected = ((query >= 0) & (query < (window or length))).sum()
        assert tiles.visible_pairs(length, Reach(window=window)) == expected
    pattern = Sparsity(block=4, local=3, stride=4)
    expected = dense(pattern, 4, length).sum() / 4
    assert tiles.visible_pairs(length, Reach(sparsity=pattern)) == pytest.approx(expected, abs=9)
