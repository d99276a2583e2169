"""The losses against ones that are written out, and what is not counted in them."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models
from phijax.train import losses
from tests.train import tiny

CONFIG = models.config('phi1_small', **tiny.MODEL | {'num_layers': 1})
ROWS, LENGTH = 3, 12

pretraining = jax.jit(
    losses.pretraining, static_argnums=0, static_argnames=('within_documents', 'chunk')
)
apply = jax.jit(models.apply, static_argnums=0)


@pytest.fixture(scope='module')
def params() -> Any:
    fresh = jax.eval_shape(lambda: models.init(CONFIG, jax.random.key(0)))
    draw = np.random.default_rng(0)
    # Larger than at the start of a run, so that the predictions differ.
    return jax.tree.map(lambda x: jnp.float32(draw.normal(0.2, 0.3, x.shape)), fresh)


def batch(*documents: int) -> losses.Batch:
    """Rows of documents of these lengths, then padding."""
    padding = LENGTH + 1 - sum(documents)
    numbers = np.repeat(np.arange(len(documents)) + 1, documents)
    places = np.concatenate([np.arange(size) for size in documents])
    rows = {
        'tokens': np.random.default_rng(2).integers(0, CONFIG.vocab_size, (ROWS, LENGTH + 1)),
        'segments': np.tile(np.pad(numbers, (0, padding)), (ROWS, 1)),
        'positions': np.tile(np.pad(places, (0, padding)), (ROWS, 1)),
    }
    return {name: jnp.asarray(value, jnp.int32) for name, value in rows.items()}


def written_out(params: Any, tokens: jax.Array) -> float:
    """The loss of rows of whatever length, which alone are their text."""
    size = tokens.shape[1]
    whole = jnp.zeros((ROWS, LENGTH), jnp.int32).at[:, : size - 1].set(tokens[:, :-1])
    scores = np.asarray(apply(CONFIG, params, whole)[0], np.float64)[:, : size - 1]
    chances = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    taken = np.take_along_axis(chances, np.asarray(tokens)[:, 1:, None], -1)
    return float(-np.log(taken).sum())


@functools.partial(jax.jit, static_argnums=0, static_argnames='chunk')
def differentiated(config: models.Config, params: Any, rows: losses.Batch, *, chunk: int) -> Any:
    def loss(params: Any) -> jax.Array:
        return losses.pretraining(config, params, rows, within_documents=True, chunk=chunk)[0]

    return jax.value_and_grad(loss)(params)


def test_loss_is_the_sum_of_log_softmax(params: Any) -> None:
    rows = batch(LENGTH + 1)
    nats, count = pretraining(CONFIG, params, rows)
    assert int(count) == ROWS * LENGTH
    assert float(nats) == pytest.approx(written_out(params, rows['tokens']), rel=1e-5)
    assert float(nats) > 0


@pytest.mark.parametrize('chunk', [3, 12])
def test_chunks_change_neither_loss_nor_gradients(params: Any, chunk: int) -> None:
    rows = batch(7, 4)
    whole, gradients = differentiated(CONFIG, params, rows, chunk=0)
    value, found = differentiated(CONFIG, params, rows, chunk=chunk)
    assert float(value) == pytest.approx(float(whole), rel=1e-6)
    for expected, gradient in zip(*map(jax.tree.leaves, (gradients, found)), strict=True):
        # Entries that are nothing but rounding differ by a few units in the last place of the rest.
        unit = float(jnp.abs(expected).max()) * jnp.finfo(jnp.float32).eps
        np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=16 * unit)


def test_chunks_keep_few_logits(params: Any) -> None:
    """The point of chunks: no array of the program has the logits of all positions."""
    rows = batch(LENGTH + 1)
    widths = {}
    for chunk in (0, 4, 12):
        gradient = jax.grad(lambda p, c=chunk: losses.pretraining(CONFIG, p, rows, chunk=c)[0])
        text = str(jax.make_jaxpr(gradient)(params))
        widths[chunk] = f'f32[{ROWS},{LENGTH},{CONFIG.vocab_size}]' in text
    assert widths == {0: True, 4: False, 12: True}


def test_padding_is_not_counted(params: Any) -> None:
    rows = batch(9)
    nats, count = pretraining(CONFIG, params, rows)
    assert int(count) == ROWS * 8
    assert float(nats) == pytest.approx(written_out(params, rows['tokens'][:, :9]), rel=1e-5)
    other = rows | {'tokens': rows['tokens'].at[:, 9:].set(5)}
    assert pretraining(CONFIG, params, other)[0] == nats


@pytest.mark.parametrize('chunk', [0, 3])
def test_documents_are_as_if_alone(params: Any, chunk: int) -> None:
    """Neither attention nor positions nor loss go from one document to the next."""
    rows = batch(5, 6)
    nats, count = pretraining(CONFIG, params, rows, within_documents=True, chunk=chunk)
    tokens = rows['tokens']
    alone = written_out(params, tokens[:, :5]) + written_out(params, tokens[:, 5:11])
    assert int(count) == ROWS * (4 + 5)
    assert float(nats) == pytest.approx(alone, rel=1e-5)


def test_packed_rows_are_one_text(params: Any) -> None:
    rows = batch(5, 8)
    nats, count = pretraining(CONFIG, params, rows)
    assert int(count) == ROWS * LENGTH
    assert float(nats) == pytest.approx(written_out(params, rows['tokens']), rel=1e-5)


@pytest.mark.parametrize(
    ('dtype', 'chunk', 'tolerance'), [('bfloat16', 0, 2e-2), ('float16', 4, 4e-3)]
)
def test_half_precision_is_finite_and_near(
    params: Any, dtype: str, chunk: int, tolerance: float
) -> None:
    rows = batch(7, 4)
    exact, _ = differentiated(CONFIG, params, rows, chunk=0)
    config = dataclasses.replace(CONFIG, dtype=dtype)
    value, gradients = differentiated(config, params, rows, chunk=chunk)
    assert value.dtype == jnp.float32
    assert float(value) == pytest.approx(float(exact), rel=tolerance)
    assert float(value) != float(exact)
    for gradient in jax.tree.leaves(gradients):
        assert gradient.dtype == jnp.float32
        assert bool(jnp.isfinite(gradient).all())


def test_key_turns_dropout_on(params: Any) -> None:
    rows = batch(LENGTH + 1)
    plain, once, again, other = (
        float(pretraining(CONFIG, params, rows, key=key)[0])
        for key in (None, jax.random.key(3), jax.random.key(3), jax.random.key(4))
    )
    assert once == again
    assert len({plain, once, other}) == 3


def scores(params: Any, tokens: jax.Array, rows: losses.Batch | None = None) -> jax.Array:
    """Log probabilities of the next token after each token of each row."""
    context = {name: rows[name][:, :-1] for name in ('segments', 'positions')} if rows else {}
    logits = models.apply(CONFIG, params, tokens[:, :-1], **context)[0]
    logs = jnp.log(jnp.exp(logits) / jnp.exp(logits).sum(-1, keepdims=True))
    return jnp.take_along_axis(logs, tokens[:, 1:, None], axis=-1)[..., 0]


def assert_close(found: Any, expected: Any) -> None:
    """Gradients agree to 3e-5 of the largest entry: sums of what cancels have no better."""
    for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        unit = float(jnp.abs(other).max()) * jnp.finfo(jnp.float32).eps
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=256 * unit)


@pytest.mark.parametrize('chunk', [0, 4])
def test_only_what_is_learned_is_counted(params: Any, chunk: int) -> None:
    learned = jnp.asarray(np.random.default_rng(5).integers(0, 2, (ROWS, LENGTH + 1)), jnp.int32)
    rows = batch(5, 6) | {'learned': learned}
    # A document's first token has nothing before it to be predicted from.
    counted = (learned > 0) & (rows['positions'] > 0) & (rows['segments'] > 0)

    def plain(params: Any) -> jax.Array:
        return -jnp.where(counted[:, 1:], scores(params, rows['tokens'], rows), 0).sum()

    expected, expected_gradients = jax.jit(jax.value_and_grad(plain))(params)
    value, gradients = differentiated(CONFIG, params, rows, chunk=chunk)
    assert 0 < int(counted.sum()) < ROWS * 9
    assert int(pretraining(CONFIG, params, rows, within_documents=True)[1]) == counted.sum()
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    assert_close(gradients, expected_gradients)


PROMPTS, ANSWERS = (3, 5, 2), ((6, 4), (2, 8), (9, 1))


def pairs() -> losses.Batch:
    """Three pairs: prompts and answers of the lengths above, then padding."""
    draw = np.random.default_rng(4)
    shape = (len(PROMPTS), 2, LENGTH + 1)
    rows = {name: np.zeros(shape, np.int32) for name in ('tokens', 'segments', 'learned')}
    for number, (prompt, answers) in enumerate(zip(PROMPTS, ANSWERS, strict=True)):
        asked = draw.integers(0, CONFIG.vocab_size, prompt)
        for place, size in enumerate(answers):
            said = draw.integers(0, CONFIG.vocab_size, size)
            rows['tokens'][number, place, : prompt + size] = [*asked, *said]
            rows['segments'][number, place, : prompt + size] = 1
            rows['learned'][number, place, prompt : prompt + size] = 1
    return {name: jnp.asarray(value) for name, value in rows.items()}


def other(params: Any) -> Any:
    """Parameters near these."""
    return jax.tree.map(lambda x: x * 1.05 + 0.01, params)


def slow_preference(params: Any, reference: Any, rows: losses.Batch, beta: float) -> jax.Array:
    """Equation 7 of arXiv:2305.18290, a pair at a time."""
    total = jnp.float32(0)
    for number, (prompt, answers) in enumerate(zip(PROMPTS, ANSWERS, strict=True)):
        ratios = []
        for place, size in enumerate(answers):
            tokens = rows['tokens'][number, place][None]
            answer = slice(prompt - 1, prompt + size - 1)
            policy, start = (scores(p, tokens)[0, answer].sum() for p in (params, reference))
            ratios.append(policy - start)
        total -= jnp.log(1 / (1 + jnp.exp(-beta * (ratios[0] - ratios[1]))))
    return total


@pytest.mark.parametrize('chunk', [0, 4])
def test_preference_is_equation_7(params: Any, chunk: int) -> None:
    rows, reference, beta = pairs(), other(params), 0.3

    def fast(params: Any, reference: Any) -> jax.Array:
        return losses.preference(CONFIG, params, reference, rows, beta=beta, chunk=chunk)[0]

    slow = functools.partial(slow_preference, rows=rows, beta=beta)
    expected, expected_gradients = jax.jit(jax.value_and_grad(slow))(params, reference)
    value, (gradients, of_reference) = jax.jit(jax.value_and_grad(fast, (0, 1)))(params, reference)
    assert float(value) == pytest.approx(float(expected), rel=1e-4)
    assert_close(gradients, expected_gradients)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(of_reference))
    assert abs(float(value) - 3 * np.log(2)) > 0.01


preference = jax.jit(losses.preference, static_argnums=0, static_argnames=('beta', 'chunk'))


@pytest.mark.parametrize('chunk', [0, 4])
def test_preference_begins_at_log_2(params: Any, chunk: int) -> None:
    loss, count, margin, leads = preference(CONFIG, params, params, pairs(), beta=0.1, chunk=chunk)
    assert int(count) == 3
    assert float(loss) == float(np.float32(3) * np.log(np.float32(2)))
    assert (float(margin), float(leads)) == (0, 0)


def test_preference_measures_what_it_prefers(params: Any) -> None:
    rows = pairs()
    swapped = {name: value[:, ::-1] for name, value in rows.items()}
    _, _, margin, leads = preference(CONFIG, params, other(params), rows, beta=0.3)
    _, _, opposite, follows = preference(CONFIG, params, other(params), swapped, beta=0.3)
    assert float(margin) == pytest.approx(-float(opposite), rel=1e-4)
    assert float(leads) + float(follows) == 3
    assert float(margin) == pytest.approx(
        float(preference(CONFIG, params, other(params), rows, beta=0.1)[2]) * 3, rel=1e-4
    )


def test_padded_pairs_are_not_counted(params: Any) -> None:
    rows = pairs()
    padded = {name: jnp.pad(value, ((0, 2), (0, 0), (0, 0))) for name, value in rows.items()}
    expected = preference(CONFIG, params, other(params), rows, beta=0.3)
    found = preference(CONFIG, params, other(params), padded, beta=0.3)
    assert int(found[1]) == 3
    assert [float(x) for x in found] == pytest.approx([float(x) for x in expected], rel=1e-5)


def test_tokens_behind_an_answer_change_nothing(params: Any) -> None:
    rows = pairs()
    noise = jnp.where(rows['segments'] > 0, rows['tokens'], 7)
    expected = preference(CONFIG, params, other(params), rows, beta=0.3)
    found = preference(CONFIG, params, other(params), rows | {'tokens': noise}, beta=0.3)
    assert [float(x) for x in found] == [float(x) for x in expected]


def test_dropout_is_the_policys_alone(params: Any) -> None:
    """With the same parameters only dropout makes a margin."""
    found = preference(CONFIG, params, params, pairs(), beta=0.1, key=jax.random.key(3))
    assert float(found[2]) != 0
