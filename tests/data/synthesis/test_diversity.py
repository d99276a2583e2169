"""Measures of texts whose likeness is known, and what is retired for it."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phijax.data.synthesis import diversity
from phijax.data.synthesis.diversity import Settings, Written
from phijax.data.synthesis.factors import Retired, Sampler
from phijax.errors import InputError
from tests.data.synthesis import teacher

FORMS, AUDIENCES = ('lesson', 'story', 'guide'), ('child', 'expert')
STRICT = Settings(least=20)


def texts(count, seed=0, words=120):
    chance = random.Random(seed)
    return [' '.join(teacher.word(chance) for _ in range(words)) for _ in range(count)]


def written(some, extract=''):
    """Texts with factors in turn."""
    return [
        Written(text, extract, {'form': FORMS[n % 3], 'audience': AUDIENCES[n % 2]})
        for n, text in enumerate(some)
    ]


def values(some, extract=''):
    return {n: m.value for n, m in diversity.measure(written(some, extract)).items()}


def test_texts_of_their_own_break_nothing():
    found, breaches = diversity.judge(written(texts(300)), Settings())
    assert breaches == []
    assert found['distinct_3'] > 0.99
    assert found['near_duplicates'] == found['copied'] == 0.0


def test_measures_of_one_text_said_again_and_again():
    [once] = texts(1)
    found = values([once] * 50)
    assert found['compression'] > 30
    assert found['distinct_3'] == pytest.approx((120 - 2) / (50 * (120 - 2)), abs=1e-3)
    assert found['opening'] == 1.0
    assert found['near_duplicates'] == 0.98
    assert found['rank'] == pytest.approx(1.0)


def test_the_rank_is_the_number_of_different_texts():
    some = texts(8, words=400)
    assert 7 < values(some)['rank'] <= 8
    assert values(some * 20)['rank'] == pytest.approx(values(some)['rank'], rel=1e-6)


def test_near_duplicates_are_those_by_comparing_all():
    some = texts(30)
    changed = [text.replace(text.split()[40], 'other', 1) for text in some[:10]]
    found = diversity.measure(written([*some, *changed]))['near_duplicates']
    assert found.value == 10 / 40
    assert np.flatnonzero(found.blame).tolist() == [*range(10), *range(30, 40)]


@pytest.mark.parametrize('share', [0.0, 0.25, 1.0])
def test_copies_of_the_extract(share):
    [extract, own] = texts(2, words=220)
    count = round(share * 220)
    text = ' '.join([*extract.split()[:count], *own.split()[: 220 - count]])
    assert diversity.copied_share(text, extract) == pytest.approx(share, abs=0.04)
    assert values([text] * 4, extract)['copied'] == pytest.approx(share, abs=0.04)


def test_texts_without_an_extract_copy_nothing():
    [one, other] = texts(2)
    found = diversity.measure([Written(one, one, {}), Written(other, '', {})])
    assert found['copied'].value == 1.0


def test_the_combination_that_repeats_itself_is_retired():
    some = written(texts(60))
    [same] = texts(1, seed=9)
    bad = ('guide', 'child')
    some = [
        each._replace(text=same) if tuple(each.factors.values()) == bad else each for each in some
    ]
    _, breaches = diversity.judge(some, STRICT)
    assert {each.cell for each in breaches} == {(('form', 'guide'), ('audience', 'child'))}
    assert {'opening', 'near_duplicates'} <= {each.measure for each in breaches}
    for each in breaches:
        assert (each.value > each.limit) != (each.measure in ('distinct_3', 'rank'))


def test_a_window_with_few_texts_is_not_judged():
    [same] = texts(1)
    assert diversity.judge(written([same] * 40), Settings(least=41))[1] == []
    assert diversity.judge(written([same] * 40), Settings(least=40))[1] != []
    # Here no combination has the texts to be blamed.
    assert diversity.judge(written([same] * 20), STRICT)[1] == []
    assert diversity.judge([], STRICT) == ({}, [])


@given(st.randoms())
@settings(max_examples=5, deadline=None)
def test_what_is_retired_does_not_depend_on_the_order_of_arrival(chance):
    """Windows are judged in any order; what each asks for is the same."""
    sampler = Sampler({'topic': [str(n) for n in range(100)], 'form': FORMS, 'audience': AUDIENCES})
    windows = {}
    for window in range(3):
        own = list(Retired(100).indices(sampler, window))
        repeated = texts(1, seed=window)[0]
        windows[window] = [
            Written(repeated if f['form'] == FORMS[window] else texts(1, seed=k)[0], '', f)
            for k, f in own
        ]
    order = list(windows)
    chance.shuffle(order)
    retired = Retired(100)
    for window in order:
        _, breaches = diversity.judge(windows[window], STRICT)
        retired = retired.after(window, [each.cell for each in breaches])
    assert [len(retired.cells(window)) for window in range(5)] == [0, 0, 1, 2, 3]


def test_empty_and_odd_texts_are_measured():
    found = values(['', '...', 'a', '漢字 漢字'])
    assert found['near_duplicates'] == 0.0
    assert np.isfinite(list(found.values())).all()


@pytest.mark.parametrize(
    'change', [{'window': 0}, {'least': 0}, {'factors': ()}, {'max_opening': 1.5}]
)
def test_settings_that_cannot_be_used(change):
    with pytest.raises(InputError, match=f'diversity.{next(iter(change))}'):
        Settings(**change)
