"""Cached generation for a batch of prompts of any lengths, compiled once per bucket of shapes."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, Bool, Float, Int, Key

from phijax import interop, models
from phijax.errors import InputError
from phijax.generate import sampling

if TYPE_CHECKING:
    from phijax.data.tokenizer import Tokenizer

_NEVER = -1
_NUM_STREAMS = 2**32


class Drawing(NamedTuple):
    """How tokens are drawn: the stream of each row, the limits, and what ends a row."""

    keys: Key[Array, ' b']
    temperature: Float[Array, '']
    top_p: Float[Array, '']
    vocab_size: Int[Array, '']
    end_of_text: Int[Array, '']


class Rows(NamedTuple):
    """Rows under way: their tokens, the keys and values of all but the last, and which ended.

    `cache.lengths` counts those keys, so it is also the place of each row's last token.
    """

    tokens: Int[Array, 'b s']
    cache: models.Cache
    ended: Bool[Array, ' b']


def generate(
    config: models.Config,
    params: models.Params,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    streams: Sequence[int] | None = None,
    end_of_text: int | None = None,
    vocab_size: int | None = None,
) -> list[list[int]]:
    """The tokens that follow each prompt, without the prompt and without `end_of_text`.

    A row's tokens depend on its prompt, `seed`, its stream and the options, never on the other
    rows. The program is compiled once for each power of two of rows and of length.

    Args:
        temperature: 0 takes the likeliest token; 1 draws from the model's own distribution.
        top_p: draw only from the fewest tokens whose probabilities reach this sum.
        streams: number of each row's stream of random numbers; by default its place in `prompts`.
        end_of_text: a row stops before this token; None means every row gets `max_new_tokens`.
        vocab_size: only ids below it are drawn, for a tokenizer smaller than the model's table.

    Raises:
        InputError: an option or a token out of its range, an empty prompt, or a prompt that
            leaves too little of `config.max_length`.
    """
    vocab_size = min(vocab_size or config.vocab_size, config.vocab_size)
    streams = range(len(prompts)) if streams is None else streams
    _check_options(max_new_tokens, temperature, top_p)
    _check_streams(seed, streams, len(prompts))
    _check_prompts(config, prompts, max_new_tokens)
    if not prompts:
        return []
    tokens, lengths = _pad(config, prompts, max_new_tokens)
    drawing = Drawing(
        keys=_keys(seed, streams, len(tokens)),
        temperature=jnp.float32(temperature),
        top_p=jnp.float32(top_p),
        vocab_size=jnp.int32(vocab_size),
        end_of_text=jnp.int32(_NEVER if end_of_text is None else end_of_text),
    )
    width = min(_bucket(lengths.max()), tokens.shape[1])
    rows = _prefill(config, params, tokens, lengths, width)
    rows = _decode(config, params, rows, drawing, max_new_tokens)
    tokens = multihost_utils.process_allgather(rows.tokens, tiled=True)
    return [
        _until(end_of_text, row[length : length + max_new_tokens].tolist())
        for row, length in zip(tokens, lengths[: len(prompts)], strict=False)
    ]


def complete(
    config: models.Config,
    params: models.Params,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    **options: Any,
) -> list[str]:
    """The text that follows each prompt, up to the end of its document.

    An empty prompt starts a new document.

    Args:
        options: those of `generate`.

    Raises:
        InputError: as `generate`.
    """
    encoded = [tokenizer.encode(prompt) or [tokenizer.end_of_text] for prompt in prompts]
    limits = {'end_of_text': tokenizer.end_of_text, 'vocab_size': tokenizer.vocab_size}
    completions = generate(config, params, encoded, **limits | options)
    # Decoded after its prompt: a text that begins here could begin with a space too few.
    return [
        tokenizer.decode([*before, *ids])[len(tokenizer.decode(before)) :]
        for before, ids in zip(encoded, completions, strict=True)
    ]


def complete_with(
    checkpoint: str | os.PathLike[str], prompts: Sequence[str], **options: Any
) -> list[str]:
    """The text that the model at `checkpoint` writes after each prompt.

    Args:
        checkpoint: a workdir, a Hugging Face directory or a GGUF file.
        options: those of `generate`.

    Raises:
        ValueError: what is there is not a model or has no tokenizer, or as `generate`.
        FileNotFoundError: nothing is there.
    """
    config, params, tokenizer = interop.open(checkpoint)
    if tokenizer is None:
        raise InputError(f'{checkpoint} has no tokenizer, so it can neither read nor write text')
    return complete(config, jax.device_put(params), tokenizer, prompts, **options)


@functools.partial(jax.jit, static_argnames=('config', 'width'))
def _prefill(
    config: models.Config,
    params: models.Params,
    tokens: Int[Array, 'b s'],
    lengths: Int[Array, ' b'],
    width: int,
) -> Rows:
    """The rows before their first new token. Rows of length 0 are padding and have ended.

    The last token of a prompt is left to the first step of decoding, which so is like the others.
    """
    empty = models.init_cache(config, *tokens.shape)
    before = jnp.maximum(lengths - 1, 0)
    _, cache = models.hidden(config, params, tokens[:, :width], lengths=before, cache=empty)
    return Rows(tokens, cast(models.Cache, cache), lengths == 0)


@functools.partial(jax.jit, static_argnames='config', donate_argnames='rows')
def _decode(
    config: models.Config,
    params: models.Params,
    rows: Rows,
    drawing: Drawing,
    num_steps: int | Int[Array, ''],
) -> Rows:
    """The rows after `num_steps` new tokens, or fewer where all have ended."""

    def unfinished(carry: tuple[Int[Array, ''], Rows]) -> Bool[Array, '']:
        step, rows = carry
        return (step < num_steps) & ~rows.ended.all()

    def advance(carry: tuple[Int[Array, ''], Rows]) -> tuple[Int[Array, ''], Rows]:
        step, rows = carry
        return step + 1, _extend(config, params, rows, drawing)

    return jax.lax.while_loop(unfinished, advance, (jnp.int32(0), rows))[1]


def _extend(config: models.Config, params: models.Params, rows: Rows, drawing: Drawing) -> Rows:
    """The rows after one new token."""
    last = jnp.take_along_axis(rows.tokens, rows.cache.lengths[:, None], axis=1)
    logits, extended = models.apply(config, params, last, cache=rows.cache)
    cache = cast(models.Cache, extended)
    allowed = jnp.arange(config.vocab_size) < drawing.vocab_size
    chosen = sampling.choose(
        jnp.where(allowed, logits[:, 0], -jnp.inf),
        jax.vmap(jax.random.fold_in)(drawing.keys, cache.lengths),
        temperature=drawing.temperature,
        top_p=drawing.top_p,
    )
    tokens = rows.tokens.at[jnp.arange(len(last)), cache.lengths].set(chosen)
    return Rows(tokens, cache, rows.ended | (chosen == drawing.end_of_text))


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


def _keys(seed: int, streams: Sequence[int], num_rows: int) -> Key[Array, ' b']:
    numbers = np.zeros(num_rows, np.uint32)
    numbers[: len(streams)] = streams
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), numbers)


def _bucket(size: int, least: int = 16) -> int:
    """The least power of two that is below neither `size` nor `least`."""
    return max(1 << (int(size) - 1).bit_length(), least)


def _until(end_of_text: int | None, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(end_of_text)] if end_of_text in tokens else tokens


def _check_options(max_new_tokens: int, temperature: float, top_p: float) -> None:
    if max_new_tokens < 1:
        raise InputError(f'max_new_tokens must be at least 1, got {max_new_tokens}')
    if not 0 <= temperature < float('inf'):
        raise InputError(f'temperature must be 0 (the likeliest) or positive, got {temperature}')
    if not 0 < top_p <= 1:
        raise InputError(f'top_p must be in (0, 1], got {top_p}')


def _check_streams(seed: int, streams: Sequence[int], num_rows: int) -> None:
    for number in (seed, *streams):
        if not 0 <= number < _NUM_STREAMS:
            raise InputError(f'seed and streams must be in 0..{_NUM_STREAMS - 1}, got {number}')
    if len(streams) != num_rows:
        raise InputError(f'streams must be one for each of {num_rows} prompts, got {len(streams)}')


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
