"""Logits and gradients of transformers' CodeGen, phi and phi-3, as golden/make.py wrote them."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from phijax import models
from phijax.interop import huggingface
from tests.models import tiny

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
CASES = (
    'codegen',
    'grouped',
    'phi3_longrope_long',
    'phi3_longrope_short',
    'phi3_window',
    'plain',
    'qk_layernorm',
    'six_heads',
    'wide_heads',
)


def test_every_case_is_tested():
    found = {path.parent.name for path in GOLDEN.glob('*/expected.safetensors')}
    assert found == set(CASES)


@pytest.mark.parametrize('case', CASES)
def test_logits(case):
    config, params = huggingface.load(GOLDEN / case)
    expected = load_file(GOLDEN / case / 'expected.safetensors')
    forward = jax.jit(lambda params, tokens: models.apply(config, params, tokens)[0])
    logits = forward(params, jnp.asarray(expected['tokens']))
    assert logits.dtype == jnp.float32
    assert expected['logits'].std() > 0.2
    np.testing.assert_allclose(logits, expected['logits'], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    'case', ['codegen', 'grouped', 'phi3_longrope_short', 'phi3_window', 'qk_layernorm']
)
def test_a_token_at_a_time(case):
    config, params = huggingface.load(GOLDEN / case)
    expected = load_file(GOLDEN / case / 'expected.safetensors')
    tokens, logits = jnp.asarray(expected['tokens']), expected['logits']
    step = tiny.jit(lambda params, t, cache: models.apply(config, params, t, cache=cache))
    cache = models.init_cache(config, len(tokens), tokens.shape[1])
    start = tokens.shape[1] - 3
    first, cache = step(params, tokens[:, :start], cache)
    np.testing.assert_allclose(first, logits[:, :start], rtol=1e-5, atol=1e-5)
    for i in range(start, tokens.shape[1]):
        one, cache = step(params, tokens[:, i : i + 1], cache)
        np.testing.assert_allclose(one[:, 0], logits[:, i], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', ['phi3_window', 'qk_layernorm'])
def test_gradients(name):
    case = GOLDEN / name
    config, params = huggingface.load(case)
    _, expected = huggingface.load(case / 'gradients')
    tokens = jnp.asarray(load_file(case / 'expected.safetensors')['tokens'])
    _, gradients = tiny.gradients(config)(params, tokens)
    tiny.assert_near(gradients, expected, 1e-4)
