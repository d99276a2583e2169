import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.filtering import annotate
from phijax.data.filtering.annotate import Annotation, Sampled
from phijax.data.filtering.grading import Grade


@given(st.dictionaries(st.text('abcdef', min_size=1), st.integers(1, 500)), st.integers(1, 400))
def test_a_sample_is_spread_over_the_strata(sizes, size):
    given_ = annotate.allocate(sizes, size)
    assert sum(given_.values()) == min(size, sum(sizes.values()))
    assert all(1 <= number <= sizes[name] for name, number in given_.items())
    if len(sizes) <= size:
        assert given_.keys() == sizes.keys()


def test_a_sample_is_in_proportion():
    given_ = annotate.allocate({'large': 9000, 'middle': 900, 'small': 100, 'one': 1}, 1000)
    assert given_ == pytest.approx({'large': 899, 'middle': 90, 'small': 10, 'one': 1}, abs=1)


def test_kappa_of_a_published_table():
    # Source: Cohen, "A coefficient of agreement for nominal scales", 1960: with two classes the
    # weights do not matter; 20 both yes, 15 both no, 5 and 10 apart give 0.4.
    pairs = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    assert annotate.kappa(pairs, 2) == pytest.approx(0.4)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60))
def test_kappa_is_that_of_scikit_learn(pairs):
    metrics = pytest.importorskip('sklearn.metrics')
    ours = annotate.kappa(pairs, 6)
    if ours is None:
        assert len({value for pair in pairs for value in pair}) == 1
    else:
        a, b = zip(*pairs, strict=True)
        theirs = metrics.cohen_kappa_score(a, b, labels=range(6), weights='quadratic')
        assert ours == pytest.approx(theirs, abs=1e-12)


def annotation(identity, turn, level):
    grade = None if level is None else Grade(level, True, True, True, 'other', 'x')
    status = 'ok' if grade else 'invalid'
    return Annotation(Sampled(0, 0, identity, 'p', 't'), turn, status, grade, 'judge')


def test_agreement_is_of_documents_with_two_grades():
    random = np.random.default_rng(0)
    found = []
    for number in range(200):
        level = int(random.integers(0, 6))
        found.append(annotation(f'{number}', 0, level))
        if number % 2:
            found.append(annotation(f'{number}', 1, min(5, level + number % 4 // 3)))
    found.append(annotation('lost', 0, 3))
    found.append(annotation('lost', 1, None))
    facts = annotate.agreement(found, cut=3)
    assert facts['documents'] == 100
    assert 0.9 < facts['kappa_of_levels'] < 1
    assert 0.5 < facts['kappa_of_valuable'] < 1


def test_without_second_grades_there_is_no_agreement():
    facts = annotate.agreement([annotation('a', 0, 3)], cut=3)
    assert facts == {
        'documents': 0,
        'kappa_of_levels': None,
        'kappa_of_valuable': None,
        'same_level': None,
    }
