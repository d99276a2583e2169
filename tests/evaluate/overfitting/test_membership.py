"""Detectors by hand, on a model that memorised half of some texts, and baselines that are blind."""

import zlib

import numpy as np
import pytest

from phijax.evaluate.overfitting import membership
from phijax.evaluate.overfitting.tokens import TokenScores, token_scores
from tests.evaluate.overfitting import memorised


def scores_of(*values, mean=-2.0, deviation=0.5):
    count = len(values)
    return TokenScores(np.array(values), np.full(count, mean), np.full(count, deviation))


def test_min_k_is_the_mean_of_the_least_likely_fifth():
    scores = scores_of(*range(-10, 0))
    assert membership.min_k(scores) == pytest.approx(-9.5)
    assert membership.min_k(scores, 0.3) == pytest.approx(-9.0)
    assert membership.min_k(scores_of(-1.0, -4.0)) == -4.0  # one token at least


def test_min_k_plus_plus_counts_in_standard_deviations():
    scores = scores_of(*range(-10, 0))
    assert membership.min_k_plus_plus(scores) == pytest.approx((-9.5 + 2) / 0.5)
    assert np.isfinite(membership.min_k_plus_plus(scores_of(0.0, 0.0, mean=0.0, deviation=0.0)))


def test_the_score_per_character():
    found = membership.per_character(['abcd', 'ä'], [scores_of(-1.0, -3.0), scores_of(-5.0)])
    np.testing.assert_allclose(found, [-1.0, -5.0])


def test_every_score_by_name():
    texts = ['Some text, and some more of it.', 'Another']
    scores = [scores_of(-1.0, -2.0), scores_of(-4.0)]
    found = membership.model_scores(texts, scores, [scores_of(-4.0, -2.0), scores_of(-2.0)])
    np.testing.assert_allclose(found['loss'], [-1.5, -4.0])
    sizes = [len(zlib.compress(text.encode())) for text in texts]
    np.testing.assert_allclose(found['loss / zlib size'], [-3 / sizes[0], -4 / sizes[1]])
    np.testing.assert_allclose(found['loss / lower case'], [-0.5, -2.0])


def test_detectors_find_what_a_model_memorised_and_blind_ones_do_not():
    config, params, rows = memorised.model()
    members, others = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    first, second = (
        membership.model_scores(memorised.texts(half), scores, scores)
        for half in (members, others)
        if (scores := token_scores(config, params, half))
    )
    found = membership.detectors(
        memorised.texts(members),
        memorised.texts(others),
        {name: (first[name], second[name]) for name in first},
    )
    for name in ('loss', 'Min-K%', 'Min-K%++'):
        assert found[name].auroc.low > 0.8, (name, found[name])
        assert not found[name].blind
    for name in membership.BLIND:
        assert found[name].auroc.low < 0.5 < found[name].auroc.high, (name, found[name])
        assert found[name].blind


def test_a_classifier_of_words_finds_sets_that_differ_in_kind():
    rng = np.random.default_rng(0)
    first, second = (
        [' '.join(rng.choice(words, 12)) for _ in range(60)]
        for words in (['red', 'green', 'blue', 'one'], ['red', 'green', 'one', 'two'])
    )
    found = membership.detectors(first, second, {})
    assert found['words'].auroc.low > 0.8
    assert set(found) == set(membership.BLIND)


def test_twins_are_not_told_apart_by_each_other():
    rng = np.random.default_rng(1)
    texts = [' '.join(rng.choice(list('abcdefghijklmnopqrst'), 20)) for _ in range(200)]
    together = membership.blind_scores(texts, texts)['words']
    np.testing.assert_array_equal(together[0], together[1])
    numbers = list(range(400))
    apart = membership.cross_validated([*texts, *texts], [True] * 200, numbers)
    assert apart[:200].mean() < apart[200:].mean() - 1  # each is taken for its twin's kind
