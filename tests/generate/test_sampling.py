"""Tokens from scores: the likeliest, the right frequencies, the limits, and a key per row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.generate import sampling

PROBABILITIES = np.array([0.05, 0.5, 0.15, 0.3], np.float32)
LOGITS = np.log(PROBABILITIES)
DRAWS = 4000

choose = jax.jit(sampling.choose)
keep = jax.jit(sampling.keep)
penalise = jax.jit(sampling.penalise)


def nucleus(logits, top_p):
    return keep(logits, top_p=top_p)


def _keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


def _frequencies(temperature, top_p=1.0):
    logits = jnp.tile(LOGITS, (DRAWS, 1))
    tokens = choose(logits, _keys(DRAWS), temperature=temperature, top_p=top_p)
    return np.bincount(tokens, minlength=len(LOGITS)) / DRAWS


def test_temperature_zero_takes_the_likeliest_and_the_first_of_equals():
    logits = jnp.array([[0.0, 3.0, 1.0], [2.0, -1.0, 2.0], [-5.0, -4.0, -3.0]])
    for seed in range(3):
        tokens = choose(logits, _keys(3, seed), temperature=0.0, top_p=0.5)
        assert tokens.tolist() == [1, 0, 2]


@pytest.mark.parametrize('temperature', [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_the_softmax_says(temperature):
    expected = PROBABILITIES ** (1 / temperature)
    expected /= expected.sum()
    # Four standard deviations of a share that is drawn 4000 times.
    assert _frequencies(temperature) == pytest.approx(expected, abs=4 * np.sqrt(0.25 / DRAWS))


@pytest.mark.parametrize('shift', [-1000.0, 0.0, 1000.0])
def test_a_tiny_temperature_is_the_likeliest(shift):
    logits = jnp.tile(LOGITS + shift, (DRAWS, 1))
    assert set(choose(logits, _keys(DRAWS), temperature=1e-37, top_p=1.0).tolist()) == {1}


def test_top_p_draws_from_the_nucleus_in_proportion():
    expected = np.array([0, 0.5, 0, 0.3]) / 0.8
    drawn = _frequencies(1.0, top_p=0.75)
    assert drawn[[0, 2]].tolist() == [0, 0]
    assert drawn == pytest.approx(expected, abs=4 * np.sqrt(0.25 / DRAWS))


def test_top_p_is_taken_after_the_temperature():
    # The best token has 0.5; divided by 4 it has 0.33, the next 0.29, and 0.45 needs both.
    assert np.flatnonzero(_frequencies(1.0, top_p=0.45)).tolist() == [1]
    assert np.flatnonzero(_frequencies(4.0, top_p=0.45)).tolist() == [1, 3]


@pytest.mark.parametrize(
    ('top_p', 'kept'),
    [(0.01, [1]), (0.49, [1]), (0.51, [1, 3]), (0.79, [1, 3]), (0.81, [1, 2, 3])],
)
def test_the_nucleus_is_the_fewest_tokens_that_reach_top_p(top_p, kept):
    found = nucleus(LOGITS[None], top_p)[0]
    assert np.flatnonzero(np.isfinite(found)).tolist() == kept
    np.testing.assert_array_equal(found[np.array(kept)], LOGITS[np.array(kept)])


def test_the_nucleus_keeps_tokens_as_likely_as_its_last():
    logits = jnp.array([[1.0, 0.0, 1.0, 1.0]])
    assert np.isfinite(nucleus(logits, 0.5)).tolist() == [[True, False, True, True]]


@given(
    st.permutations([-1.5, 0.0, 0.25, 3.0]),
    st.floats(0.01, 0.99),
)
def test_the_nucleus_reaches_top_p_and_would_not_without_its_last(logits, top_p):
    logits = np.array([logits], np.float32)
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    kept = probabilities[np.isfinite(nucleus(logits, top_p))]
    assert kept.size
    assert kept.sum() >= top_p - 1e-5
    assert kept.sum() - kept.min() < top_p + 1e-5


@pytest.mark.parametrize('top_p', [0.8, 1.0])
def test_a_row_is_drawn_the_same_whatever_the_other_rows(top_p):
    logits = jax.random.normal(jax.random.key(1), (6, 50))
    keys = _keys(6)
    together = choose(logits, keys, temperature=1.0, top_p=top_p).tolist()
    for i in (0, 2, 5):
        row = slice(i, i + 1)
        assert choose(logits[row], keys[row], temperature=1.0, top_p=top_p).tolist() == [
            together[i]
        ]
    same = choose(logits[:1].repeat(6, axis=0), keys, temperature=1.0, top_p=top_p)
    assert len(set(same.tolist())) > 1


@pytest.mark.parametrize(
    ('limits', 'kept'),
    [
        ({'top_k': 1}, [1]),
        ({'top_k': 2}, [1, 3]),
        ({'top_k': 9}, [0, 1, 2, 3]),
        ({'min_p': 0.0}, [0, 1, 2, 3]),
        ({'min_p': 0.2}, [1, 2, 3]),
        ({'min_p': 0.59}, [1, 3]),
        ({'min_p': 0.61}, [1]),
        ({'min_p': 1.0}, [1]),
        # Of the two best, 0.5 and 0.3, the first alone has 0.625.
        ({'top_k': 2, 'top_p': 0.61}, [1]),
        ({'top_k': 3, 'top_p': 0.61}, [1, 3]),
        ({'top_k': 3, 'top_p': 0.99, 'min_p': 0.5}, [1, 3]),
    ],
)
def test_limits_keep_the_best_and_combine(limits, kept):
    found = keep(LOGITS[None], **limits)[0]
    assert np.flatnonzero(np.isfinite(found)).tolist() == kept
    np.testing.assert_array_equal(found[np.array(kept)], LOGITS[np.array(kept)])


def test_top_k_keeps_tokens_as_likely_as_its_last():
    logits = jnp.array([[1.0, 0.0, 2.0, 1.0, 1.0]])
    assert np.isfinite(keep(logits, top_k=2)).tolist() == [[True, False, True, True, True]]


@pytest.mark.parametrize('penalty', [1.0, 2.0, 0.5])
def test_the_penalty_lowers_what_a_row_has_already(penalty):
    logits = jnp.array([[1.0, -1.0, 4.0, -4.0], [1.0, -1.0, 4.0, -4.0]])
    tokens = jnp.array([[2, 3, 0], [1, 1, 1]])
    found = penalise(logits, tokens, jnp.array([2, 0]), penalty)
    expected = [[1.0, -1.0, 4.0 / penalty, -4.0 * penalty], [1.0, -1.0, 4.0, -4.0]]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize(
    'limits',
    [
        {'top_k': 7},
        {'top_p': 0.9},
        {'top_p': 0.05},
        {'min_p': 0.05},
        {'top_k': 40, 'top_p': 0.8},
        {'top_k': 40, 'top_p': 0.95, 'min_p': 0.1},
        {'top_p': 0.99, 'min_p': 0.02},
        {'temperature': 0.3, 'top_k': 1000, 'top_p': 0.97, 'min_p': 0.001},
        {'temperature': 1.7, 'top_k': 12, 'top_p': 0.6},
    ],
)
def test_the_limits_are_those_of_transformers(limits, seed):
    """In their order, on logits without equals, of which transformers keeps an arbitrary part."""
    why = 'parity with transformers needs `pip install phijax[hf]`'
    torch = pytest.importorskip('torch', reason=why)
    warpers = pytest.importorskip('transformers.generation.logits_process', reason=why)
    logits = np.random.default_rng(seed).normal(0, 3, (4, 200)).astype(np.float32)
    classes = {
        'temperature': warpers.TemperatureLogitsWarper,
        'top_k': warpers.TopKLogitsWarper,
        'top_p': warpers.TopPLogitsWarper,
        'min_p': warpers.MinPLogitsWarper,
    }
    theirs = torch.tensor(logits)
    for name in ('temperature', 'top_k', 'top_p', 'min_p'):
        if name in limits:
            theirs = classes[name](limits[name])(None, theirs)
    rest = {name: value for name, value in limits.items() if name != 'temperature'}
    ours = keep(logits / np.float32(limits.get('temperature', 1.0)), **rest)
    kept = np.isfinite(ours)
    np.testing.assert_array_equal(kept, np.isfinite(theirs.numpy()))
    assert 0 < kept.sum() < kept.size
    np.testing.assert_allclose(ours[kept], theirs.numpy()[kept], rtol=1e-6)


def test_the_penalty_is_that_of_transformers():
    why = 'parity with transformers needs `pip install phijax[hf]`'
    torch = pytest.importorskip('torch', reason=why)
    warpers = pytest.importorskip('transformers.generation.logits_process', reason=why)
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (3, 50)).astype(np.float32)
    tokens = random.integers(50, size=(3, 20))
    theirs = warpers.RepetitionPenaltyLogitsProcessor(1.3)(
        torch.tensor(tokens), torch.tensor(logits)
    )
    ours = penalise(logits, tokens, np.full(3, 20), 1.3)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6)
