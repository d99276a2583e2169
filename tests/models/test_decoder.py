"""The whole decoder: what may depend on what, and what must not matter."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models
from phijax.models import tiles
from tests.models import tiny

PARAMETERS = {
    'phi1_small': 356_794_368,
    'phi1': 1_418_270_720,
    'phi1_5': 1_418_270_720,
    'phi2': 2_779_683_840,
}
CONFIG = tiny.config()


@pytest.mark.parametrize('name', PARAMETERS)
def test_published_numbers_of_parameters(name):
    shapes = jax.eval_shape(lambda: models.init(models.config(name), jax.random.key(0)))
    assert sum(x.size for x in jax.tree.leaves(shapes)) == PARAMETERS[name]


@pytest.mark.parametrize('qk_layernorm', [False, True])
def test_axes_mirror_the_parameters(qk_layernorm):
    config = tiny.config(qk_layernorm=qk_layernorm)
    params = jax.eval_shape(lambda: models.init(config, jax.random.key(0)))
    axes = models.axes(config)
    assert jax.tree.structure(axes) == jax.tree.structure(params)
    for names, array in zip(jax.tree.leaves(axes), jax.tree.leaves(params), strict=True):
        assert array.shape == tuple(config.sizes[name] for name in names)
        assert array.dtype == jnp.float32
    assert ('query_norm' in params['blocks']['attention']) == qk_layernorm


def test_axes_of_phi():
    product = {'kernel': 'ldnh', 'bias': 'lnh'}, {'kernel': 'ldkh', 'bias': 'lkh'}
    assert models.axes(tiny.config(qk_layernorm=False)) == {
        'embed': {'kernel': 'vd'},
        'blocks': {
            'norm': {'scale': 'ld', 'bias': 'ld'},
            'attention': {
                'query': product[0],
                'key': product[1],
                'value': product[1],
                'out': {'kernel': 'lnhd', 'bias': 'ld'},
            },
            'mlp': {
                'up': {'kernel': 'ldf', 'bias': 'lf'},
                'down': {'kernel': 'lfd', 'bias': 'ld'},
            },
        },
        'final_norm': {'scale': 'd', 'bias': 'd'},
        'head': {'kernel': 'dv', 'bias': 'v'},
    }


@functools.cache
def _initial(init_std=0.02):
    config = tiny.config(
        vocab_size=512,
        embed_dim=64,
        num_heads=8,
        num_kv_heads=8,
        head_dim=8,
        mlp_dim=256,
        init_std=init_std,
    )
    run = tiny.jit(lambda key: models.init(config, key))
    return config, *(jax.tree.map(np.asarray, run(jax.random.key(seed))) for seed in (0, 1))


@pytest.mark.parametrize('init_std', [0.02, 0.05])
def test_initial_statistics(init_std):
    _, params, _ = _initial(init_std)
    for path, array in jax.tree.leaves_with_path(params):
        name = jax.tree_util.keystr(path)
        if 'kernel' in name:
            error = 4 / np.sqrt(array.size)
            assert abs(array.std() / init_std - 1) < error, name
            assert abs(array.mean() / init_std) < error, name
            assert abs((np.abs(array) < init_std).mean() - 0.6827) < error, name  # normal
        else:
            np.testing.assert_array_equal(array, float('scale' in name), err_msg=name)


def test_initial_values_are_all_drawn_apart():
    _, params, other = _initial()
    kernels = [
        x for path, x in jax.tree.leaves_with_path(params) if 'kernel' in jax.tree_util.keystr(path)
    ]
    stacks = [layer for kernel in kernels if kernel.ndim > 2 for layer in kernel]
    flat = [x.ravel()[:4000] for x in (*stacks, kernels[-1], kernels[-2])]
    shortest = min(len(x) for x in flat)
    correlations = np.corrcoef(np.stack([x[:shortest] for x in flat]))
    np.testing.assert_allclose(correlations, np.eye(len(flat)), atol=0.09)
    assert not np.array_equal(other['embed']['kernel'], params['embed']['kernel'])


def test_fan_in_is_what_each_product_sums_over():
    sums = models.fan_in(tiny.config())
    attention, mlp = sums['blocks']['attention'], sums['blocks']['mlp']
    assert {name: attention[name]['kernel'] for name in ('query', 'key', 'value', 'out')} == {
        'query': 'd',
        'key': 'd',
        'value': 'd',
        'out': 'nh',
    }
    assert (mlp['up']['kernel'], mlp['down']['kernel'], sums['head']['kernel']) == ('d', 'f', 'd')
    # What is looked up, added or multiplied by sums over nothing.
    rest = (attention['out']['bias'], attention['key_norm']['scale'], sums['embed']['kernel'])
    assert rest == ('', '', '')


def test_initial_values_do_not_depend_on_the_sharding():
    config, expected, _ = _initial()
    assert len(jax.devices()) == 8
    mesh = jax.sharding.Mesh(np.array(jax.devices()).reshape(2, 4), ('x', 'y'))

    def cut(names):
        """Two axes over the mesh, whichever they are."""
        parts = [None] * len(names)
        parts[-1] = 'y'
        if len(names) > 2:
            parts[-2] = 'x'
        return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*parts))

    shardings = jax.tree.map(cut, models.axes(config))
    init = tiny.jit(lambda key: models.init(config, key), out_shardings=shardings)
    params = init(jax.random.key(0))
    assert params['embed']['kernel'].sharding.num_devices == 8
    jax.tree.map(np.testing.assert_array_equal, params, expected)


def _influence(config, params, tokens, **rest):
    """Largest gradient of the logits at each position by the embedding at each, `(t, t)`."""

    def logits(table):
        return models.apply(config, params | {'embed': {'kernel': table}}, tokens, **rest)[0][0]

    weights = jnp.asarray(np.random.default_rng(0).normal(size=config.vocab_size), jnp.float32)
    jacobian = tiny.jit(jax.jacrev(lambda table: logits(table) @ weights))
    gradients = jacobian(params['embed']['kernel'])
    return np.abs(gradients[:, tokens[0]]).max(axis=-1)


def test_no_position_sees_a_later_one(monkeypatch):
    monkeypatch.setattr(tiles, 'BLOCK', 8)
    params, tokens = tiny.randomised(CONFIG), jnp.arange(20)[None]
    influence = _influence(CONFIG, params, tokens)
    seen = np.tril(np.ones((20, 20), bool))
    np.testing.assert_array_equal(influence[~seen], 0)
    assert influence[seen].min() > 1e-6


def test_no_document_sees_another(monkeypatch):
    monkeypatch.setattr(tiles, 'BLOCK', 8)
    params, tokens = tiny.randomised(CONFIG), jnp.arange(20)[None]
    segments = jnp.asarray([[1] * 3 + [2] * 10 + [3] * 7])
    influence = _influence(CONFIG, params, tokens, segments=segments)
    seen = np.tril(np.ones((20, 20), bool)) & (segments[0][:, None] == segments[0])
    np.testing.assert_array_equal(influence[~seen], 0)
    assert influence[seen].min() > 1e-6


def test_packed_documents_are_what_they_are_alone():
    lengths = (7, tiles.BLOCK + 5, 3)
    params = tiny.randomised(CONFIG)
    alone = [tiny.tokens(CONFIG, 1, length, seed=length) for length in lengths]
    packed = tiny.forward(CONFIG)(
        params,
        jnp.concatenate(alone, axis=1),
        segments=jnp.repeat(jnp.arange(1, 4), jnp.array(lengths))[None],
        positions=jnp.concatenate([jnp.arange(n) for n in lengths])[None],
    )
    ends = np.cumsum(lengths)
    for tokens, end in zip(alone, ends, strict=True):
        expected = tiny.forward(CONFIG)(params, tokens)
        actual = packed[:, end - tokens.shape[1] : end]
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_positions_count_from_zero_by_default():
    params, tokens = tiny.randomised(CONFIG), tiny.tokens(CONFIG, 2, 9)
    run = tiny.forward(CONFIG)
    expected = run(params, tokens)
    positions = jnp.broadcast_to(jnp.arange(9), (2, 9))
    np.testing.assert_array_equal(run(params, tokens, positions=positions), expected)
    assert np.abs(run(params, tokens, positions=2 * positions) - expected).max() > 1e-3


def test_apply_is_the_head_of_hidden():
    params, tokens = tiny.randomised(CONFIG), tiny.tokens(CONFIG, 2, 9)
    hidden, head = (tiny.jit(functools.partial(f, CONFIG)) for f in (models.hidden, models.head))
    x, cache = hidden(params, tokens)
    assert cache is None
    assert x.shape == (2, 9, 24)
    logits = head(params, x)
    expected = tiny.forward(CONFIG)(params, tokens)
    assert expected.shape == (2, 9, 61)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    kernel, bias = (np.asarray(params['head'][name]) for name in ('kernel', 'bias'))
    np.testing.assert_allclose(np.asarray(x) @ kernel + bias, expected, rtol=1e-5, atol=1e-5)


@functools.cache
def _cached():
    return tiny.jit(lambda params, tokens, cache: models.apply(CONFIG, params, tokens, cache=cache))


def test_a_cache_filled_in_chunks_gives_the_same_logits():
    params, tokens = tiny.randomised(CONFIG), tiny.tokens(CONFIG, 3, 19)
    expected = tiny.forward(CONFIG)(params, tokens)
    cache, start = models.init_cache(CONFIG, 3, 25), 0
    for size in (6, 1, 6, 6):
        logits, cache = _cached()(params, tokens[:, start : start + size], cache)
        np.testing.assert_allclose(logits, expected[:, start : start + size], rtol=1e-5, atol=1e-5)
        start += size
        np.testing.assert_array_equal(cache.lengths, [start] * 3)
        assert not cache.layers[0]['key'][:, :, start:].any()


def test_rows_of_one_cache_may_be_of_unlike_lengths():
    params, tokens = tiny.randomised(CONFIG), tiny.tokens(CONFIG, 3, 19)
    expected = tiny.forward(CONFIG)(params, tokens)
    lengths, rows = np.array([6, 2, 5]), np.arange(3)
    padded = jnp.where(jnp.arange(6) < lengths[:, None], tokens[:, :6], 60)
    prefill, cache = _cached()(params, padded, models.init_cache(CONFIG, 3, 25))
    np.testing.assert_allclose(
        prefill[rows, lengths - 1], expected[rows, lengths - 1], rtol=1e-5, atol=1e-5
    )
    cache = cache._replace(lengths=jnp.asarray(lengths))
    for i in range(5):
        logits, cache = _cached()(params, tokens[rows, lengths + i][:, None], cache)
        np.testing.assert_allclose(logits[:, 0], expected[rows, lengths + i], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(('remat', 'unroll'), [('dots', 0), ('full', 2)])
def test_how_the_stack_is_walked_does_not_matter(remat, unroll):
    rest = {'num_layers': 2, 'residual_dropout': 0.1, 'attention_dropout': 0.1}
    config, key = tiny.config(**rest), tiny.key()
    params, tokens = tiny.randomised(config), tiny.tokens(config, 2, 13)
    plain = tiny.gradients(config)
    (loss, _), expected = plain(params, tokens, key=key)
    other = tiny.gradients(tiny.config(remat=remat, unroll=unroll, **rest))
    (other_loss, _), gradients = other(params, tokens, key=key)
    np.testing.assert_allclose(other_loss, loss, rtol=1e-6)
    tiny.assert_near(gradients, expected, 1e-5)


def _program(config):
    params, tokens = tiny.randomised(config), tiny.tokens(config, 2, 13)
    return str(tiny.gradients(config).trace(params, tokens).jaxpr)


def test_remat_computes_products_again():
    counts = {remat: _program(tiny.config(remat=remat)) for remat in ('none', 'dots', 'full')}
    assert 'remat' not in counts['none']
    assert 'remat' in counts['dots']
    none, dots, full = (counts[name].count('dot_general') for name in ('none', 'dots', 'full'))
    assert none <= dots < full


@pytest.mark.parametrize(
    ('num_layers', 'unroll', 'expected'), [(3, 0, 3), (3, 2, 2), (3, 5, 3), (12, 0, 12), (13, 0, 1)]
)
def test_layers_at_once(num_layers, unroll, expected):
    config = tiny.config(num_layers=num_layers, unroll=unroll)
    params = jax.eval_shape(lambda: models.init(config, jax.random.key(0)))
    tokens = jax.ShapeDtypeStruct((1, 4), jnp.int32)
    program = jax.make_jaxpr(lambda p, t: models.hidden(config, p, t)[0])(params, tokens)
    scan = next(e for e in program.eqns if e.primitive.name == 'scan')
    assert scan.params['unroll'] == expected


@pytest.mark.parametrize(('dtype', 'tolerance'), [('bfloat16', 2e-2), ('float16', 3e-3)])
def test_half_precision(dtype, tolerance):
    params, tokens = tiny.randomised(CONFIG), tiny.tokens(CONFIG, 2, 30)
    (loss, logits), gradients = tiny.gradients(CONFIG)(params, tokens)
    half = tiny.config(dtype=dtype)
    (half_loss, half_logits), half_gradients = tiny.gradients(half)(params, tokens)
    assert half_logits.dtype == jnp.float32
    hidden = functools.partial(models.hidden, half)
    assert jax.eval_shape(hidden, params, tokens)[0].dtype == dtype
    error = np.linalg.norm(half_logits - logits) / np.linalg.norm(logits)
    assert 1e-5 < error < tolerance
    assert abs(half_loss / loss - 1) < tolerance
    pairs = zip(jax.tree.leaves(half_gradients), jax.tree.leaves(gradients), strict=True)
    for ours, theirs in pairs:
        assert ours.dtype == jnp.float32
        assert np.linalg.norm(ours - theirs) < 5 * tolerance * np.linalg.norm(theirs) + 1e-4


def test_norms_stay_in_float32():
    """A scale and a bias that bfloat16 would round to each other's opposite."""
    config = tiny.config(dtype='bfloat16')
    params = jax.tree.map(jnp.zeros_like, tiny.randomised(config))
    params['embed']['kernel'] += jnp.where(jnp.arange(24) % 2, 1.0, -1.0)
    params['final_norm']['scale'] += 256
    params['final_norm']['bias'] += 257
    hidden = tiny.jit(functools.partial(models.hidden, config))
    x, _ = hidden(params, jnp.zeros((1, 1), jnp.int32))
    np.testing.assert_allclose(x[0, 0, ::2].astype(jnp.float32), 1, atol=0.01)


def test_float16_with_scores_beyond_its_range():
    config = tiny.config(qk_layernorm=False, head_dim=64, rotary_dim=2)
    params = tiny.randomised(config)
    for name in ('query', 'key'):
        params['blocks']['attention'][name]['bias'] += 60.0
    tokens = tiny.tokens(config, 2, 12)
    expected = tiny.forward(config)(params, tokens)
    half = tiny.config(qk_layernorm=False, head_dim=64, rotary_dim=2, dtype='float16')
    (_, logits), gradients = tiny.gradients(half)(params, tokens)
    assert np.isfinite(logits).all()
    error = np.linalg.norm(logits - expected) / np.linalg.norm(expected)
    assert error < 0.5
    assert all(np.isfinite(gradient).all() for gradient in jax.tree.leaves(gradients))
