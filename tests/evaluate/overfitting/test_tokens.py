"""Scores of tokens against the whole model's logits, whatever rows go together."""

import jax
import numpy as np
import pytest

from phijax import models
from phijax.errors import InputError
from phijax.evaluate.overfitting import tokens
from tests.models import tiny

CONFIG = tiny.config(max_length=64)
PARAMS = tiny.randomised(CONFIG)
LENGTHS = (2, 65, 17, 18, 3, 33, 40, 16, 64)
ROWS = [
    np.asarray(tiny.tokens(CONFIG, 1, length, seed))[0].tolist()
    for seed, length in enumerate(LENGTHS)
]


def direct(config, params, row):
    """The scores of a row, from all its logits at once."""
    logits = tiny.forward(config)(params, np.array([row[:-1]]))
    scores = np.asarray(jax.nn.log_softmax(logits), float)[0]
    chances = np.exp(scores)
    mean = (chances * np.where(chances > 0, scores, 0)).sum(axis=-1)
    square = (chances * np.where(chances > 0, scores, 0) ** 2).sum(axis=-1)
    return scores[np.arange(len(row) - 1), row[1:]], mean, np.sqrt(square - mean**2)


@pytest.mark.parametrize('rows_at_once', [1, 4, 32])
def test_scores_are_those_of_all_logits(rows_at_once, monkeypatch):
    monkeypatch.setattr(tokens, 'CHUNK', 24)
    jax.clear_caches()
    found = tokens.token_scores(CONFIG, PARAMS, ROWS, rows_at_once)
    assert [len(each.mean) for each in found] == [length - 1 for length in LENGTHS]
    for row, each in zip(ROWS, found, strict=True):
        for ours, expected in zip(each, direct(CONFIG, PARAMS, row), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
        assert each.log_likelihood == pytest.approx(direct(CONFIG, PARAMS, row)[0].sum(), abs=1e-4)


def test_tokens_that_cannot_be_drawn_do_not_count():
    sizes = tiny.SIZES | {'num_layers': 2, 'rotary_dim': 10, 'max_length': 64, 'unroll': 1}
    config = models.config('phi3_small', **sizes, dummy_tokens=(3, 50))
    params = tiny.randomised(config)
    row = [token for token in ROWS[3] if token not in (3, 50)]
    [found] = tokens.token_scores(config, params, [row], 4)
    expected = direct(config, params, row)
    np.testing.assert_allclose(found.mean, expected[1], atol=1e-5)
    np.testing.assert_allclose(found.deviation, expected[2], atol=1e-4)


def test_the_spread_is_that_of_draws():
    [scores] = tokens.token_scores(CONFIG, PARAMS, [ROWS[2]])
    logits = tiny.forward(CONFIG)(PARAMS, np.array([ROWS[2][:-1]]))[0, 5]
    drawn = jax.random.categorical(tiny.key(), logits, shape=(100_000,))
    values = np.asarray(jax.nn.log_softmax(logits))[np.asarray(drawn)]
    assert values.mean() == pytest.approx(scores.mean[5], abs=0.02)
    assert values.std() == pytest.approx(scores.deviation[5], abs=0.02)


def test_few_shapes_serve_many_lengths():
    jax.clear_caches()
    tokens.token_scores(CONFIG, PARAMS, ROWS * 3, 8)
    assert tokens._scores._cache_size() <= 6


@pytest.mark.parametrize(
    ('row', 'message'),
    [([1], '1 tokens; it must have 2 to 65'), ([1] * 66, '66 tokens'), ([1, 61], 'token 61')],
)
def test_rows_that_do_not_fit_are_refused(row, message):
    with pytest.raises(InputError, match=f'row 1 has {message}'):
        tokens.token_scores(CONFIG, PARAMS, [[1, 2], row])
