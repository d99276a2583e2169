"""Names, settings and the order of rows: files written here and by hand, and what is refused."""

import dataclasses

import jax
import numpy as np
import pytest

from phijax import models
from phijax.errors import InputError
from phijax.interop import gguf
from phijax.models import rotary
from tests.interop.gguf import files
from tests.interop.test_huggingface import assert_same
from tests.models import tiny

CASES = {
    'llama': files.small(rotary_dim=10, rope_theta=1e5),
    'llama, wide heads, tied': files.small(embed_dim=24, rotary_dim=10, tied_head=True),
    'phi3, partial rotary': files.small(),
    'phi3, window, tied': files.small(rotary_dim=10, window=9, tied_head=True),
    'phi3, LongRoPE': files.small(**files.LONGROPE),
    'phi3, magnitude': files.small(**files.LONGROPE, short_magnitude=1.19, long_magnitude=1.19),
    'phi2': files.small('phi', norm_eps=1e-6),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'x.gguf'


def opened_with(path, settings=None, tensors=None):
    """What a file gives with some settings and tensors changed; `...` removes one."""
    found = files.unpacked(path)
    changed = [old | (new or {}) for old, new in zip(found, (settings, tensors), strict=True)]
    kept = [{k: v for k, v in values.items() if v is not ...} for values in changed]
    path.write_bytes(files.packed(*kept))
    return gguf.load(path)


@pytest.mark.parametrize('name', CASES)
def test_round_trip(path, name):
    params = files.written(path, CASES[name])
    config, found, none = gguf.load(path)
    assert none is None
    assert config == dataclasses.replace(CASES[name], unroll=config.unroll)
    assert_same(found, params)
    settings, _ = files.unpacked(path)
    assert settings['general.architecture'] == name.split(',')[0]


@pytest.mark.parametrize(('dtype', 'exact'), [('float16', np.float16), ('bfloat16', 'bfloat16')])
def test_matrices_in_half_precision(path, dtype, exact):
    params = files.written(path, CASES['phi2'], dtype=dtype)
    _, found, _ = gguf.load(path)
    for (place, x), y in zip(
        jax.tree.leaves_with_path(found), jax.tree.leaves(params), strict=True
    ):
        rank = len(models.axes(CASES['phi2'])) and x.ndim - ('blocks' in str(place))
        wide = rank > 1 and 'bias' not in str(place)
        expected = np.asarray(y).astype(jax.numpy.dtype(exact) if wide else np.float32)
        np.testing.assert_array_equal(x, expected.astype(np.float32), err_msg=str(place))


def test_a_weight_that_is_too_large(path):
    params = tiny.randomised(CASES['phi2'])
    params['head']['kernel'] = params['head']['kernel'].at[0, 0].set(1e6)
    with pytest.raises(InputError, match=r'output\.weight has a weight of magnitude .*float16'):
        gguf.save(CASES['phi2'], params, path, dtype='float16')
    assert not list(path.parent.iterdir())


def neighbours(rows, positions, theta):
    """Queries or keys of llama.cpp's `llama`: features 2i and 2i + 1 are one complex number.

    Source: arXiv:2104.09864, eq. 12 and 13.
    """
    numbers = rows[..., 0::2] + 1j * rows[..., 1::2]
    half = numbers.shape[-1]
    angles = positions[:, None] * theta ** (-np.arange(half) / half)
    return numbers * np.exp(1j * angles)


def test_rows_of_llama_are_neighbours_that_turn(path):
    """Scores by complex numbers, out of the file's own rows, are those of the loaded model."""
    config = CASES['llama']
    files.written(path, config)
    _, tensors = files.unpacked(path)
    _, params, _ = gguf.load(path)
    random = np.random.default_rng(0)
    x, positions = random.normal(size=(5, config.embed_dim)), np.arange(5)
    weights = [tensors[f'blk.1.attn_{name}.weight'].astype(float) for name in 'qk']
    query, key = ((x @ w.T).reshape(5, -1, config.head_dim) for w in weights)
    turned = [
        np.stack([neighbours(rows[:, n], positions, config.rope_theta) for n in range(count)])
        for rows, count in ((query, config.num_heads), (key, config.num_kv_heads))
    ]
    shared = np.repeat(turned[1], config.num_heads // config.num_kv_heads, axis=0)
    expected = np.einsum('nth,nsh->nts', turned[0], shared.conj()).real

    attention = jax.tree.map(lambda p: p[1], params['blocks']['attention'])
    tables = rotary.tables(config, jax.numpy.asarray(positions)[None])
    query, key = (
        rotary.rotate(jax.numpy.einsum('td,dnh->tnh', x, attention[name]['kernel'])[None], tables)[
            0
        ]
        for name in ('query', 'key')
    )
    key = np.repeat(key, config.num_heads // config.num_kv_heads, axis=1)
    scores = np.einsum('tnh,snh->nts', query, key)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_rows_that_stand_in_one_tensor(path):
    """phi3's attn_qkv is queries, keys, values; its ffn_up the gates, then what they gate."""
    config = CASES['phi3, partial rotary']
    files.written(path, config)
    _, tensors = files.unpacked(path)
    width, kv = config.embed_dim, config.num_kv_heads * config.head_dim
    tall = {
        'blk.0.attn_qkv.weight': (width + 2 * kv, width),
        'blk.0.ffn_up.weight': (2 * config.mlp_dim, width),
    }
    assert {name: tensors[name].shape for name in tall} == tall
    numbered = {n: np.repeat(np.arange(s[0])[:, None], s[1], axis=1) for n, s in tall.items()}
    _, params, _ = opened_with(path, tensors=numbered)
    attention, mlp = params['blocks']['attention'], params['blocks']['mlp']
    assert attention['query']['kernel'][0, 0].ravel().tolist() == list(range(width))
    assert attention['key']['kernel'][0, 3].ravel().tolist() == list(range(width, width + kv))
    assert attention['value']['kernel'][0, 0].ravel()[-1] == width + 2 * kv - 1
    assert mlp['gate']['kernel'][0, 0].tolist() == list(range(config.mlp_dim))
    assert mlp['up']['kernel'][0, 0, 0] == config.mlp_dim


@pytest.mark.parametrize('name', ['phi2', 'phi3, partial rotary'])
def test_rows_that_stand_in_three_tensors(path, name):
    params = files.written(path, CASES[name])
    _, tensors = files.unpacked(path)
    width, kv = CASES[name].embed_dim, CASES[name].num_kv_heads * CASES[name].head_dim
    changes = {}
    for key, tensor in tensors.items():
        if 'attn_qkv' in key:
            changes[key] = ...
            parts = np.split(tensor, [width, width + kv])
            changes |= {key.replace('qkv', c): x for c, x in zip('qkv', parts, strict=True)}
    assert len(changes) == (24 if name == 'phi2' else 12)
    assert_same(opened_with(path, tensors=changes)[1], params)


def test_all_tensors_that_do_not_fit_are_listed(path):
    files.written(path, CASES['phi2'])
    changes = {
        'output.bias': ...,
        'blk.1.attn_norm.weight': ...,
        'extra': np.ones(3),
        'blk.2.ffn_down.bias': np.ones(59),
    }
    with pytest.raises(InputError) as raised:
        opened_with(path, tensors=changes)
    first, *problems = str(raised.value).split('\n  ')
    assert first.endswith('x.gguf does not hold this model:')
    assert sorted(problems) == [
        'misshapen: blk.2.ffn_down.bias is (59,), the model needs (60,)',
        'missing: blk.1.attn_norm.weight',
        'missing: output.bias',
        'unknown: extra',
    ]


EXPERTS = {'phi3.expert_count': 4}
REFUSED = [
    ('phi2', {'general.architecture': 'gpt2'}, "'gpt2' is not supported .*: llama, phi3, phi2"),
    ('phi2', {'general.architecture': ...}, 'general.architecture None is not'),
    ('phi2', {'general.architecture': 7}, 'general.architecture 7 is not'),
    ('phi2', {'split.count': 3}, r'split.count 3 is not supported \(supported: 0 or 1\)'),
    ('phi2', {'phi2.block_count': ...}, 'block_count is missing'),
    ('phi2', {'phi2.block_count': 0}, 'block_count must be 1 to 16777216, got 0'),
    ('phi2', {'phi2.block_count': 500}, 'have 500 layers, but there are only'),
    ('phi2', {'phi2.embedding_length': 1 << 30}, 'embedding_length must be 1 to 16777216'),
    ('phi2', {'phi2.attention.head_count': [6, 6, 6]}, 'head_count must be a whole number'),
    ('phi2', {'phi2.attention.head_count_kv': 4}, 'num_kv_heads must divide num_heads'),
    ('phi2', {'phi2.attention.value_length': 7}, r'value_length 7 .*supported: 10\)'),
    ('phi2', {'phi2.vocab_size': 62}, r'vocab_size 62 .*supported: 61\)'),
    ('phi2', {'phi2.attention.layer_norm_epsilon': -1.0}, 'norm_eps must be positive'),
    ('phi2', {'phi2.rope.scaling.type': 'yarn'}, r"type 'yarn' .*supported: 'none'\)"),
    ('phi2', {'phi2.rope.scaling.factor': 4.0}, r'scaling.factor 4.0 .*supported: 1.0\)'),
    ('phi2', {'phi2.something': 'x'}, r"something 'x' is not supported \(supported: no value\)"),
    ('llama', {'llama.expert_count': 8}, r'expert_count 8 .*supported: 0\)'),
    ('llama', {'llama.rope.scaling.type': 'linear'}, "rope.scaling.type 'linear'"),
    ('llama', {'llama.attention.sliding_window': 9}, 'sliding_window 9 is not supported'),
    ('phi3, LongRoPE', EXPERTS, r'expert_count 4 .*supported: 0\)'),
    ('phi3, LongRoPE', {'phi3.rope.scaling.type': 'yarn'}, "'none' or 'longrope'"),
    ('phi3, LongRoPE', {'phi3.rope.scaling.original_context_length': ...}, 'length is missing'),
    ('phi3, LongRoPE', {'phi3.rope.scaling.original_context_length': 1}, 'must be 2 to'),
    ('phi3, partial rotary', {'phi3.rope.scaling.attn_factor': 1.5}, 'attn_factor 1.5'),
]


@pytest.mark.parametrize(('name', 'settings', 'said'), REFUSED)
def test_settings_that_are_refused(path, name, settings, said):
    files.written(path, CASES[name])
    with pytest.raises(InputError, match=r'x\.gguf: .*' + said):
        opened_with(path, settings)


@pytest.mark.parametrize(
    'settings',
    [
        {'phi3.expert_count': 0, 'phi3.rope.scaling.type': 'none', 'phi3.attention.causal': True},
        {'phi3.attention.sliding_window': ..., 'phi3.attention.key_length': ...},
        {'phi3.vocab_size': ..., 'phi3.rope.freq_base': ..., 'general.quantized_by': 'x'},
    ],
)
def test_settings_that_change_nothing(path, settings):
    files.written(path, CASES['phi3, partial rotary'])
    assert opened_with(path, settings)[0] == gguf.load(path)[0]
    assert gguf.load(path)[0].embed_dim == 60


@pytest.mark.parametrize('name', ['rope_factors_long.weight', 'rope_factors_short.weight'])
@pytest.mark.parametrize('value', [..., np.ones(3), np.ones(5000), np.array([np.nan, 1])])
def test_factors_that_do_not_fit(path, name, value):
    files.written(path, CASES['phi3, LongRoPE'])
    with pytest.raises(InputError, match=r'factors|rope_factors'):
        opened_with(path, tensors={name: value})


def test_no_embedding(path):
    files.written(path, CASES['llama'])
    with pytest.raises(InputError, match='token_embd is missing'):
        opened_with(path, tensors={'token_embd.weight': ...})
    files.written(path.with_name('y.gguf'), CASES['phi2'])
    with pytest.raises(InputError, match='no output True is not supported'):
        opened_with(path.with_name('y.gguf'), tensors={'output.weight': ...})


@pytest.mark.parametrize(
    ('config', 'said'),
    [
        (tiny.config(), 'phi2 only with heads of embed_dim / num_heads'),
        (files.small('phi', qk_layernorm=True), 'phi-2 only without qk_layernorm'),
        (files.small('phi', **files.LONGROPE), 'without LongRoPE'),
        (files.small(embed_dim=24), 'phi3 only with .* head_dim must be 4, got 10'),
        (files.small(**files.LONGROPE, short_magnitude=1.1), 'one magnitude for short and long'),
        (models.config('phi3_small'), "no models of the family 'phi3_small' .*: phi, phi3"),
    ],
)
def test_models_that_gguf_has_not(path, config, said):
    with pytest.raises(InputError, match=said):
        gguf.save(config, {}, path)
    assert not list(path.parent.iterdir())
