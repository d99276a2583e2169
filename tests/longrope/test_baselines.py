"""Each method against a formula that was written down elsewhere."""

import math

import numpy as np
import pytest

from phijax import models
from phijax.longrope import baselines

SHAPES = [(32, 1e4, 2048, 4.0), (96, 1e4, 4096, 32.0), (64, 1e5, 512, 1.5), (16, 1e4, 256, 8.0)]


def _config(rotary_dim, theta, length):
    changes = {'head_dim': 96, 'rotary_dim': rotary_dim, 'rope_theta': theta, 'max_length': length}
    return models.config('phi1', **changes)


@pytest.mark.parametrize(('rotary_dim', 'theta', 'length', 'stretch'), SHAPES)
def test_linear_is_positions_divided(rotary_dim, theta, length, stretch):
    method = baselines.linear(_config(rotary_dim, theta, length), stretch)
    assert method == baselines.Method((stretch,) * (rotary_dim // 2), 1.0)


@pytest.mark.parametrize(('rotary_dim', 'theta', 'length', 'stretch'), SHAPES)
def test_ntk_is_another_base(rotary_dim, theta, length, stretch):
    method = baselines.ntk(_config(rotary_dim, theta, length), stretch)
    exponents = -np.arange(0, rotary_dim, 2) / rotary_dim
    wider = theta * stretch ** (rotary_dim / (rotary_dim - 2))
    np.testing.assert_allclose(theta**exponents / method.factors, wider**exponents, rtol=1e-12)
    assert method.factors[0] == 1
    assert method.factors[-1] == pytest.approx(stretch)
    assert method.magnitude == 1


def test_ntk_of_a_single_pair_is_no_change():
    assert baselines.ntk(_config(2, 1e4, 256), 4.0).factors == (1.0,)


@pytest.mark.parametrize(('rotary_dim', 'theta', 'length', 'stretch'), SHAPES)
def test_yarn_is_that_of_transformers(rotary_dim, theta, length, stretch):
    why = 'needs `pip install phijax[hf]`'
    transformers = pytest.importorskip('transformers', reason=why)
    pytest.importorskip('torch', reason=why)
    from transformers import modeling_rope_utils

    theirs = transformers.LlamaConfig(
        hidden_size=2 * rotary_dim,
        num_attention_heads=2,
        max_position_embeddings=round(stretch * length),
        rope_parameters={
            'rope_type': 'yarn',
            'rope_theta': theta,
            'factor': stretch,
            'original_max_position_embeddings': length,
        },
    )
    frequencies, magnitude = modeling_rope_utils._compute_yarn_parameters(theirs, 'cpu')
    method = baselines.yarn(_config(rotary_dim, theta, length), stretch)
    periods = theta ** (np.arange(0, rotary_dim, 2) / rotary_dim)
    np.testing.assert_allclose(1 / (periods * method.factors), frequencies.numpy(), rtol=1e-5)
    assert method.magnitude == pytest.approx(magnitude)


def test_yarn_leaves_what_turns_often_and_stretches_what_turns_less_than_once():
    config = _config(64, 1e4, 2048)
    turns = 2048 / (2 * math.pi * 1e4 ** (np.arange(32) / 32))
    factors = np.array(baselines.yarn(config, 4.0).factors)
    # One pair on either side is what rounding the ramp's ends to whole pairs takes.
    assert (factors[turns > 32 * 1e4 ** (1 / 32)] == 1).all()
    np.testing.assert_allclose(factors[turns < 1e4 ** (-1 / 32)], 4)
    assert (np.diff(factors) >= 0).all()
    assert 1 < factors[turns > 5][-1] < 4


def test_magnitudes():
    # Source: the value of phi-3's 128k models, of 131072 / 4096.
    assert baselines.magnitude('sqrt', 4096, 32.0) == pytest.approx(1.1902380714238083)
    assert baselines.magnitude('yarn', 4096, 32.0) == pytest.approx(1 + math.log(32) / 10)
    assert baselines.magnitude('none', 4096, 32.0) == 1


def test_every_method_has_a_factor_a_pair():
    methods = baselines.every(_config(16, 1e4, 256), 1024)
    assert list(methods) == ['none', 'linear', 'ntk', 'yarn']
    assert methods['none'].factors == (1.0,) * 8
    assert methods['linear'].factors == (4.0,) * 8
    assert all(len(method.factors) == 8 for method in methods.values())
