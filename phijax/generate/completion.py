"""Text in, text out: prompts are encoded, and what the model writes is decoded and cut."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax

from phijax import interop, models
from phijax.errors import InputError
from phijax.generate import stops
from phijax.generate.sampler import generate

if TYPE_CHECKING:
    from phijax.data.tokenizer import Tokenizer


def complete(
    config: models.Config,
    params: models.Params,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    stop: Sequence[str] = (),
    **options: Any,
) -> list[str]:
    """The text that follows each prompt, up to the end of its document.

    An empty prompt starts a new document.

    Args:
        stop: a text ends before any of these, however its tokens divide them.
        options: those of `generate`.

    Raises:
        InputError: as `generate`, or an empty stop.
    """
    encoded = [tokenizer.encode(prompt) or [tokenizer.end_of_text] for prompt in prompts]
    return go_on(config, params, tokenizer, encoded, stop=stop, **options)[0]


def go_on(
    config: models.Config,
    params: models.Params,
    tokenizer: Tokenizer,
    encoded: Sequence[Sequence[int]],
    *,
    stop: Sequence[str] = (),
    **options: Any,
) -> tuple[list[str], list[bool]]:
    """The text that follows each prompt of ids, and whether it ended before `max_new_tokens`.

    Args:
        stop: as of `complete`.
        options: those of `generate`.

    Raises:
        InputError: as `complete`.
    """
    stops.check(stop)
    limits: dict[str, Any] = {'ends': tokenizer.ends, 'vocab_size': tokenizer.vocab_size}

    def over(number: int, ids: list[int]) -> bool:
        text = text_after(tokenizer, encoded[number], ids)
        return stops.cut(text, stop) != text

    rows = generate(config, params, encoded, over=over if stop else None, **limits | options)
    whole = [text_after(tokenizer, before, ids) for before, ids in zip(encoded, rows, strict=True)]
    texts = [stops.cut(text, stop) for text in whole]
    ended = [
        len(ids) < options['max_new_tokens'] or text != all_of_it
        for ids, text, all_of_it in zip(rows, texts, whole, strict=True)
    ]
    return texts, ended


def complete_with(
    checkpoint: str | os.PathLike[str],
    prompts: Sequence[str],
    *,
    bits: int | None = None,
    **options: Any,
) -> list[str]:
    """The text that the model at `checkpoint` writes after each prompt.

    Args:
        checkpoint: what `interop.open` takes.
        bits: 8 or 4 for kernels of so many bits; by default they stay float32.
        options: those of `complete`.

    Raises:
        ValueError: what is there is not a model or has no tokenizer, or as `complete`.
        FileNotFoundError: nothing is there.
    """
    config, params, tokenizer = load(checkpoint, bits)
    return complete(config, params, tokenizer, prompts, **options)


def write(
    checkpoint: str | os.PathLike[str],
    prompts: Sequence[str],
    *,
    num_samples: int = 1,
    **options: Any,
) -> str:
    """What the command prints: a single completion as it is, or a line of JSON for each.

    Args:
        num_samples: completions of each prompt.
        options: those of `complete_with`.

    Raises:
        ValueError: as `complete_with`, or several samples where all are the same.
        FileNotFoundError: as `complete_with`.
    """
    _check_samples(num_samples, options.get('temperature', 0.0))
    texts = complete_with(checkpoint, [*prompts] * num_samples, **options)
    if len(texts) == 1:
        return texts[0]
    lines = [
        {'prompt': prompt, 'completion': completion}
        for number, prompt in enumerate(prompts)
        for completion in texts[number :: len(prompts)]
    ]
    return '\n'.join(map(functools.partial(json.dumps, ensure_ascii=False), lines))


def load(
    checkpoint: str | os.PathLike[str], bits: int | None = None
) -> tuple[models.Config, models.Params, Tokenizer]:
    """The model at `checkpoint` on the device, with kernels of `bits`, and its tokenizer.

    Raises:
        ValueError: what is there is not a model or has no tokenizer.
        FileNotFoundError: nothing is there.
    """
    config, params, tokenizer = interop.open(checkpoint)
    if tokenizer is None:
        raise InputError(f'{checkpoint} has no tokenizer, so it can neither read nor write text')
    params = models.quantise(config, params, bits) if bits else params
    return config, jax.device_put(params), tokenizer


def text_after(tokenizer: Tokenizer, before: Sequence[int], ids: Sequence[int]) -> str:
    """The text of `ids`, decoded after their prompt: on its own it could lack its first space."""
    return tokenizer.decode([*before, *ids])[len(tokenizer.decode(before)) :]


def _check_samples(num_samples: int, temperature: float) -> None:
    if num_samples < 1:
        raise InputError(f'num_samples must be at least 1, got {num_samples}')
    if num_samples > 1 and not temperature:
        raise InputError(f'num_samples={num_samples} needs a temperature above 0: all are the same')
