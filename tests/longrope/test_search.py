"""The search on fitnesses that take no model: where it may go, and that it finds what is there."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.longrope import search
from phijax.longrope.search import Settings
from tests.longrope.small import SEARCH

SETTINGS = Settings(**SEARCH)
CEILING = 500
STARTS = [(400,) * 6, (100, 132, 174, 230, 303, 400), (100, 100, 150, 400, 400, 400)]


def vectors(length=6):
    return st.lists(st.integers(100, CEILING), min_size=length, max_size=length).map(
        lambda numbers: tuple(sorted(numbers))
    )


def distance(planted):
    """A fitness whose only minimum is the planted vector."""
    return lambda vector: math.dist(vector, planted)


def run(fitness, settings=SETTINGS, **options):
    given_ = {'ceiling': CEILING, 'seed': 0} | options
    return search.search(STARTS, fitness, settings, **given_)


@given(vectors(), st.floats(0.01, 1), st.integers(0, 99))
def test_mutations_stay_on_the_grid_and_never_decrease(vector, probability, seed):
    child = search.mutate(vector, probability, CEILING, np.random.default_rng(seed))
    assert len(child) == len(vector)
    assert search.is_monotone((100, *child, CEILING))
    assert all(type(each) is int for each in child)


@given(vectors(), vectors(), st.floats(0.01, 1), st.integers(0, 99))
def test_crossovers_have_each_number_from_a_parent(better, other, probability, seed):
    child = search.cross(better, other, probability, np.random.default_rng(seed))
    assert all(each in pair for each, *pair in zip(child, better, other, strict=True))


@given(st.lists(st.floats(0.5, 9), min_size=1, max_size=9).map(sorted))
def test_any_factors_have_a_nearest_point_that_is_allowed(factors):
    vector = search.to_vector(factors, CEILING)
    assert search.is_monotone((100, *vector, CEILING))
    within = np.clip(factors, 1, CEILING / 100)
    np.testing.assert_allclose(search.to_factors(vector), within, atol=0.005 + 1e-9)


@given(st.integers(0, 50))
def test_nothing_is_tried_twice_and_all_is_allowed(seed):
    tried = []

    def fitness(vector):
        tried.append(vector)
        return sum(vector)

    scores = run(fitness, seed=seed)
    assert len(tried) == len(set(tried)) == len(scores)
    assert tried[:3] == STARTS
    assert all(search.is_monotone((100, *vector, CEILING)) for vector in tried)
    # The first population and two rounds, each of which makes all that was asked for.
    assert len(tried) == 6 + 2 * (2 + 2)


def test_a_seed_says_it_all():
    fitness = distance((100, 110, 130, 220, 390, 410))
    assert list(run(fitness).items()) == list(run(fitness).items())
    assert run(fitness) != run(fitness, seed=1)


@pytest.mark.parametrize('killed_after', range(3))
def test_an_interrupted_search_ends_like_one_that_was_not(killed_after):
    fitness = distance((100, 110, 130, 220, 390, 410))
    kept = []

    class Killed(Exception):
        pass

    def keep(rounds_done, scores):
        kept.append((rounds_done, dict(scores)))
        if len(kept) == killed_after + 1:
            raise Killed

    with pytest.raises(Killed):
        run(fitness, after_round=keep)
    rounds_done, scores = kept[-1]
    assert rounds_done == killed_after + 1
    resumed = run(fitness, rounds_done=rounds_done, scores=scores)
    assert list(resumed.items()) == list(run(fitness).items())


@pytest.mark.parametrize('budget', [1, 5, 8, 9])
def test_the_budget_is_kept(budget):
    settings = dataclasses.replace(SETTINGS, budget=budget)
    assert len(run(sum, settings)) == budget


def test_parents_are_the_best():
    scores = {(3,): 1.0, (1,): 0.5, (2,): 1.0, (4,): 9.0}
    assert search.best(scores, 3) == [(1,), (3,), (2,)]


@pytest.mark.parametrize('seed', range(3))
def test_planted_factors_are_found(seed):
    planted = (100, 118, 141, 265, 373, 488)
    sizes = {'population': 32, 'parents': 16, 'mutations': 16, 'crossovers': 16}
    settings = dataclasses.replace(SETTINGS, **sizes, rounds=60, budget=5000, probability=0.3)
    fitness = distance(planted)
    scores = run(fitness, settings, seed=seed)
    (found,) = search.best(scores, 1)
    start = min(map(fitness, STARTS))
    assert scores[found] < 0.05 * start
    np.testing.assert_allclose(found, planted, atol=6)


def test_a_space_that_is_used_up_ends_the_search():
    scores = search.search([(100,)], sum, SETTINGS, ceiling=102, seed=0)
    assert set(scores) == {(100,), (101,), (102,)}
