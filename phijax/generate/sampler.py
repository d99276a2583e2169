"""Cached generation for a batch of prompts of any lengths, compiled once per bucket of shapes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Bool, Int, Key

from phijax import models
from phijax.errors import InputError
from phijax.generate import decoding
from phijax.generate.options import Options, check_number

_NEVER = -1
_TOKENS_BETWEEN_LOOKS = 32
_FEWEST_ENDS = 4

Over = Callable[[int, list[int]], bool]


class _Seen(NamedTuple):
    """What the host sees of the rows."""

    tokens: Int[np.ndarray, 'b s']
    lengths: Int[np.ndarray, ' b']
    ended: Bool[np.ndarray, ' b']
    crossing: Bool[np.ndarray, ' b']


def generate(
    config: models.Config,
    params: models.Params,
    prompts: Sequence[Sequence[int]],
    *,
    streams: Sequence[int] | None = None,
    over: Over | None = None,
    rows_at_once: int | None = None,
    **options: Any,
) -> list[list[int]]:
    """The tokens that follow each prompt, without the prompt and without what ended it.

    A row's tokens depend on its prompt, its stream and the options, never on the other rows. The
    program is compiled once for each power of two of rows and of length.

    Args:
        streams: number of each row's stream of random numbers; by default its place in `prompts`.
        over: asked with a prompt's number and the tokens after it, at every 32nd of them, whether
            they are enough.
        rows_at_once: most prompts in one batch; by default all are in one.
        options: the fields of `Options`.

    Raises:
        InputError: an option or a token out of its range, an empty prompt, or a prompt that
            leaves too little of `config.max_length`.
    """
    chosen, streams = _checked(config, prompts, streams, options)
    size = max(len(prompts), 1) if rows_at_once is None else rows_at_once
    if size < 1:
        raise InputError(f'rows_at_once must be at least 1, got {size}')
    piece = _TOKENS_BETWEEN_LOOKS if over else chosen.max_new_tokens
    rows: list[list[int]] = []
    for start in range(0, len(prompts), size):
        here = slice(start, start + size)
        ask = functools.partial(_ask, over, start)
        *_, last = _pieces(config, params, prompts[here], streams[here], chosen, piece, ask)
        rows += last
    return rows


def stream(
    config: models.Config, params: models.Params, prompt: Sequence[int], **options: Any
) -> Iterator[list[int]]:
    """The tokens that follow `prompt` so far, each time that there is one more.

    Args:
        options: the fields of `Options`.

    Raises:
        InputError: as `generate`, at once.
    """
    chosen, streams = _checked(config, [prompt], None, options)
    pieces = _pieces(config, params, [prompt], streams, chosen, 1, functools.partial(_ask, None, 0))
    return (row for [row] in pieces)


def _ask(over: Over | None, start: int, number: int, row: list[int]) -> bool:
    """Whether a row of the batch that begins with prompt `start` is over."""
    return over is not None and over(start + number, row)


def _pieces(
    config: models.Config,
    params: models.Params,
    prompts: Sequence[Sequence[int]],
    streams: Sequence[int],
    options: Options,
    piece: int,
    over: Over,
) -> Iterator[list[list[int]]]:
    """The new tokens of each row so far, every `piece` tokens and at the end."""
    tokens, lengths = _pad(config, prompts, options.max_new_tokens)
    drawing = _drawing(config, options, _keys(options.seed, streams, len(tokens)))
    width = min(_bucket(lengths.max()), tokens.shape[1])
    rows = decoding.prefill(config, params, tokens, lengths, width)
    ended = lengths == 0
    so_far: list[list[int]] = [[] for _ in prompts]
    for end in range(piece, options.max_new_tokens + piece, piece):
        count = min(end, options.max_new_tokens)
        rows, seen = _advance(config, params, rows, drawing, ended, int(lengths[0]) - 1 + count)
        for number in np.flatnonzero(~ended).tolist():
            new = seen.tokens[number, lengths[number] :][:count].tolist()
            so_far[number] = _until(options.ends, new)
            ended[number] = seen.ended[number] or over(number, so_far[number])
        yield list(so_far)
        if ended.all():
            return


def _advance(
    config: models.Config,
    params: models.Params,
    rows: decoding.Rows,
    drawing: decoding.Drawing,
    over: Bool[np.ndarray, ' b'],
    length: int,
) -> tuple[decoding.Rows, _Seen]:
    """The rows when the first of them has `length` keys, or all have ended.

    Rows that LongRoPE's boundary stops on the way start again, and all go on.
    """
    while True:
        rows, crossing = decoding.decode(config, params, rows, drawing, over, length)
        arrays = (rows.tokens, rows.cache.lengths, rows.ended, crossing)
        seen = _Seen(*multihost_utils.process_allgather(arrays, tiled=True))
        if seen.lengths[0] >= length or not seen.crossing.any():
            return rows, seen
        rows = _restart(config, params, rows, np.flatnonzero(seen.crossing))


def _restart(
    config: models.Config, params: models.Params, rows: decoding.Rows, crossing: np.ndarray
) -> decoding.Rows:
    num_rows, room = rows.tokens.shape
    places = np.full(_bucket(len(crossing), least=1), num_rows, np.int32)
    places[: len(crossing)] = crossing
    width = min(_bucket(config.original_length), room)
    return decoding.restart(config, params, rows, places, width)


def _pad(
    config: models.Config, prompts: Sequence[Sequence[int]], max_new_tokens: int
) -> tuple[Int[np.ndarray, 'b s'], Int[np.ndarray, ' b']]:
    """Right-padded tokens with room for the new ones, and the length of each row."""
    lengths = np.zeros(_bucket(len(prompts), least=1), np.int32)
    lengths[: len(prompts)] = [len(prompt) for prompt in prompts]
    room = min(_bucket(lengths.max() + max_new_tokens), config.max_length)
    tokens = np.zeros((len(lengths), room), np.int32)
    for row, prompt in zip(tokens, prompts, strict=False):
        row[: len(prompt)] = prompt
    return tokens, lengths


def _drawing(
    config: models.Config, options: Options, keys: Key[jax.Array, ' b']
) -> decoding.Drawing:
    ends = np.full(_bucket(len(options.ends), least=_FEWEST_ENDS), _NEVER, np.int32)
    ends[: len(options.ends)] = options.ends
    return decoding.Drawing(
        keys=keys,
        temperature=jnp.float32(options.temperature),
        top_k=jnp.int32(min(options.top_k, config.vocab_size)),
        top_p=jnp.float32(options.top_p),
        min_p=jnp.float32(options.min_p),
        repetition_penalty=jnp.float32(options.repetition_penalty),
        vocab_size=jnp.int32(min(options.vocab_size or config.vocab_size, config.vocab_size)),
        ends=jnp.asarray(ends),
    )


def _keys(seed: int, streams: Sequence[int], num_rows: int) -> Key[jax.Array, ' b']:
    numbers = np.zeros(num_rows, np.uint32)
    numbers[: len(streams)] = streams
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), numbers)


def _bucket(size: int, least: int = 16) -> int:
    """The least power of two that is below neither `size` nor `least`."""
    return max(1 << (int(size) - 1).bit_length(), least)


def _until(ends: Sequence[int], tokens: list[int]) -> list[int]:
    place = next((i for i, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:place]


def _checked(
    config: models.Config,
    prompts: Sequence[Sequence[int]],
    streams: Sequence[int] | None,
    options: dict[str, Any],
) -> tuple[Options, Sequence[int]]:
    """The options and the stream of each row, when all can be met."""
    chosen = Options(**options)
    streams = range(len(prompts)) if streams is None else streams
    for number in streams:
        check_number(number)
    if len(streams) != len(prompts):
        raise InputError(
            f'streams must be one for each of {len(prompts)} prompts, got {len(streams)}'
        )
    _check_prompts(config, prompts, chosen.max_new_tokens)
    return chosen, streams


def _check_prompts(
    config: models.Config, prompts: Sequence[Sequence[int]], max_new_tokens: int
) -> None:
    for number, prompt in enumerate(prompts):
        if not len(prompt):
            raise InputError(f'prompt {number} is empty; it needs at least one token')
        for token in (min(prompt), max(prompt)):
            if not 0 <= token < config.vocab_size:
                raise InputError(
                    f'prompt {number} has token {token}, allowed are 0..{config.vocab_size - 1}'
                )
        if len(prompt) + max_new_tokens > config.max_length:
            raise InputError(
                f'prompt {number} has {len(prompt)} tokens, which with max_new_tokens='
                f'{max_new_tokens} is beyond max_length={config.max_length} of the model; '
                f'shorten it or ask for fewer'
            )
