"""Layer maps against those worked out by hand, and stacks that follow them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models
from phijax.upscale import depth
from tests.models import tiny

CONFIG = tiny.config()


def _repeated(old: int, new: int, rounding: str) -> list[int]:
    layers = depth.layer_map(old, new, 'gopher', rounding).tolist()
    assert layers == sorted(layers)
    assert set(layers) == set(range(old))
    return [layer for layer in range(old) if layers.count(layer) > 1]


@pytest.mark.parametrize(
    ('old', 'new', 'rounding', 'repeated'),
    [
        (20, 24, 'half_even', [2, 8, 12, 18]),
        (20, 24, 'half_up', [3, 8, 13, 18]),
        (24, 32, 'half_even', [2, 4, 8, 10, 14, 16, 20, 22]),
        (24, 32, 'half_up', [2, 5, 8, 11, 14, 17, 20, 23]),
    ],
)
def test_gopher_repeats_these_layers(old, new, rounding, repeated):
    assert _repeated(old, new, rounding) == repeated


@pytest.mark.parametrize(
    ('old', 'new', 'method', 'layers'),
    [
        (3, 6, 'gopher', [0, 1, 1, 2, 2, 2]),  # the last would be layer 3
        (2, 5, 'stack', [0, 1, 0, 1, 0]),
        (3, 6, 'stack', [0, 1, 2, 0, 1, 2]),
        (4, 6, 'overlap', [0, 1, 2, 1, 2, 3]),
        (4, 8, 'overlap', [0, 1, 2, 3, 0, 1, 2, 3]),
        (4, 6, 'identity', [0, 1, 1, 2, 3, 3]),
    ],
)
def test_maps(old, new, method, layers):
    assert depth.layer_map(old, new, method).tolist() == layers


def test_solar_keeps_48_of_64():
    # Source: arXiv:2312.15166, sec. 2: 32 layers, 8 dropped from each copy.
    layers = depth.layer_map(32, 48, 'overlap').tolist()
    assert layers == [*range(24), *range(8, 32)]


def test_halves_of_large_products_are_exact():
    layers = depth.layer_map(3 * 10**4 + 1, 6 * 10**4 + 2, 'gopher', 'half_even')
    assert layers[1::4].tolist() == list(range(0, 3 * 10**4 + 1, 2))


@pytest.mark.parametrize('method', depth.METHODS)
def test_no_growth_is_the_identity(method):
    assert depth.layer_map(4, 4, method).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ('arguments', 'answer'),
    [
        ((4, 8, 'copy'), "depth.method must be one of gopher, stack, overlap, identity .* 'copy'"),
        ((4, 8, 'gopher', 'down'), "depth.rounding one of half_up, half_even, got .* 'down'"),
        ((4, 3, 'stack'), 'num_layers must be at least 4, got 3'),
        ((4, 7, 'overlap'), 'must be even and in 4..8, got 7'),
        ((4, 10, 'overlap'), 'must be even and in 4..8, got 10'),
    ],
)
def test_refusals(arguments, answer):
    with pytest.raises(ValueError, match=answer):
        depth.layer_map(*arguments)


def test_copies_are_what_came_before():
    assert depth.copies([0, 1, 1, 2, 0]).tolist() == [False, False, True, False, True]


@pytest.mark.parametrize('kind', [np.asarray, jnp.asarray])
def test_each_layer_comes_from_where_the_map_says(kind):
    params = jax.tree.map(kind, tiny.randomised(CONFIG))
    index = [2, 0, 0, 1, 2]
    deep = depth.deepen(params, models.axes(CONFIG), index)
    for path, array in jax.tree.leaves_with_path(deep):
        source = params
        for key in path:
            source = source[key.key]
        assert isinstance(array, type(source))
        expected = source[np.array(index)] if path[0].key == 'blocks' else source
        np.testing.assert_array_equal(array, expected)


def test_silent_layers_keep_the_logits():
    config = tiny.config(qk_layernorm=True)
    params, tokens = tiny.randomised(config), tiny.tokens(config, 2, 9)
    index = depth.layer_map(3, 7, 'identity')
    deep = depth.deepen(
        params,
        models.axes(config),
        index,
        fan_in=models.fan_in(config),
        silent=depth.copies(index),
    )
    before, _ = models.apply(config, params, tokens)
    after, _ = models.apply(tiny.config(num_layers=7), deep, tokens)
    np.testing.assert_allclose(after, before, atol=1e-5 * float(abs(before).max()))
    # Only what a layer writes is silenced, so that all of it can learn.
    query, out = deep['blocks']['attention']['query'], deep['blocks']['attention']['out']
    assert jnp.abs(query['kernel']).min(axis=(1, 2, 3)).min() > 0
    assert not jnp.abs(out['bias'][depth.copies(index)]).any()


def test_silence_needs_to_know_the_products():
    with pytest.raises(ValueError, match='fan_in'):
        depth.deepen(tiny.randomised(CONFIG), models.axes(CONFIG), [0, 0], silent=[False, True])
