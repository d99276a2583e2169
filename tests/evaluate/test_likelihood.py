"""Likelihoods against whole rows: every family, shared beginnings, LongRoPE, meshes, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models, partitioning
from phijax.errors import InputError
from phijax.evaluate import likelihood
from phijax.evaluate.likelihood import Request
from tests.generate.test_families import CONFIGS, ORIGINAL
from tests.generate.test_families import _whole as whole
from tests.models import tiny


def _params(config):
    return models.init(config, jax.random.key(1))


def _ids(random, config, count):
    return tuple(random.integers(4, config.vocab_size, size=count).tolist())


def _questions(config, lengths, answers=(1, 3, 7, 2), before=(), seed=0):
    """For each length a context of so many tokens, with an answer of each length."""
    random = np.random.default_rng(seed)
    made = []
    for length in lengths:
        context = (*before, *_ids(random, config, length))
        made += [Request(context, _ids(random, config, count)) for count in answers]
    return made


def _logits(config, params, row):
    """The logits at each place of a row, computed at a width that few programs serve."""
    padded = np.zeros((1, max(16, 1 << (len(row) - 1).bit_length())), np.int32)
    padded[0, : len(row)] = row
    return whole(config, params, jnp.asarray(padded), jnp.array([len(row)]))[0]


def _whole(config, params, request):
    """The likelihood by one pass over the whole row, and whether each token is the likeliest."""
    row = np.array([*request.context, *request.continuation])[-config.max_length - 1 :]
    count, end = len(request.continuation), len(row) - 1
    scores = _logits(config, params, row[:-1])[end - count : end]
    scores = np.asarray(jax.nn.log_softmax(scores))
    targets = row[-count:]
    return scores[np.arange(count), targets].sum(), (scores.argmax(axis=1) == targets).all()


def _check(config, params, requests, **options):
    scores = likelihood.score(config, params, requests, **options)
    for request, score in zip(requests, scores, strict=True):
        expected, greedy = _whole(config, params, request)
        np.testing.assert_allclose(score.log_likelihood, expected, rtol=1e-5, atol=1e-5)
        assert score.greedy == greedy
    return scores


@pytest.mark.parametrize('family', CONFIGS)
def test_scores_are_those_of_whole_rows(family):
    config = CONFIGS[family]
    _check(config, _params(config), _questions(config, (1, 5, 30)), tokens_at_once=48)


@pytest.mark.parametrize('family', ['phi3', 'phi3_small'])
def test_a_row_beyond_longropes_boundary_has_the_long_factors_from_its_start(family):
    config = CONFIGS[family]
    # The answers of one context end on both sides of the boundary.
    questions = _questions(config, (ORIGINAL - 3, ORIGINAL + 1), answers=(1, 4, 5))
    _check(config, _params(config), questions)


@pytest.mark.parametrize('family', CONFIGS)
def test_words_before_every_question_are_shared(family):
    config = CONFIGS[family]
    before = _ids(np.random.default_rng(9), config, 35)
    _check(config, _params(config), _questions(config, (2, 4), before=before))


def test_contexts_that_differ_near_their_end_share_what_they_have_in_common():
    config = CONFIGS['phi']
    random = np.random.default_rng(3)
    stem, rest = _ids(random, config, 12), _ids(random, config, 4)
    requests = [Request((*stem, first), rest) for first in (5, 6)]
    groups = likelihood._groups([likelihood._row(config, i, r) for i, r in enumerate(requests)], 0)
    assert [group.stem for group in groups] == [stem]
    _check(config, _params(config), requests)


def test_a_question_goes_through_the_model_once(monkeypatch):
    config = CONFIGS['phi']
    requests = _questions(config, (40,) * 8, answers=(2, 2, 2, 2))
    sizes = []
    for name in ('_extend', '_evaluate'):
        function = getattr(likelihood, name)
        monkeypatch.setattr(
            likelihood,
            name,
            lambda *rest, function=function: (
                sizes.append(sum(np.asarray(a).size for a in rest[3:5] if np.ndim(a) == 2)),
                function(*rest),
            )[1],
        )
    likelihood.score(config, _params(config), requests)
    whole = sum(len(r.context) + len(r.continuation) for r in requests)
    assert sum(sizes) < 0.4 * whole


def test_the_likeliest_continuation_is_greedy():
    config = CONFIGS['phi']
    params = _params(config)
    context = _ids(np.random.default_rng(5), config, 6)
    row = list(context)
    for _ in range(3):
        row.append(int(_logits(config, params, row)[len(row) - 1].argmax()))
    best = tuple(row[6:])
    other = (*best[:2], (best[2] + 1) % config.vocab_size)
    scores = likelihood.score(config, params, [Request(context, best), Request(context, other)])
    assert [score.greedy for score in scores] == [True, False]


def test_a_prompt_that_is_too_long_loses_its_start_and_says_so():
    config = models.config('phi1', **tiny.SIZES | {'max_length': 16, 'unroll': 1})
    requests = _questions(config, (20, 12), answers=(3, 5))
    scores = _check(config, tiny.randomised(config), requests)
    assert [score.cut for score in scores] == [6, 8, 0, 0]


def test_scores_do_not_depend_on_the_mesh():
    config = CONFIGS['phi']
    params, requests = _params(config), _questions(config, (3, 9, 17))
    alone = likelihood.score(config, params, requests)
    mesh = partitioning.make_mesh((2, 4, 1))
    cut = partitioning.layout(mesh, models.axes(config), config.sizes)
    with partitioning.activations(mesh):
        spread = likelihood.score(config, jax.device_put(params, cut), requests)
    np.testing.assert_allclose(
        [score.log_likelihood for score in spread],
        [score.log_likelihood for score in alone],
        rtol=1e-5,
    )


def test_scores_come_as_they_are_known_and_each_once():
    config = CONFIGS['phi']
    requests = _questions(config, (3, 40, 9))
    pairs = list(likelihood.score_each(config, _params(config), requests, tokens_at_once=16))
    assert sorted(number for number, _ in pairs) == list(range(len(requests)))


@pytest.mark.parametrize(
    ('request_', 'message'),
    [
        (Request((), (1,)), 'request 1 lacks a context or a continuation'),
        (Request((1,), ()), 'request 1 lacks a context or a continuation'),
        (Request((1,), (61,)), 'request 1 has token 61, allowed are 0..60'),
        (Request((1,), (2,) * 17), 'a continuation of 17 tokens; the longest row .* has 16'),
    ],
)
def test_what_cannot_be_scored_is_refused_before_any_work(request_, message):
    config = models.config('phi1', **tiny.SIZES | {'max_length': 16, 'unroll': 1})
    with pytest.raises(InputError, match=message):
        likelihood.score_each(config, {}, [Request((1,), (2,)), request_])


def test_no_requests_are_no_scores():
    assert likelihood.score(CONFIGS['phi'], {}, []) == []
