"""Whole growths: what a config may say, full sizes, gradients and their moments, sharded models."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models, partitioning
from phijax.errors import InputError
from phijax.upscale import plan as planning
from phijax.upscale import width
from tests.models import tiny

SMALL = tiny.config(qk_layernorm=False)
LARGE = {'embed_dim': 48, 'num_heads': 12, 'num_kv_heads': 4, 'mlp_dim': 80, 'num_layers': 5}


def fields(large=None, *, depth='identity', seed=0, moments=False, **rule):
    """A config as the command hands it on."""
    target = tiny.config(qk_layernorm=False, **(LARGE if large is None else large))
    width = {'method': 'clone', 'place': 'edge', 'divide': False, 'noise': 0.0} | rule
    return {
        'model': models.to_dict(target),
        'depth': {'method': depth, 'rounding': 'half_up'},
        'width': width,
        'seed': seed,
        'moments': moments,
    }


def make(*arguments, **options):
    return planning.from_dict(fields(*arguments, **options))


@pytest.mark.parametrize('rule', [{}, {'noise': 0.5}, {'method': 'net2net', 'noise': 0.2}])
def test_deeper_and_wider_keeps_the_logits(rule):
    plan, params = make(**rule), tiny.randomised(SMALL)
    assert planning.preserves(plan, SMALL)
    grown = planning.grow(plan, SMALL, params)
    assert planning.difference(plan, SMALL, params, grown) < 1e-5


def test_a_growth_that_changes_the_function_says_so():
    plan, params = make(method='tile'), tiny.randomised(SMALL)
    assert not planning.preserves(plan, SMALL)
    assert not planning.preserves(make(depth='gopher'), SMALL)
    grown = planning.grow(plan, SMALL, params)
    assert planning.difference(plan, SMALL, params, grown) > 0.1


@pytest.mark.parametrize('method', ['reuse', 'tile', 'clone', 'net2net'])
def test_phi1_small_grows_to_phi1(method):
    """Full size, by shape: nothing is computed."""
    source, target = models.config('phi1_small'), models.config('phi1')
    given = fields(depth='gopher', method=method) | {'model': models.to_dict(target)}
    plan = planning.from_dict(given)
    planning.check(plan, source)
    small, large = (
        jax.eval_shape(functools.partial(models.init, config), jax.random.key(0))
        for config in (source, target)
    )
    grown = jax.eval_shape(lambda params: planning.grow(plan, source, params), small)
    shapes = functools.partial(jax.tree.map, lambda x: (x.shape, x.dtype))
    assert shapes(grown) == shapes(large)


def test_fresh_values_are_those_of_a_new_model():
    plan = make(depth='gopher', method='reuse', seed=7)
    grown = planning.grow(plan, SMALL, tiny.randomised(SMALL))
    new = tiny.jit(functools.partial(models.init, plan.model))(jax.random.key(7))
    grown, new = (tree['blocks']['mlp']['up']['kernel'][:, 24:] for tree in (grown, new))
    np.testing.assert_allclose(grown, new, rtol=1e-6)
    assert 0.01 < float(grown.std()) < 0.03


def test_sharded_models_grow_sharded():
    plan = make(noise=0.1)
    mesh = partitioning.make_mesh((1, 4, 2))
    params = tiny.randomised(SMALL)
    layout = partitioning.layout(mesh, models.axes(plan.model), plan.model.sizes)
    grow = jax.jit(lambda params: planning.grow(plan, SMALL, params), out_shardings=layout)
    grown = grow(params)
    assert jax.tree.map(lambda x: x.sharding, grown) == layout
    expected = planning.grow(plan, SMALL, params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), grown, expected
    )


@pytest.mark.parametrize(
    'sizes',
    [
        {'embed_dim': 48, 'num_heads': 12, 'num_kv_heads': 4, 'mlp_dim': 100},
        {'num_heads': 9, 'num_kv_heads': 3},
        {'head_dim': 17},
    ],
)
def test_moments_grow_as_gradients_do(sizes):
    """The gradients of the grown model are those of the source, grown as `mu` is."""
    plan = make(sizes)
    params, tokens = tiny.randomised(SMALL), tiny.tokens(SMALL, 2, 12)

    def loss(config, params):
        logits, _ = models.apply(config, params, tokens)
        return -jnp.take_along_axis(
            jax.nn.log_softmax(logits[:, :-1]), tokens[:, 1:, None], axis=-1
        ).mean()

    gradient = lambda config: tiny.jit(jax.grad(functools.partial(loss, config)))  # noqa: E731
    params = jax.tree.map(np.asarray, params)
    before = jax.tree.map(np.asarray, gradient(SMALL)(params))
    after = gradient(plan.model)(planning.grow(plan, SMALL, params))
    grown = planning.grow_moments(
        plan, SMALL, {'mu': before, 'nu': jax.tree.map(np.square, before), 'count': 5}
    )
    assert grown['count'] == 5
    largest = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(after))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5 * largest)
    jax.tree.map(close, grown['mu'], after)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=2e-3, atol=1e-5 * largest**2),
        grown['nu'],
        jax.tree.map(jnp.square, after),
    )


def test_fresh_places_have_no_momentum_and_a_second_moment():
    plan = make(depth='gopher', method='reuse')
    ones = jax.tree.map(lambda x: np.full(x.shape, 2.0, np.float32), tiny.randomised(SMALL))
    grown = planning.grow_moments(plan, SMALL, {'mu': ones, 'nu': ones, 'count': 1})
    table = grown['mu']['embed']['kernel']
    assert (table[:, :24] == 2).all()
    assert (table[:, 24:] == 0).all()
    assert (grown['nu']['embed']['kernel'] == 2).all()


def test_a_tied_embedding_has_the_gradient_of_both_its_uses():
    params, tokens = tiny.randomised(SMALL), tiny.tokens(SMALL, 2, 6)
    target = tiny.config(qk_layernorm=False, embed_dim=48)
    axes, fan_in = models.axes(SMALL), models.fan_in(SMALL)
    for tree in (axes, fan_in):
        del tree['head']
    heads = {24: params.pop('head'), 48: tiny.randomised(target)['head']}
    rule = width.Rule(method='clone')
    arguments = (axes, fan_in, SMALL.sizes, target.sizes, rule)

    def loss(config, params):
        x, _ = models.hidden(config, params | {'head': heads[config.embed_dim]}, tokens)
        logits = jnp.einsum('btd,vd->btv', x, params['embed']['kernel'])
        return jax.nn.logsumexp(logits, axis=-1).mean() - logits[..., 3].mean()

    params = jax.tree.map(np.asarray, params)
    before = jax.tree.map(np.asarray, tiny.jit(jax.grad(functools.partial(loss, SMALL)))(params))
    grown = width.widen(params, *arguments)
    after = tiny.jit(jax.grad(functools.partial(loss, target)))(grown)
    grown = width.widen_moments(before, *arguments, power=1)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5)
    jax.tree.map(close, grown, after)


@pytest.mark.parametrize(
    ('change', 'answer'),
    [
        (lambda f: f.pop('seed'), 'the config lacks seed'),
        (lambda f: f['width'].pop('noise'), 'the config lacks width.noise'),
        (lambda f: f.update(dept={}), r'unknown key dept \(did you mean depth\?\)'),
        (lambda f: f['width'].update(plac='edge'), r'did you mean width.place\?'),
        (lambda f: f['width'].update(divide=1), 'width.divide must be of type bool, got 1'),
        (lambda f: f['width'].update(method='copy'), "got 'copy'"),
        (lambda f: f['depth'].update(rounding='up'), "got 'identity' and 'up'"),
        (lambda f: f.update(depth='gopher'), "depth must be a group of fields, got 'gopher'"),
        (lambda f: f['model'].update(embed_dim=-1), 'embed_dim must be positive, got -1'),
        (lambda f: f.update(seed=0.5), 'seed must be of type int, got 0.5'),
        (lambda f: f.update(moments=1), 'moments must be of type bool, got 1'),
    ],
)
def test_wrong_configs_are_answered(change, answer):
    wrong = fields()
    change(wrong)
    with pytest.raises(InputError, match=answer):
        planning.from_dict(wrong)


@pytest.mark.parametrize(
    ('source', 'plan', 'answer'),
    [
        (SMALL, make({'embed_dim': 30}), 'whole width factors only: at 1.25'),
        (SMALL, make({'num_layers': 2}), 'num_layers must be at least 3, got 2'),
        (tiny.config(), make(), 'other arrays than the target'),
        (tiny.config(qk_layernorm=False, vocab_size=64), make(), 'axis v must be at least 64'),
    ],
)
def test_impossible_growths_are_answered(source, plan, answer):
    with pytest.raises(InputError, match=answer):
        planning.check(plan, source)


def test_origins_name_every_array():
    rows = planning.origins(make(depth='gopher', method='reuse'), SMALL)
    assert len(rows) == len(jax.tree.leaves(models.axes(SMALL)))
    [row] = [row for row in rows if row['array'] == 'blocks.attention.out.kernel']
    assert (row['axes'], row['before'], row['after']) == ('lnhd', '3x6x10x24', '5x12x10x48')
    assert (row['from the source'], row['fresh']) == ('25.0%', '75.0%')


PHI3 = tiny.SIZES | {'rotary_dim': 10, 'unroll': 1}
FAMILIES = {
    'codegen': models.config('codegen_350m', **PHI3 | {'rotary_dim': 4}),
    'phi3': models.config('phi3_mini', **PHI3, window=9),
    'phi3_tied': models.config('phi3_mini', **PHI3, tied_head=True),
    'phi3_small': models.config(
        'phi3_small',
        **PHI3 | {'num_layers': 4, 'dummy_tokens': (3,), 'width_multiplier': 0.3},
        block=2,
        local_blocks=2,
        stride=4,
    ),
}


@pytest.mark.parametrize('family', FAMILIES)
def test_every_family_grows(family):
    """Deeper by layers that start silent, with a wider stream and MLP: the logits stay."""
    source = FAMILIES[family]
    target = dataclasses.replace(source, num_layers=6, embed_dim=48, mlp_dim=80)
    plan = planning.from_dict(fields() | {'model': models.to_dict(target)})
    planning.check(plan, source)
    grown = planning.grow(plan, source, tiny.randomised(source))
    assert planning.preserves(plan, source)
    assert planning.difference(plan, source, tiny.randomised(source), grown) < 1e-5


def test_layers_stay_of_their_kind():
    source = FAMILIES['phi3_small']
    target = dataclasses.replace(source, num_layers=10)
    plan = planning.from_dict(fields(depth='gopher') | {'model': models.to_dict(target)})
    index = planning.layers(plan, source)
    assert index.tolist() == [0, 1, 0, 1, 2, 3, 2, 3, 2, 3]
    assert (index % 2 == np.arange(10) % 2).all()


def test_reach_does_not_grow():
    source = FAMILIES['phi3']
    target = dataclasses.replace(source, window=10)
    plan = planning.from_dict(fields() | {'model': models.to_dict(target)})
    with pytest.raises(InputError, match='attention must reach as far after growth as before'):
        planning.check(plan, source)
