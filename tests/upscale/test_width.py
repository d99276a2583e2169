"""Growth of every axis against its laws: identity, shapes, kept logits, planted markers."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models, partitioning
from phijax.upscale import width
from phijax.upscale.width import FRESH, Rule
from tests.models import tiny

SIZES = tiny.config().sizes
FRESH_VALUE = 99.0

REUSE, CENTRED = Rule(method='reuse'), Rule(method='reuse', place='centre')
TILE, TILE_CENTRED = Rule(method='tile'), Rule(method='tile', place='centre')
DIVIDED = Rule(method='tile', place='centre', divide=True)
CLONE, NOISY = Rule(method='clone'), Rule(method='clone', noise=0.3)
NET2NET = Rule(method='net2net', noise=0.1)
RULES = (REUSE, CENTRED, TILE, TILE_CENTRED, DIVIDED, CLONE, NOISY, NET2NET)
PRESERVING = (CLONE, NOISY, NET2NET, Rule(method='tile', divide=True))


def _widen(config, params, rule, seed=0, **sizes):
    target = tiny.config(**{'qk_layernorm': config.qk_layernorm, **sizes})

    def fresh(path):
        names = models.axes(target)
        for part in path.split('.'):
            names = names[part]
        return np.full([target.sizes[axis] for axis in names], FRESH_VALUE, np.float32)

    grown = width.widen(
        jax.tree.map(np.asarray, params),  # nothing to compile
        models.axes(config),
        models.fan_in(config),
        config.sizes,
        target.sizes,
        rule,
        fresh=fresh,
        seed=seed,
    )
    return target, grown


def _shapes(config):
    return jax.tree.map(lambda names: tuple(config.sizes[a] for a in names), models.axes(config))


@functools.cache
def _apply(config):
    return tiny.jit(functools.partial(models.apply, config))


def _is_kept(config, params, target, grown):
    tokens = tiny.tokens(config, 2, 11)
    before, _ = _apply(config)(params, tokens)
    after, _ = _apply(target)(grown, tokens)
    scale = float(abs(before).max())
    np.testing.assert_allclose(after[..., : config.vocab_size], before, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize('rule', RULES)
def test_no_growth_is_the_identity(rule):
    config = tiny.config()
    params = tiny.randomised(config)
    _, grown = _widen(config, params, rule)
    jax.tree.map(np.testing.assert_array_equal, grown, params)


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize(
    'sizes',
    [
        {'embed_dim': 48, 'num_heads': 12, 'num_kv_heads': 4, 'mlp_dim': 80},
        {'embed_dim': 72, 'num_heads': 24, 'num_kv_heads': 2, 'mlp_dim': 60, 'vocab_size': 64},
    ],
)
def test_shapes_are_those_of_the_target(rule, sizes):
    config = tiny.config()
    target, grown = _widen(config, tiny.randomised(config), rule, **sizes)
    assert jax.tree.map(jnp.shape, grown) == _shapes(target)


@pytest.mark.parametrize('rule', PRESERVING)
@pytest.mark.parametrize(
    'sizes',
    [
        {'embed_dim': 48, 'num_heads': 12, 'num_kv_heads': 4, 'mlp_dim': 80},
        {'embed_dim': 72},
        {'mlp_dim': 52},  # units of the MLP, and heads, may repeat unevenly
        {'num_heads': 9, 'num_kv_heads': 3},
        {'num_heads': 10},  # five query heads where a key/value head had three
        {'vocab_size': 70},
        {'embed_dim': 48, 'num_heads': 15, 'num_kv_heads': 3, 'mlp_dim': 90, 'vocab_size': 62},
    ],
)
def test_the_function_is_kept(rule, sizes):
    config = tiny.config()
    params = tiny.randomised(config)
    target, grown = _widen(config, params, rule, seed=3, **sizes)
    _is_kept(config, params, target, grown)


@pytest.mark.parametrize('rule', PRESERVING)
@pytest.mark.parametrize('head_dim', [11, 14, 20, 37])
def test_longer_heads_keep_the_function(rule, head_dim):
    config = tiny.config(qk_layernorm=False)
    params = tiny.randomised(config)
    target, grown = _widen(config, params, rule, head_dim=head_dim, mlp_dim=80)
    _is_kept(config, params, target, grown)


def _scores(config, params, x):
    """Products of queries and keys of each layer and head, for a given input of the layer."""
    attention = params['blocks']['attention']
    query, key = (
        jnp.einsum('btd,ldnh->lbtnh', x, attention[name]['kernel'])
        + attention[name]['bias'][:, None, None]
        for name in ('query', 'key')
    )
    key = jnp.repeat(key, config.num_heads // config.num_kv_heads, axis=3)
    return jnp.einsum('lbtnh,lbsnh->lbnts', query, key) / math.sqrt(config.head_dim)


@pytest.mark.parametrize('rule', [REUSE, TILE, TILE_CENTRED])
def test_scores_stay_as_large_in_longer_heads(rule):
    # phi-1.5 -> phi-2: as many heads, each longer, rotated features as before.
    config = tiny.config(qk_layernorm=False)
    params = tiny.randomised(config)
    target, grown = _widen(config, params, rule, head_dim=16)
    if rule is REUSE:  # what is fresh adds to the scores; without it they are the old ones
        grown = jax.tree.map(lambda x: jnp.where(x == FRESH_VALUE, 0, x), grown)
    x = jax.random.normal(jax.random.key(0), (1, 5, config.embed_dim))
    before, after = _scores(config, params, x), _scores(target, grown, x)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_scores_stay_as_large_behind_a_norm_of_the_queries():
    config, target = tiny.config(), tiny.config(head_dim=16)
    params = tiny.randomised(config)
    _, grown = _widen(config, params, REUSE, head_dim=16)
    ratio = math.sqrt(target.head_dim / config.head_dim)
    before, after = (tree['blocks']['attention'] for tree in (params, grown))
    for leaf in ('scale', 'bias'):
        old, new = before['query_norm'][leaf], after['query_norm'][leaf]
        np.testing.assert_allclose(new[:, :10], ratio * old, rtol=1e-6)
        np.testing.assert_array_equal(after['key_norm'][leaf][:, :10], before['key_norm'][leaf])
    np.testing.assert_array_equal(after['query']['kernel'][..., :10], before['query']['kernel'])


@pytest.mark.parametrize('rule', [REUSE, CENTRED, TILE, TILE_CENTRED, NET2NET])
def test_every_marker_is_where_its_axes_say(rule):
    """Each value is its own place in the narrow array, so its origin can be read off."""
    config = tiny.config()
    sizes = {'num_heads': 12, 'num_kv_heads': 4, 'embed_dim': 48, 'mlp_dim': 100}
    rule = Rule(method=rule.method, place=rule.place)
    target = tiny.config(**sizes)
    places = width.maps(config.sizes, target.sizes, rule, seed=5)
    shapes, axes = _shapes(config), models.axes(config)
    params = jax.tree.map(
        lambda shape: 1 + np.arange(math.prod(shape), dtype=np.float64).reshape(shape),
        shapes,
        is_leaf=lambda x: isinstance(x, tuple),
    )
    _, grown = _widen(config, params, rule, seed=5, **sizes)
    fan_in = models.fan_in(config)

    def check(array, marked, names, summed):
        for place in itertools.islice(np.ndindex(array.shape), 0, None, 97):
            origin = [
                places[axis][i] if axis in places else i
                for axis, i in zip(names, place, strict=True)
            ]
            if FRESH in origin:
                assert array[place] == FRESH_VALUE
                continue
            count = 1
            for axis, i in zip(names, origin, strict=True):
                if axis in summed and rule.divides:
                    count *= int((places[axis] == i).sum())
            assert array[place] * count == pytest.approx(marked[tuple(origin)], rel=1e-12)

    jax.tree.map(check, grown, params, axes, fan_in)


def test_rotated_features_keep_their_places_and_partners():
    old, new = SIZES, SIZES | {'h': 20}
    assert width.maps(old, new, TILE)['h'].tolist() == [*range(10), *range(4, 10), *range(4, 8)]
    assert width.maps(old, new, CENTRED)['h'].tolist() == [*range(10), *[FRESH] * 10]
    # More rotated features: pairs stay pairs, each half beginning where the new one does.
    new = SIZES | {'h': 12, 'r': 8}
    assert width.maps(old, new, TILE)['h'].tolist() == [0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 6, 7]
    reuse = [0, 1, FRESH, FRESH, 2, 3, FRESH, FRESH, 4, 5, 6, 7]
    assert width.maps(old, new, REUSE)['h'].tolist() == reuse


def test_phi2_keeps_its_heads():
    old, new = models.config('phi1_5').sizes, models.config('phi2').sizes
    places = width.maps(old, new, TILE_CENTRED)
    assert places['n'].tolist() == list(range(32))
    assert places['h'].tolist() == [*range(64), *range(32, 48)]
    assert places['d'].tolist() == [*range(1792, 2048), *range(2048), *range(256)]
    assert (width.maps(old, new, CENTRED)['d'] == FRESH).sum() == 512


def test_query_heads_stay_with_their_key_value_head():
    old = SIZES | {'n': 6, 'k': 2}
    places = width.maps(old, SIZES | {'n': 12, 'k': 4}, TILE)
    assert places['k'].tolist() == [0, 1, 0, 1]
    assert places['n'].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]
    places = width.maps(old, SIZES | {'n': 10, 'k': 2}, TILE)
    assert places['n'].tolist() == [0, 1, 2, 0, 1, 3, 4, 5, 3, 4]


def test_net2net_repeats_each_feature_as_often():
    place = width.maps(SIZES, SIZES | {'d': 72}, NET2NET, seed=1)['d']
    assert np.bincount(place).tolist() == [3] * 24
    assert place[24:48].tolist() != list(range(24))
    assert width.maps(SIZES, SIZES | {'d': 72}, NET2NET, seed=2)['d'].tolist() != place.tolist()


def test_noise_breaks_the_symmetry_of_copies():
    config = tiny.config()
    params = tiny.randomised(config)
    sizes = {'embed_dim': 48, 'num_heads': 12, 'num_kv_heads': 4, 'mlp_dim': 80}
    _, plain = _widen(config, params, CLONE, **sizes)
    _, noisy = _widen(config, params, NOISY, **sizes)
    for path, summed in jax.tree.leaves_with_path(models.fan_in(config)):
        clean, other = plain, noisy
        for key in path:
            clean, other = clean[key.key], other[key.key]
        if summed:
            share = float((other - clean).std() / clean.std())
            assert share == pytest.approx(0.3, rel=0.05), path
        else:
            np.testing.assert_array_equal(other, clean)


def test_new_rows_of_the_vocabulary_are_fresh():
    config = tiny.config()
    params = tiny.randomised(config)
    for rule in (TILE_CENTRED, CLONE):
        _, grown = _widen(config, params, rule, vocab_size=64)
        assert (grown['embed']['kernel'][61:] == FRESH_VALUE).all()
        assert (grown['head']['bias'][61:] == FRESH_VALUE).all()
        np.testing.assert_array_equal(grown['embed']['kernel'][:61], params['embed']['kernel'])


@pytest.mark.parametrize('rule', [CLONE, NOISY, NET2NET])
def test_a_tied_head_divides_at_the_last_norm(rule):
    config = tiny.config()
    target = tiny.config(embed_dim=72)
    params, tokens = tiny.randomised(config), tiny.tokens(config, 2, 7)

    def logits(config, params, head):
        x, _ = models.hidden(config, params | {'head': head}, tokens)
        return jnp.einsum('btd,vd->btv', x, params['embed']['kernel'])

    def without_head(tree):
        return {name: value for name, value in tree.items() if name != 'head'}

    grown = width.widen(
        without_head(params),
        without_head(models.axes(config)),
        without_head(models.fan_in(config)),
        config.sizes,
        target.sizes,
        rule,
    )
    unused = tiny.randomised(target)['head']
    before, after = logits(config, params, params['head']), logits(target, grown, unused)
    np.testing.assert_allclose(after, before, atol=1e-5 * float(abs(before).max()))
    assert not np.array_equal(grown['final_norm']['scale'][:24], params['final_norm']['scale'])
    np.testing.assert_array_equal(grown['embed']['kernel'][:, :24], params['embed']['kernel'])


def test_numpy_stays_numpy_and_sharded_arrays_grow_sharded():
    config = tiny.config()
    target = tiny.config(embed_dim=48, num_heads=12, num_kv_heads=4, mlp_dim=80)
    mesh = partitioning.make_mesh((1, 4, 2))
    layouts = [partitioning.layout(mesh, models.axes(c), c.sizes) for c in (config, target)]
    params = jax.tree.map(np.asarray, tiny.randomised(config))
    arguments = (models.axes(config), models.fan_in(config), config.sizes, target.sizes)

    for rule in (CLONE, NOISY, TILE_CENTRED):
        expected = width.widen(params, *arguments, rule)
        assert {type(x) for x in jax.tree.leaves(expected)} == {np.ndarray}
        assert {x.dtype for x in jax.tree.leaves(expected)} == {np.dtype('float32')}
        grow = jax.jit(lambda p: width.widen(p, *arguments, rule), out_shardings=layouts[1])  # noqa: B023
        grown = grow(jax.device_put(params, layouts[0]))
        assert (
            grown['blocks']['mlp']['up']['kernel'].sharding
            == layouts[1]['blocks']['mlp']['up']['kernel']
        )
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7), grown, expected
        )


@pytest.mark.parametrize(
    ('options', 'answer'),
    [
        ({'method': 'copy'}, "width.method must be one of reuse, tile, clone, net2net, got 'copy'"),
        (
            {'method': 'tile', 'place': 'left'},
            "width.place must be one of edge, centre, got 'left'",
        ),
        ({'method': 'clone', 'place': 'centre'}, 'centre is for reuse and tile, got clone'),
        ({'method': 'reuse', 'divide': True}, 'divide=true is for tile, got reuse'),
        ({'method': 'tile', 'noise': 0.1}, 'for clone and net2net, got 0.1 for tile'),
        ({'method': 'clone', 'noise': -1.0}, 'must be 0, or positive .* got -1.0'),
    ],
)
def test_unknown_rules_are_refused(options, answer):
    with pytest.raises(ValueError, match=answer):
        Rule(**options)


@pytest.mark.parametrize(
    ('rule', 'sizes', 'answer'),
    [
        (CLONE, {'d': 30}, 'clone keeps the function at whole width factors only: at 1.25 '),
        (NET2NET, {'d': 30}, 'LayerNorm would count some features more often than others'),
        (TILE, {'d': 20}, 'axis d must be at least 24, got 20'),
        (REUSE, {'v': 60}, 'axis v must be at least 61, got 60'),
        (TILE, {'k': 6}, 'query heads per key/value head must be at least 3, got 1'),
        (CLONE, {'r': 6}, 'rotary_dim must stay 4, got 6'),
    ],
)
def test_impossible_growth_is_refused(rule, sizes, answer):
    with pytest.raises(ValueError, match=answer):
        width.maps(SIZES, SIZES | sizes, rule)


def test_heads_rotated_throughout_have_nothing_to_repeat():
    old = SIZES | {'r': 10}
    with pytest.raises(ValueError, match=r'width\.method must be reuse'):
        width.maps(old, old | {'h': 12}, TILE)
    assert width.maps(old, old | {'h': 12}, REUSE)['h'].tolist() == [*range(10), FRESH, FRESH]
    assert len(width.maps(old, old | {'h': 12, 'r': 12}, TILE)['h']) == 12


def test_normalised_heads_cannot_grow_and_keep_the_function():
    config = tiny.config()
    with pytest.raises(ValueError, match=r'query_norm\.scale normalises over head_dim|key_norm'):
        _widen(config, tiny.randomised(config), CLONE, head_dim=20)


def test_fresh_values_are_asked_for():
    config, target = tiny.config(), tiny.config(embed_dim=30)
    arguments = (models.axes(config), models.fan_in(config), config.sizes, target.sizes)
    with pytest.raises(ValueError, match='fresh must be given'):
        width.widen(tiny.randomised(config), *arguments, REUSE)
