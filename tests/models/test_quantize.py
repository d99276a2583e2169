"""Packed kernels: what they keep, how far they are off, what they take, and models of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax import generate, models
from phijax.models import packed
from tests.models import tiny

KERNEL = packed.Form(summed=(5, 16), output=(3, 2), table=False)
TABLE = packed.Form(summed=(64,), output=(7,), table=True)
FORMS = {'kernel': KERNEL, 'table': TABLE}
SHAPE = tiny.SIZES | {'num_layers': 2, 'unroll': 1}
CONFIGS = {
    'codegen': models.config('codegen_350m', **SHAPE),
    'phi': tiny.config(num_layers=2),
    'phi3': models.config('phi3_mini', **SHAPE),
    'phi3_tied': models.config('phi3_mini', **SHAPE, tied_head=True),
    'phi3_small': models.config('phi3_small', **SHAPE | {'block': 4, 'dummy_tokens': (3,)}),
}


def _shape(form, lead=()):
    order = (form.output, form.summed) if form.table else (form.summed, form.output)
    return (*lead, *order[0], *order[1])


def _random(form, lead=(), seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(0, 1, _shape(form, lead)), 'float32')


def _groups(form, kernel):
    """The kernel by groups of 32 of what one output channel sums over, `(group, 32, channel)`."""
    matrix = np.asarray(form.matrix(kernel))
    rest = -len(matrix) % packed.GROUP
    filled = np.pad(matrix, ((0, rest), (0, 0)))
    return filled.reshape(-1, packed.GROUP, matrix.shape[1])


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('lead', [(), (3,)])
def test_a_matrix_is_its_kernel_again(form, lead):
    kernel = _random(FORMS[form], lead)
    matrix = FORMS[form].matrix(kernel)
    assert matrix.shape == (*lead, np.prod(FORMS[form].summed), np.prod(FORMS[form].output))
    np.testing.assert_array_equal(FORMS[form].kernel(matrix), kernel)
    if form == 'table':
        np.testing.assert_array_equal(matrix[..., 5], kernel[..., 5, :])


@pytest.mark.parametrize('form', FORMS)
def test_8_bits_are_off_by_half_a_scale_at_most(form):
    form = FORMS[form]
    kernel = _random(form)
    found = form.matrix(packed.pack_bytes(kernel, form).unpacked())
    matrix = form.matrix(kernel)
    half = np.abs(matrix).max(axis=0) / 127 / 2
    off = np.abs(found - matrix)
    assert (off <= half * (1 + 1e-5)).all()
    assert (off.max(axis=0) > half / 2).all()  # the bound is near


@pytest.mark.parametrize('form', FORMS)
def test_4_bits_are_never_worse_than_plain_rounding(form):
    """In each group, to a scale of the largest magnitude over 7, and better in most."""
    form = FORMS[form]
    kernel = _random(form)
    groups = _groups(form, kernel)
    scale = np.abs(groups).max(axis=1, keepdims=True) / 7
    plain = ((np.round(groups / scale) * scale - groups) ** 2).sum(axis=1)
    found = _groups(form, packed.pack_nibbles(kernel, form).unpacked())
    error = ((found - groups) ** 2).sum(axis=1)
    assert (error <= plain * (1 + 1e-5)).all()
    assert (error < plain).mean() > 0.5
    assert (error <= packed.GROUP * (scale[:, 0] / 2) ** 2).all()


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('bits', [8, 4])
def test_what_the_levels_can_say_is_kept(form, bits):
    """A kernel of whole levels whose largest is the last one, over a scale of its own."""
    form = FORMS[form]
    random = np.random.default_rng(0)
    most = 127 if bits == 8 else 7
    matrix = random.integers(-most, most + 1, (np.prod(form.summed), np.prod(form.output)))
    matrix[:: packed.GROUP] = most
    kernel = form.kernel(jnp.asarray(matrix * 0.25, 'float32'))
    pack = packed.pack_bytes if bits == 8 else packed.pack_nibbles
    np.testing.assert_allclose(pack(kernel, form).unpacked(), kernel, rtol=1e-6)


@pytest.mark.parametrize('sign', [1, -1])
def test_4_bits_have_the_level_8_on_one_side(sign):
    matrix = np.tile(sign * np.arange(-8, 8, dtype=np.float32), 4)[:, None].repeat(6, axis=1)
    kernel = KERNEL.kernel(jnp.pad(matrix, ((0, 16), (0, 0))))
    np.testing.assert_allclose(packed.pack_nibbles(kernel, KERNEL).unpacked(), kernel, rtol=1e-6)


def test_two_levels_share_a_byte():
    matrix = np.zeros((64, 7), np.float32)
    matrix[[0, 32], :], matrix[1, 0], matrix[33, 0] = [[-8], [8]], 3, -1
    stored = packed.pack_nibbles(TABLE.kernel(jnp.asarray(matrix)), TABLE)
    assert stored.pairs.shape == (32, 7)
    np.testing.assert_allclose(stored.scale, np.repeat([[1.0], [-1.0]], 7, axis=1))
    low, high = np.asarray(stored.pairs) & 15, np.asarray(stored.pairs) >> 4
    for bits, levels in ((low, matrix[:32]), (high, -matrix[32:])):
        np.testing.assert_array_equal((bits.astype(int) + 8) % 16 - 8, levels)


@pytest.mark.parametrize('bits', [8, 4])
def test_zeros_stay_zeros(bits):
    kernel = jnp.zeros(_shape(KERNEL))
    pack = packed.pack_bytes if bits == 8 else packed.pack_nibbles
    np.testing.assert_array_equal(pack(kernel, KERNEL).unpacked(), kernel)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('bits', [8, 4])
def test_a_product_is_that_of_the_unpacked_kernel(form, bits):
    form = FORMS[form]
    stored = (packed.pack_bytes if bits == 8 else packed.pack_nibbles)(_random(form), form)
    x = np.random.default_rng(1).normal(0, 1, (2, 3, *form.summed)).astype(np.float32)
    expected = np.einsum('bts,so->bto', x.reshape(2, 3, -1), form.matrix(stored.unpacked()))
    found = stored.product(jnp.asarray(x), wide=False)
    assert found.shape == (2, 3, *form.output)
    np.testing.assert_allclose(found.reshape(2, 3, -1), expected, rtol=1e-5, atol=1e-5)
    narrow = jnp.asarray(x, 'bfloat16')
    assert stored.product(narrow, wide=False).dtype == jnp.bfloat16
    assert stored.product(narrow, wide=True).dtype == jnp.float32


@pytest.mark.parametrize('bits', [8, 4])
@pytest.mark.parametrize('name', CONFIGS)
def test_a_model_of_packed_kernels_is_the_model_of_what_they_say(name, bits):
    config = CONFIGS[name]
    params = tiny.randomised(config)
    quantised = models.quantise(config, params, bits)
    plain = models.dequantise(quantised)
    assert jax.tree.map(jnp.shape, plain) == jax.tree.map(jnp.shape, params)
    tokens = tiny.tokens(config, 2, 9)
    logits = tiny.forward(config)(quantised, tokens)
    np.testing.assert_allclose(logits, tiny.forward(config)(plain, tokens), rtol=1e-4, atol=1e-4)

    exact = tiny.forward(config)(params, tokens)
    logits, exact = (np.delete(x, 3, axis=-1) for x in (logits, exact))  # a dummy in one of them
    off = np.linalg.norm(logits - exact) / np.linalg.norm(exact)
    assert 0 < off < (0.03 if bits == 8 else 0.3)


@pytest.mark.parametrize('bits', [8, 4])
def test_norms_and_biases_stay_as_they_are(bits):
    config = CONFIGS['phi']
    params = tiny.randomised(config)
    found = models.quantise(config, params, bits)
    for path in (('final_norm', 'scale'), ('head', 'bias'), ('blocks', 'mlp', 'up', 'bias')):
        old, new = params, found
        for key in path:
            old, new = old[key], new[key]
        np.testing.assert_array_equal(old, new)
    kinds = {type(x) for x in jax.tree.leaves(found['blocks'], is_leaf=_is_packed) if _is_packed(x)}
    assert kinds == {packed.Bytes if bits == 8 else packed.Nibbles}
    assert isinstance(found['embed']['kernel'], packed.Bytes)
    assert isinstance(found['head']['kernel'], packed.Bytes)


def _is_packed(x):
    return isinstance(x, packed.Packed)


def test_the_memory_of_phi3_mini():
    """8 bits are a quarter and a little; 4 bits with a float32 for each 32 are 5 bits."""
    config = models.config('phi3_mini')
    shapes = jax.eval_shape(lambda: models.init(config, jax.random.key(0)))
    table = config.vocab_size * config.embed_dim
    norms = (2 * config.num_layers + 1) * config.embed_dim
    layers = sum(x.size for x in jax.tree.leaves(shapes)) - 2 * table - norms
    ends = 2 * (table + 4 * config.vocab_size) + 4 * norms
    d, f, heads = config.embed_dim, config.mlp_dim, config.num_heads * config.head_dim
    channels = config.num_layers * (3 * heads + d + 2 * f + d)

    def bytes_of(bits):
        return models.num_bytes(jax.eval_shape(lambda p: models.quantise(config, p, bits), shapes))

    assert bytes_of(8) == layers + 4 * channels + ends
    assert bytes_of(4) == layers * 5 // 8 + ends


def test_other_bits_are_refused():
    with pytest.raises(ValueError, match='bits must be one of 8, 4, got 5'):
        models.quantise(CONFIGS['phi'], {}, 5)


@pytest.mark.parametrize('bits', [8, 4])
def test_generation_from_packed_kernels(bits):
    config = CONFIGS['phi3_tied']
    quantised = models.quantise(config, tiny.randomised(config, std=0.5), bits)
    prompts = [[5, 6, 7], [9] * 5]
    rows = generate.generate(config, quantised, prompts, max_new_tokens=8)
    plain = models.dequantise(quantised)
    assert rows == generate.generate(config, plain, prompts, max_new_tokens=8)
