"""What the sampler promises, counted over runs that hypothesis chooses."""

import collections
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phijax.data.synthesis.factors import Permutation, Retired, Sampler
from phijax.errors import InputError

STYLES = [(3, 5), (2, 7), (4, 9, 5), (1, 8), (2, 3, 5), (11, 7), ()]


def sampler(num_main, styles, seed=0):
    sizes = {'topic': num_main} | {f's{place}': size for place, size in enumerate(styles)}
    return Sampler({n: [f'{n}-{level}' for level in range(s)] for n, s in sizes.items()}, seed)


samplers = st.builds(sampler, st.integers(1, 25), st.sampled_from(STYLES), st.integers(0, 2**32))


@st.composite
def runs(draw):
    """A sampler and a run of its indices."""
    made = draw(samplers)
    start = draw(st.integers(0, made.size - 1))
    return made, range(start, draw(st.integers(start + 1, made.size)))


def spread(made, run, names):
    """The difference between the most and the least that a tuple of levels comes in a run."""
    counts = collections.Counter(tuple(made(k)[name] for name in names) for k in run)
    possible = math.prod(len(made.levels[name]) for name in names)
    return max(counts.values()) - (min(counts.values()) if len(counts) == possible else 0)


@given(samplers)
def test_every_combination_comes_once(made):
    seen = {tuple(made(index).values()) for index in range(made.size)}
    assert len(seen) == made.size == math.prod(map(len, made.levels.values()))
    with pytest.raises(InputError, match='where all have come'):
        made(made.size)


@given(runs())
def test_levels_and_their_pairs_with_topics_are_even_in_every_run(case):
    made, run = case
    for name in list(made.levels)[1:]:
        assert spread(made, run, ('topic', name)) <= 1
    assert spread(made, run, ('topic',)) <= 1


@given(runs())
def test_pairs_of_styles_are_even_but_for_the_ends_of_turns(case):
    made, run = case
    num_main = len(made.levels['topic'])
    ends = (
        0
        if math.gcd(num_main, made.num_styles) == 1
        else (run[-1] // num_main) - (run[0] // num_main)
    )
    for names in [*itertools.combinations(list(made.levels)[1:], 2), *zip(list(made.levels)[1:])]:
        assert spread(made, run, names) <= 1 + ends


@given(samplers, st.data())
def test_pairs_of_styles_are_exact_after_whole_turns(made, data):
    num_main = len(made.levels['topic'])
    for names in itertools.combinations(list(made.levels)[1:], 2):
        length = num_main * math.prod(len(made.levels[name]) for name in names)
        start = data.draw(st.integers(0, made.size - length))
        assert spread(made, range(start, start + length), names) == 0


def test_an_index_has_the_same_combination_for_ever():
    made = sampler(20_000, (7, 11, 5), seed=3)
    assert list(made(123_456).values()) == GOLDEN
    assert made.size == 20_000 * 385


GOLDEN = ['topic-5220', 's0-2', 's1-4', 's2-3']


def test_the_seed_decides_the_order():
    first, second = ([sampler(97, (5, 3), s)(k)['topic'] for k in range(97)] for s in (0, 1))
    assert sorted(first) == sorted(second)
    assert first != second
    neighbours = sum(abs(int(a[6:]) - int(b[6:])) == 1 for a, b in itertools.pairwise(first))
    assert neighbours < 10


@given(st.integers(1, 3000), st.text(max_size=5))
@settings(max_examples=30)
def test_a_permutation_has_every_number_once(size, key):
    made = Permutation(size, key)
    assert sorted(made(place) for place in range(size)) == list(range(size))


def test_sizes_that_share_a_divisor_are_refused():
    with pytest.raises(InputError, match=r's0 has 8 levels and s1 has 12.*s1 may have 13'):
        sampler(10, (8, 12))


@pytest.mark.parametrize('levels', [{}, {'topic': []}, {'topic': ['a', 'b', 'a']}])
def test_levels_that_cannot_be_used_are_refused(levels):
    with pytest.raises(InputError, match='factors'):
        Sampler(levels)


cells = st.tuples(st.tuples(st.just('s0'), st.sampled_from(['s0-0', 's0-1', 's0-2'])))


@given(st.dictionaries(st.integers(0, 9), st.sets(cells, max_size=2)), st.randoms())
def test_which_samples_are_asked_for_depends_on_breaches_of_windows_before(breaches, random):
    made = sampler(10, (3, 5))
    order = list(breaches)
    random.shuffle(order)
    retired = Retired(10)
    for window in order:
        retired = retired.after(window, breaches[window])
    for window in range(10):
        gone = {c[0][1] for w in breaches if w <= window - 2 for c in breaches[w]}
        asked = dict(retired.indices(made, window))
        assert asked == {
            k: made(k) for k in range(10 * window, 10 * window + 10) if made(k)['s0'] not in gone
        }
