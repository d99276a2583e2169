"""What a model makes of each token of a text, and of what it expected in its place."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from phijax import models
from phijax.errors import InputError

Measured = tuple[Array, ...]

# Positions whose logits exist at once.
CHUNK = 512
_SHORTEST = 16


class TokenScores(NamedTuple):
    """Of each token of a row but its first, given those before it; in nats.

    Attributes:
        log_probability: of the token that is there.
        mean: of the log-probability of a token drawn from the model there; minus its entropy.
        deviation: the standard deviation of the same.
    """

    log_probability: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @property
    def log_likelihood(self) -> float:
        """Of the whole row after its first token."""
        return float(self.log_probability.sum(dtype=float))


def token_scores(
    config: models.Config,
    params: models.Params,
    rows: Sequence[Sequence[int]],
    rows_at_once: int = 32,
) -> list[TokenScores]:
    """The scores of each row, in their order.

    Rows of similar length go through the model together; a row's scores do not depend on which,
    up to the order of summation.

    Args:
        rows: of at least two tokens; the first, such as the end of the text before, is given.

    Raises:
        InputError: a row is too short or too long, or a token is outside the vocabulary.
    """
    for number, row in enumerate(rows):
        _check(config, number, row)
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    scores: dict[int, TokenScores] = {}
    for start in range(0, len(order), rows_at_once):
        numbers = order[start : start + rows_at_once]
        tokens, lengths = _padded(config, [rows[number] for number in numbers], rows_at_once)
        found = [np.asarray(each) for each in _scores(config, params, tokens, lengths)]
        for place, number in enumerate(numbers):
            scores[number] = TokenScores(*(each[place, : lengths[place]] for each in found))
    return [scores[number] for number in range(len(rows))]


def _padded(
    config: models.Config, rows: Sequence[Sequence[int]], rows_at_once: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rows as one array of one of few shapes, and how many tokens are predicted in each."""
    lengths = np.ones(min(rows_at_once, _power(len(rows))), np.int32)
    lengths[: len(rows)] = [len(row) - 1 for row in rows]
    width = min(max(_power(lengths.max()), _SHORTEST), config.max_length)
    tokens = np.zeros((len(lengths), width + 1), np.int32)
    for line, row in zip(tokens, rows, strict=False):
        line[: len(row)] = row
    return tokens, lengths


def by_chunks(
    config: models.Config,
    params: models.Params,
    x: Float[Array, 'b t d'],
    targets: Int[Array, 'b t'],
    measure: Callable[[Array, Array], Measured],
) -> Measured:
    """What `measure` makes of logits and targets, a stretch of positions after the other.

    Args:
        measure: takes logits `(batch, positions, vocabulary)` and targets, and gives arrays
            `(batch, positions)`.
    """
    batch, length, _ = x.shape
    chunk = min(CHUNK, length)

    def cut(array: Array) -> Array:
        padded = jnp.pad(array, [(0, 0), (0, -length % chunk)] + [(0, 0)] * (array.ndim - 2))
        return padded.reshape(batch, -1, chunk, *array.shape[2:]).swapaxes(0, 1)

    def measured(part: tuple[Array, Array]) -> Measured:
        return measure(models.head(config, params, part[0]), part[1])

    chunks = jax.lax.map(measured, (cut(x), cut(targets)))
    return tuple(each.swapaxes(0, 1).reshape(batch, -1)[:, :length] for each in chunks)


def log_probability(logits: Float[Array, 'b t v'], targets: Int[Array, 'b t']) -> Array:
    """Of each target under the logits at its place, in nats."""
    taken = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return taken - jax.nn.logsumexp(logits, axis=-1)


@functools.partial(jax.jit, static_argnums=0)
def _scores(
    config: models.Config,
    params: models.Params,
    rows: Int[Array, 'b s'],
    lengths: Int[Array, ' b'],
) -> Measured:
    x, _ = models.hidden(config, params, rows[:, :-1], lengths=lengths)
    return by_chunks(config, params, x, rows[:, 1:], _with_spread)


def _with_spread(logits: Array, targets: Array) -> Measured:
    scores = jax.nn.log_softmax(logits)
    # A token that cannot be drawn may have a log-probability whose square is not finite.
    chances = jnp.exp(scores)
    scores = jnp.where(chances > 0, scores, 0)
    mean = (chances * scores).sum(axis=-1)
    variance = (chances * jnp.square(scores - mean[..., None])).sum(axis=-1)
    return log_probability(logits, targets), mean, jnp.sqrt(variance)


def _check(config: models.Config, number: int, row: Sequence[int]) -> None:
    if not 2 <= len(row) <= config.max_length + 1:
        raise InputError(
            f'row {number} has {len(row)} tokens; it must have 2 to {config.max_length + 1}'
        )
    for token in (min(row), max(row)):
        if not 0 <= token < config.vocab_size:
            raise InputError(
                f'row {number} has token {token}, allowed are 0..{config.vocab_size - 1}'
            )


def _power(size: int) -> int:
    """The least power of two that is not below `size`."""
    return 1 << max(int(size) - 1, 0).bit_length()
