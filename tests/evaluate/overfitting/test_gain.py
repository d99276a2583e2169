"""The performance gain by hand, its interval, and its p-value under chance."""

import numpy as np
import pytest

from phijax.errors import InputError
from phijax.evaluate.overfitting import gain
from phijax.evaluate.overfitting.overlap import Match


def items(rng, count, contaminated):
    """Matches of which the first `contaminated` are long."""
    sizes = np.where(np.arange(count) < contaminated, rng.integers(60, 100, count), 5)
    return [Match(int(size), int(size), 100) for size in sizes]


def test_the_gain_by_hand():
    matches = [Match(80, 80, 100)] * 10 + [Match(0, 0, 100)] * 30
    correct = [True] * 9 + [False] + [True] * 12 + [False] * 18
    found = gain.performance_gain(matches, correct)
    assert found.accuracy == 21 / 40
    assert [point.threshold for point in found.curve] == [t / 10 for t in range(8)]
    for point in found.curve:
        assert point.contaminated == 10
        assert point.clean_accuracy == pytest.approx(0.4)
        assert point.gain == pytest.approx(21 / 40 - 0.4)
        assert 0 < point.low < point.gain < point.high < 0.25
    assert found.p_value < 0.01
    assert found.chosen in found.curve


def test_chance_gives_few_small_p_values():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        scores = rng.uniform(0, 1, 80)
        matches = [Match(int(100 * score), 0, 100) for score in scores]
        found.append(gain.performance_gain(matches, rng.random(80) < 0.5).p_value)
    assert np.mean(np.array(found) < 0.05) <= 0.15
    assert 0.35 < np.mean(found) < 0.65


def test_a_gain_that_is_there_is_found():
    rng = np.random.default_rng(1)
    matches = items(rng, 200, 60)
    correct = rng.random(200) < np.where(np.arange(200) < 60, 0.9, 0.3)
    found = gain.performance_gain(matches, correct)
    assert found.p_value < 0.005
    assert found.chosen.contaminated == pytest.approx(60, abs=25)
    assert found.chosen.low > 0


def test_nothing_contaminated_has_no_curve():
    found = gain.performance_gain([Match(0, 0, 10)] * 20, [True] * 20)
    assert found == (1.0, [], None, None)


def test_answers_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match='1 items have 2 answers'):
        gain.performance_gain([Match(0, 0, 10)], [True, False])
