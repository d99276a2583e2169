"""The loss against one that is written out, and what is not counted in it."""

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
