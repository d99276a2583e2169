"""Each figure against scipy, scikit-learn or a closed form, and intervals that cover the truth."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from phijax.evaluate import statistics


@pytest.mark.parametrize(('successes', 'trials'), [(0, 7), (3, 7), (82, 164), (164, 164)])
def test_a_share_has_the_interval_of_wilson(successes, trials):
    expected = scipy.stats.binomtest(successes, trials).proportion_ci(method='wilson')
    found = statistics.share(successes, trials)
    np.testing.assert_allclose(found, (successes / trials, *expected), rtol=1e-12)


def test_the_interval_of_half_of_humaneval_is_7_6_points_wide_each_way():
    _, low, high = statistics.share(82, 164)
    assert round(100 * (high - low) / 2, 1) == 7.6


@pytest.mark.parametrize(('successes', 'trials'), [(0, 0), (-1, 3), (4, 3)])
def test_a_share_of_nothing_is_refused(successes, trials):
    with pytest.raises(ValueError, match='no such share'):
        statistics.share(successes, trials)


def test_the_interval_of_a_mean_is_that_of_its_error():
    values = np.random.default_rng(3).normal(0.5, 2.0, 400)
    value, low, high = statistics.mean(values)
    error = values.std(ddof=1) / np.sqrt(400)
    assert value == values.mean()
    np.testing.assert_allclose((low, high), value + np.array((-1.96, 1.96)) * error, rtol=0.1)
    assert statistics.mean([0.25, 0.25, 0.25]) == (0.25, 0.25, 0.25)
    assert statistics.mean(values) == (value, low, high)


def test_the_bootstrap_is_that_of_scipy():
    values = np.random.default_rng(5).exponential(1.0, 60)
    rng = np.random.default_rng(0)
    expected = scipy.stats.bootstrap(
        [values], np.mean, method='percentile', n_resamples=10_000, rng=rng
    ).confidence_interval
    np.testing.assert_allclose(statistics.mean(values)[1:], expected, atol=0.02)


def test_drawing_in_parts_changes_nothing(monkeypatch):
    values = np.random.default_rng(1).normal(size=200)
    whole = statistics.mean(values)
    monkeypatch.setattr(statistics, '_DRAWN', 1000)
    assert statistics.mean(values) == whole


def test_values_that_are_alike_count_as_one():
    few = np.random.default_rng(2).normal(size=30)
    many, clusters = np.repeat(few, 50), np.repeat(np.arange(30), 50).tolist()
    expected = statistics.mean(few)
    np.testing.assert_allclose(statistics.mean(many, clusters), expected, rtol=1e-12)
    alone = statistics.mean(many)
    assert expected.high - expected.low > 6 * (alone.high - alone.low)


def test_clusters_of_different_sizes_weigh_as_their_values_do():
    found = statistics.mean([1.0, 1.0, 1.0, 0.0], ['a', 'a', 'a', 'b'])
    assert found == (0.75, 0.0, 1.0)


def test_a_difference_is_paired():
    rng = np.random.default_rng(4)
    hard = rng.normal(0, 10, 300)
    first, second = hard + 0.5 + rng.normal(0, 0.1, 300), hard
    found = statistics.difference(first, second)
    assert found == statistics.mean(first - second)
    assert 0.48 < found.low < found.value < found.high < 0.52
    with pytest.raises(ValueError, match='no pairs'):
        statistics.difference([1.0], [1.0, 2.0])


@pytest.mark.parametrize('clusters', [None, ['a']])
def test_a_mean_of_nothing_or_with_too_few_clusters_is_refused(clusters):
    with pytest.raises(ValueError, match='has no interval'):
        statistics.mean([] if clusters is None else [1.0, 2.0], clusters)


@pytest.mark.parametrize(('gained', 'lost'), [(0, 0), (3, 0), (5, 5), (9, 2), (700, 800)])
def test_mcnemar_is_the_binomial_test_of_the_items_that_changed(gained, lost):
    first = [True] * gained + [False] * lost + [True, True, False]
    second = [False] * gained + [True] * lost + [True, True, False]
    changed = gained + lost
    expected = scipy.stats.binomtest(gained, changed).pvalue if changed else 1.0
    assert statistics.mcnemar(first, second) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(('samples', 'correct', 'k'), [(6, 0, 3), (6, 2, 3), (6, 4, 3), (6, 1, 1)])
def test_pass_at_k_is_the_share_of_all_choices(samples, correct, k):
    choices = list(itertools.combinations([True] * correct + [False] * (samples - correct), k))
    expected = sum(map(any, choices)) / len(choices)
    assert statistics.pass_at_k(samples, correct, k) == pytest.approx(expected, rel=1e-12)


def test_pass_at_k_is_unbiased_where_the_naive_estimate_is_not():
    rng, k, rate = np.random.default_rng(0), 5, 0.2
    correct = rng.binomial(10, rate, 20_000)
    found = statistics.mean_pass_at_k([10] * len(correct), correct.tolist(), k)
    truth = 1 - (1 - rate) ** k
    assert abs(found[0] - truth) < 3 * found[1]
    assert np.mean(1 - (1 - correct / 10) ** k) < truth - 10 * found[1]


@pytest.mark.parametrize(('samples', 'correct', 'k'), [(3, 1, 4), (3, 1, 0), (3, 4, 1)])
def test_pass_at_k_of_too_few_samples_is_refused(samples, correct, k):
    with pytest.raises(ValueError, match='not defined'):
        statistics.pass_at_k(samples, correct, k)


def test_the_error_of_one_problem_is_refused():
    with pytest.raises(ValueError, match='1 problems'):
        statistics.mean_pass_at_k([3], [1], 1)


def test_auroc_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    positives, negatives = rng.integers(2, 9, 40), rng.integers(0, 7, 70)
    expected = sklearn.metrics.roc_auc_score(
        [1] * 40 + [0] * 70, np.concatenate([positives, negatives])
    )
    found = statistics.auroc(positives, negatives)
    assert found.value == pytest.approx(expected, rel=1e-12)
    mirrored = statistics.auroc(negatives, positives)
    np.testing.assert_allclose(mirrored, (1 - found.value, 1 - found.high, 1 - found.low))


def test_the_interval_of_auroc_has_a_width_at_its_ends():
    value, low, high = statistics.auroc([2.0] * 10, [1.0] * 10)
    assert (value, high) == (1.0, 1.0)
    assert 0.7 < low < 0.95


@pytest.mark.parametrize('shift', [0.0, 1.0, 2.5])
def test_the_interval_of_auroc_covers_the_truth(shift):
    rng, truth = np.random.default_rng(1), scipy.stats.norm.cdf(shift / math.sqrt(2))
    covered = 0
    for _ in range(500):
        found = statistics.auroc(rng.normal(shift, 1, 30), rng.normal(0, 1, 40))
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / 500 <= 0.985


def test_auroc_of_one_class_is_refused():
    with pytest.raises(ValueError, match='3 positives and 0 negatives'):
        statistics.auroc([1.0, 2.0, 3.0], [])


def test_spearman_is_that_of_scipy():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, 50), rng.normal(size=50)
    expected = scipy.stats.spearmanr(first, second).statistic
    assert statistics.spearman(first, second) == pytest.approx(expected, rel=1e-12)
    assert statistics.spearman([1, 2, 3], [10, 200, 3000]) == pytest.approx(1.0)
    assert math.isnan(statistics.spearman([1, 1, 1], [1, 2, 3]))
    with pytest.raises(ValueError, match='no pairs'):
        statistics.spearman([1], [1, 2])


def test_ranks_are_those_of_scipy():
    values = [3.0, 1.0, 3.0, 2.0, 3.0]
    np.testing.assert_array_equal(statistics.ranks(values), scipy.stats.rankdata(values))


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([]) == []
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]


def test_holm_keeps_false_alarms_of_many_tests_below_5_percent():
    rng = np.random.default_rng(0)
    trials = [min(statistics.holm(rng.uniform(size=8))) < 0.05 for _ in range(2000)]
    assert np.mean(trials) < 0.065


@pytest.mark.parametrize('count', [2, 3, 8, 50, 1000])
@pytest.mark.parametrize('shift', [-2.0, -0.1, 0.0, 0.3, 4.0])
def test_the_t_test_is_that_of_scipy(count, shift):
    values = np.random.default_rng(count).normal(shift, 1, count)
    expected = scipy.stats.ttest_1samp(values, 0, alternative='greater').pvalue
    assert statistics.t_test(values) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_the_t_test_of_values_without_spread():
    assert [statistics.t_test([v, v]) for v in (1.0, 0.0, -1.0)] == [0.0, 0.5, 1.0]
    with pytest.raises(ValueError, match='1 values have no spread'):
        statistics.t_test([1.0])


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('kinds', [2, 5, 10_000])
def test_the_rank_test_is_that_of_scipy(seed, kinds):
    rng = np.random.default_rng(seed)
    positives, negatives = rng.integers(0, kinds, 30) + seed, rng.integers(0, kinds, 45)
    expected = scipy.stats.mannwhitneyu(
        positives, negatives, alternative='greater', method='asymptotic'
    ).pvalue
    assert statistics.rank_test(positives, negatives) == pytest.approx(expected, rel=1e-9)


def test_the_rank_test_of_equal_scores_finds_nothing():
    assert statistics.rank_test([1.0, 1.0], [1.0]) == 1.0


@pytest.mark.parametrize('kinds', [3, 10_000])
def test_the_largest_difference_of_shares_is_that_of_scipy(kinds):
    rng = np.random.default_rng(kinds)
    first, second = rng.integers(0, kinds, 70), rng.integers(0, kinds, 40) + kinds // 3
    expected = scipy.stats.ks_2samp(first, second).statistic
    assert statistics.kolmogorov_smirnov(first, second) == pytest.approx(expected)
    assert statistics.kolmogorov_smirnov(first, first) == 0
    with pytest.raises(ValueError, match='empty'):
        statistics.kolmogorov_smirnov([], [1.0])
