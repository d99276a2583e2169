import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.filtering import select

SETTINGS = {
    'rule': 'fraction',
    'amounts': (0.5, 0.2),
    'max_topic_share': 1.0,
    'num_params': 0,
    'bytes_per_token': 4.0,
}


def table(count, seed=0):
    random = np.random.default_rng(seed)
    return {
        'score': random.integers(0, 20, count) / 20,
        'order': random.permutation(count).astype(np.uint64),
        'num_bytes': random.integers(100, 5000, count),
        'topic': random.integers(0, 4, count),
        'memorise': random.exponential(100, count).astype(np.float32),
    }


@pytest.mark.parametrize('rule', ['fraction', 'tokens', 'threshold'])
def test_the_best_are_kept(rule):
    rows = table(400)
    amounts = {'fraction': (0.5, 0.2), 'tokens': (100_000, 20_000), 'threshold': (0.5, 0.8)}[rule]
    phases, reasons = select.choose(rows, SETTINGS | {'rule': rule, 'amounts': amounts})
    kept = phases > 0
    assert rows['score'][kept].min() >= rows['score'][~kept].max() - 1e-9
    assert set(reasons[kept]) == {''}
    assert set(reasons[~kept]) == {'low_score'}
    for number, amount in enumerate(amounts, 1):
        chosen = phases >= number
        if rule == 'fraction':
            assert chosen.sum() == round(amount * 400)
        elif rule == 'tokens':
            assert 4 * amount - 5000 < rows['num_bytes'][chosen].sum() <= 4 * amount
        else:
            np.testing.assert_array_equal(chosen, rows['score'] >= amount)


@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0.3, 1.0]), st.booleans())
def test_a_later_phase_lies_within_the_one_before(seed, count, share, priced):
    rows = table(count, seed)
    params = int(rows['memorise'].sum() / 8) if priced else 0
    settings = SETTINGS | {'max_topic_share': share, 'num_params': params}
    phases, reasons = select.choose(rows, settings)
    assert set(np.unique(phases)) <= {0, 1, 2}
    assert (phases >= 1).sum() <= 0.5 * count
    assert (phases >= 2).sum() <= 0.2 * count
    assert ((reasons == '') == (phases > 0)).all()
    if params:
        assert rows['memorise'][phases > 0].sum() <= select.BITS_PER_PARAMETER * params * (1 + 1e-6)


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(seed, shuffler):
    rows = table(50, seed)
    order = list(range(50))
    shuffler.shuffle(order)
    settings = SETTINGS | {'max_topic_share': 0.4, 'num_params': 200}
    phases, reasons = select.choose(rows, settings)
    moved, told = select.choose({name: column[order] for name, column in rows.items()}, settings)
    np.testing.assert_array_equal(moved, phases[order])
    np.testing.assert_array_equal(told, reasons[order])


def test_no_topic_has_more_than_its_share():
    rows = table(400)
    rows['topic'] = (rows['score'] < 0.5).astype(int)
    phases, reasons = select.choose(rows, SETTINGS | {'max_topic_share': 0.6})
    kept = phases > 0
    counts = np.bincount(rows['topic'][kept])
    assert counts.tolist() == [120, 80]
    assert (reasons == 'topic_full').sum() > 0
    full = reasons == 'topic_full'
    assert set(rows['topic'][full]) == {0}


def test_what_a_small_model_is_asked_to_remember_is_bounded():
    rows = table(400)
    plain, _ = select.choose(rows, SETTINGS)
    asked = rows['memorise'][plain > 0].sum()
    params = int(asked / 6)
    phases, reasons = select.choose(rows, SETTINGS | {'num_params': params})
    kept = phases > 0
    assert rows['memorise'][kept].sum() <= select.BITS_PER_PARAMETER * params
    assert kept.sum() == 200
    assert rows['score'][kept].mean() < rows['score'][plain > 0].mean()
    dropped = reasons == 'to_remember'
    assert rows['memorise'][dropped].mean() > rows['memorise'][kept].mean()
    assert (plain[dropped] > 0).all()


def test_a_large_model_is_asked_all():
    rows = table(400)
    plain, _ = select.choose(rows, SETTINGS)
    phases, _ = select.choose(rows, SETTINGS | {'num_params': 10**9})
    np.testing.assert_array_equal(phases, plain)
