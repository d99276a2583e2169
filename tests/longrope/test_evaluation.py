"""Losses against the whole model's logits, and one program for all factors."""

import dataclasses

import jax
import numpy as np
import pytest

from phijax.evaluate.overfitting import tokens
from phijax.longrope import evaluation
from phijax.longrope.baselines import Method
from phijax.longrope.plan import extended
from tests.longrope.small import CONFIG
from tests.models import tiny

PARAMS = tiny.randomised(CONFIG)
ROWS = np.asarray(tiny.tokens(CONFIG, 5, 65))
METHOD = Method((1.25, 3.5), 1.125)


def expected(config, rows):
    """The losses of a model whose own config has the factors."""
    logits = tiny.forward(config)(PARAMS, rows[:, :-1])
    scores = jax.nn.log_softmax(logits)
    return -np.take_along_axis(np.asarray(scores), rows[:, 1:, None], axis=-1)[..., 0]


@pytest.mark.parametrize('rows_at_once', [2, 5, 16])
def test_losses_are_those_of_a_model_with_the_factors(rows_at_once, monkeypatch):
    monkeypatch.setattr(tokens, 'CHUNK', 24)
    jax.clear_caches()
    found = evaluation.nats(CONFIG, PARAMS, ROWS, METHOD, rows_at_once)
    larger = dataclasses.replace(extended(CONFIG, METHOD, 64), unroll=1)
    np.testing.assert_allclose(found, expected(larger, ROWS), rtol=1e-5, atol=1e-5)
    plain = evaluation.nats(CONFIG, PARAMS, ROWS, Method((1.0, 1.0)), rows_at_once)
    np.testing.assert_allclose(plain, expected(CONFIG, ROWS), rtol=1e-5, atol=1e-5)
    assert np.abs(plain - found).max() > 1e-3


def test_other_factors_need_no_other_program():
    evaluation.nats(CONFIG, PARAMS, ROWS, METHOD, 5)
    before = evaluation._nats._cache_size()
    for factor in (2.0, 3.0, 4.0):
        evaluation.nats(CONFIG, PARAMS, ROWS, Method((1.0, factor), factor), 5)
    assert evaluation._nats._cache_size() == before
