"""Dropout in a model: where it acts, at which rate, and that no two places share a mask."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from phijax import models
from phijax.models import phi, rotary
from phijax.models.attention import Inputs
from phijax.models.blocked import Mask
from phijax.models.tiles import BLOCK
from tests.models import tiny

RATE = 0.25
ALIKE = RATE**2 + (1 - RATE) ** 2  # the share on which two independent masks agree
ANCHOR = 1e4


def _quiet(config):
    """Parameters of which only the biases of the branches reach the output, as powers of ten.

    The first two features carry known values past all dropout, by which the last norm is undone.
    """
    params = jax.tree.map(jnp.zeros_like, tiny.randomised(config))
    rest = jnp.arange(config.embed_dim) >= 2
    levels = 10.0 ** jnp.arange(2 * config.num_layers).reshape(2, -1, 1)
    params['blocks']['attention']['out']['bias'] = levels[0] * rest
    params['blocks']['mlp']['down']['bias'] = levels[1] * rest
    params['embed']['kernel'] = params['embed']['kernel'].at[:, :2].set(jnp.array([1, -1]) * ANCHOR)
    params['final_norm']['scale'] += 1
    return params


def _masks(config, key, tokens):
    """What residual dropout kept in each branch of each layer, `(branch, l, b, t, d)`."""
    x, _ = tiny.jit(lambda key: models.hidden(config, _quiet(config), tokens, key=key))(key)
    x = np.float64(x)
    first, second = x[..., :1], x[..., 1:2]
    values = (2 * (x - second) / (first - second) - 1) * ANCHOR * (1 - RATE)
    digits = np.rint(values[..., 2:]).astype(int)
    branches = [digits // 10**i % 10 for i in range(2 * config.num_layers)]
    masks = np.stack(branches).reshape(2, config.num_layers, *digits.shape)
    assert set(np.unique(masks)) == {0, 1}
    return masks


def test_residual_dropout():
    config = tiny.config(embed_dim=66, num_layers=2, residual_dropout=RATE)
    tokens = tiny.tokens(config, 3, 20)
    masks = _masks(config, tiny.key(0), tokens)
    shares = masks.mean(axis=(2, 3, 4))
    np.testing.assert_allclose(shares, 1 - RATE, atol=0.03)
    np.testing.assert_array_equal(masks, _masks(config, tiny.key(0), tokens))

    pairs = [
        (masks[0], masks[1]),  # branches
        (masks[:, 0], masks[:, 1]),  # layers
        (masks[0, 0], masks[1, 1]),
        (masks[:, :, 0], masks[:, :, 1]),  # rows
        (masks[:, :, :, 3], masks[:, :, :, 4]),  # positions
        (masks, _masks(config, tiny.key(1), tokens)),  # steps
    ]
    for ours, theirs in pairs:
        assert abs((ours == theirs).mean() - ALIKE) < 0.04


def test_embedding_dropout():
    config = tiny.config(embed_dim=64, embed_dropout=RATE)
    params = jax.tree.map(jnp.zeros_like, tiny.randomised(config))
    params['embed']['kernel'] += 1
    params['final_norm']['scale'] += 1
    run = tiny.jit(
        lambda key: models.hidden(config, params, jnp.zeros((2, 50), jnp.int32), key=key)
    )
    kept = np.asarray(run(tiny.key(0))[0]) > 0  # a row of 0 and 1 / (1 - RATE), normalised
    assert abs(kept.mean() - (1 - RATE)) < 0.03
    other = np.asarray(run(tiny.key(1))[0]) > 0
    assert abs((kept == other).mean() - ALIKE) < 0.04
    assert abs((kept[0] == kept[1]).mean() - ALIKE) < 0.04


RATES = ('embed_dropout', 'residual_dropout', 'attention_dropout')


@pytest.mark.parametrize('field', RATES)
def test_each_rate_acts_with_a_key_alone(field):
    plain = tiny.config()
    params, tokens = tiny.randomised(plain), tiny.tokens(plain, 2, 12)
    expected = tiny.forward(plain)(params, tokens)
    run = tiny.forward(tiny.config(**{field: 0.5}))
    np.testing.assert_array_equal(run(params, tokens), expected)
    with_key = run(params, tokens, key=tiny.key(0))
    assert np.abs(with_key - expected).max() > 0.05
    np.testing.assert_array_equal(with_key, run(params, tokens, key=tiny.key(0)))
    assert np.abs(with_key - run(params, tokens, key=tiny.key(1))).max() > 0.05


def test_a_key_without_a_rate_changes_nothing():
    config = tiny.config()
    params, tokens = tiny.randomised(config), tiny.tokens(config, 2, 12)
    run = tiny.forward(config)
    np.testing.assert_array_equal(run(params, tokens, key=tiny.key(0)), run(params, tokens))


def test_no_two_places_draw_from_the_same_key(monkeypatch):
    """Else their masks would be parts of the same numbers, however the places differ in shape."""
    drawn = []

    def recorded(key, _, shape):
        jax.debug.callback(
            lambda data: drawn.append(tuple(data.tolist())), jax.random.key_data(key)
        )
        return jnp.ones(shape, bool)

    monkeypatch.setattr(jax.random, 'bernoulli', recorded)
    config = tiny.config(residual_dropout=RATE, attention_dropout=RATE)
    length = 2 * BLOCK + 1
    positions = jnp.arange(length)[None]

    @tiny.jit
    def run(key):
        tables, start = rotary.tables(config, positions), jnp.zeros(1, jnp.int32)
        inputs = Inputs(jnp.int32(0), tables, Mask(), None, start, start, key)
        return phi.Block(config, nnx.Rngs(0))(jnp.ones((1, length, config.embed_dim)), inputs)[0]

    run(jax.random.key(0))
    jax.effects_barrier()
    assert len(drawn) == len(set(drawn)) == 5  # three blocks of queries, two branches
