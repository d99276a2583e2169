import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.filtering import quality
from phijax.errors import InputError


def table(count=400, seed=0):
    random = np.random.default_rng(seed)
    score = random.random(count)
    return {
        'score': score,
        'order': np.arange(count, dtype=np.uint64),
        'num_bytes': random.integers(100, 2000, count),
        'num_lines': random.integers(3, 90, count),
        'comments': (0.5 * score + 0.1 * random.random(count)).astype(np.float32),
        'memorise': random.random(count),
        'place': np.stack([np.arange(count) // 100, np.arange(count) % 100], axis=1),
    }


def annotations(rows, every=4):
    chosen = np.arange(0, len(rows['score']), every)
    return {
        'place': rows['place'][chosen],
        'level': np.round(5 * rows['score'][chosen]).astype(int),
        'heldout': np.arange(len(chosen)) % 2 == 0,
    }


def test_the_curve_tells_what_a_threshold_keeps():
    rows = table()
    phases = (rows['score'] > 0.8).astype(np.int8)
    facts = quality.look(rows, phases, annotations(rows), cut=3)
    whole, *_, best = facts['curve']
    assert whole['documents'] == whole['bytes'] == 1
    assert whole['graded'] == 50  # half of the hundred: the forest saw the others
    assert best['documents'] == pytest.approx(0.05, abs=0.01)
    assert best['mean_level'] > 4.5
    assert best['low'] <= best['valuable'] <= best['high']
    kept = [point['documents'] for point in facts['curve']]
    assert kept == sorted(kept, reverse=True)
    assert facts['phases'][0]['documents'] == phases.sum()


def test_a_filter_that_only_loves_comments_shows_it():
    rows = table()
    found = quality.leans(rows)
    assert found['comments'] > 0.95
    assert abs(found['num_bytes']) < 0.2


def test_tenths_hold_all_documents_once():
    rows = table(403)
    phases = (rows['score'] > 0.8).astype(np.int8)
    found = quality.look(rows, phases, annotations(rows), cut=3)['deciles']
    assert [row['decile'] for row in found] == list(range(1, 11))
    assert found[0]['scores'][0] >= found[1]['scores'][1]
    assert found[0]['kept'] == 1
    assert found[-1]['kept'] == 0
    assert sum(row['graded'] for row in found) == 51


def test_few_documents():
    rows = table(3)
    facts = quality.look(rows, np.zeros(3, np.int8), annotations(rows, 1), cut=3)
    assert facts['phases'] == []
    assert len(facts['deciles']) == 3


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_rank_correlation_is_scipys(pairs):
    stats = pytest.importorskip('scipy.stats')
    a, b = np.array(pairs, float).T
    ours = quality.spearman(a, b)
    if a.std() and b.std():
        assert ours == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    else:
        assert ours == 0


def test_intervals_of_shares():
    # Source: Brown, Cai and DasGupta, Statistical Science 16, 2001: the formula at n = 10, x = 2.
    assert quality.wilson(2, 10) == pytest.approx((0.0567, 0.5098), abs=1e-4)
    assert quality.wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(InputError, match='successes is 3; it must be from 0 to 2'):
        quality.wilson(3, 2)
