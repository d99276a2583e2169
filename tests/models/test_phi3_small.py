"""phi-3-small against its definition in numpy, and its cache against the full forward pass."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from phijax import models
from phijax.interop import huggingface
from tests.models import reference_phi3_small, tiny

SIZES = {
    'vocab_size': 61,
    'embed_dim': 80,
    'num_layers': 4,
    'num_heads': 8,
    'num_kv_heads': 4,
    'head_dim': 10,
    'mlp_dim': 36,
    'rotary_dim': 10,
    'max_length': 512,
    'block': 4,
    'local_blocks': 3,
    'stride': 4,
    'activation_limit': 0.7,
    'embed_multiplier': 3.0,
    'attention_multiplier': 1.5,
    'width_multiplier': 0.3,
    'dummy_tokens': (3, 50),
    'unroll': 1,
}
LONGROPE = {
    'original_length': 64,
    'short_factors': (1.0, 1.1, 1.2, 1.3, 1.5),
    'long_factors': (1.0, 2.0, 3.0, 5.0, 9.0),
    'short_magnitude': 1.05,
    'long_magnitude': 1.2,
}
CASES = {
    'heterogeneous': {},
    'homogeneous': {'homogeneous': True},
    'few_heads': {'num_heads': 2, 'num_kv_heads': 1, 'embed_dim': 20},
    'stride_of_many': {'stride': 16, 'local_blocks': 1, 'num_heads': 4, 'num_kv_heads': 2}
    | {'embed_dim': 40},
    'groups_beyond_stride': {'stride': 2, 'num_heads': 8, 'num_kv_heads': 2},
    'three_in_four_sparse': {'dense_every': 4},
    'short_rows': LONGROPE | {'original_length': 100},
    'long_rows': LONGROPE,
}


def _config(case):
    return models.config('phi3_small', **SIZES | CASES[case])


def _reference(config, params, tokens, directory):
    """The logits of each row, by the files that we write."""
    huggingface.save(config, params, directory)
    settings = json.loads((directory / 'config.json').read_text())
    tensors = load_file(directory / 'model.safetensors')
    return np.stack([reference_phi3_small.logits(settings, tensors, row) for row in tokens])


@pytest.mark.parametrize('case', CASES)
def test_logits(case, tmp_path):
    config = _config(case)
    params, tokens = tiny.randomised(config), tiny.tokens(config, 2, 90)
    expected = _reference(config, params, np.asarray(tokens), tmp_path / 'model')
    logits = tiny.forward(config)(params, tokens)
    assert expected[..., :3].std() > 0.3
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    loaded, again = huggingface.load(tmp_path / 'model')
    assert models.to_dict(loaded) == models.to_dict(config) | {'unroll': 0}
    jax.tree.map(np.testing.assert_array_equal, again, params)


@pytest.mark.parametrize('case', ['heterogeneous', 'homogeneous', 'groups_beyond_stride'])
def test_decoding_with_eviction_is_decoding_without(case):
    config = _config(case)
    params, tokens = tiny.randomised(config), tiny.tokens(config, 3, 90)
    expected = tiny.forward(config)(params, tokens)
    step = tiny.jit(
        lambda params, tokens, lengths, cache: models.apply(
            config, params, tokens, lengths=lengths, cache=cache
        )
    )
    starts, rows = np.array([40, 7, 61]), np.arange(3)
    padded = jnp.where(jnp.arange(64) < starts[:, None], tokens[:, :64], 60)
    logits, cache = step(params, padded, jnp.asarray(starts), models.init_cache(config, 3, 90))
    np.testing.assert_allclose(
        logits[rows, starts - 1], expected[rows, starts - 1], rtol=1e-5, atol=1e-5
    )
    one = jnp.ones(3, jnp.int32)
    for i in range(29):
        logits, cache = step(params, tokens[rows, starts + i][:, None], one, cache)
        np.testing.assert_allclose(logits[:, 0], expected[rows, starts + i], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(cache.lengths, starts + 29)


def test_a_cache_filled_in_chunks_gives_the_same_logits():
    config = _config('heterogeneous')
    params, tokens = tiny.randomised(config), tiny.tokens(config, 2, 90)
    expected = tiny.forward(config)(params, tokens)
    step = tiny.jit(lambda params, tokens, cache: models.apply(config, params, tokens, cache=cache))
    cache, start = models.init_cache(config, 2, 90), 0
    for size in (20, 20, 1, 20, 20):
        logits, cache = step(params, tokens[:, start : start + size], cache)
        np.testing.assert_allclose(logits, expected[:, start : start + size], rtol=1e-5, atol=1e-5)
        start += size


def test_layers_take_turns():
    with pytest.raises(ValueError, match='num_layers must be a multiple of dense_every'):
        models.config('phi3_small', **SIZES | {'num_layers': 3})
    with pytest.raises(ValueError, match=r'dummy_tokens must be in 0\.\.60, got 61'):
        models.config('phi3_small', **SIZES | {'dummy_tokens': (61,)})
