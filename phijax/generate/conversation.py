"""A conversation on the terminal: lines in, answers as they come."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from phijax import models
from phijax.data import chat
from phijax.errors import InputError
from phijax.generate import stops
from phijax.generate.completion import load, text_after
from phijax.generate.prompts import text
from phijax.generate.sampler import stream

if TYPE_CHECKING:
    from phijax.data.tokenizer import Tokenizer

NEW = '/new'
QUIT = '/quit'
# Formats that the special tokens of a tokenizer tell.
_TOLD = ('phi3', 'chatml')


class _Speaker(NamedTuple):
    """A model, how it is spoken with, and where it is heard."""

    config: models.Config
    params: models.Params
    tokenizer: Tokenizer
    format: str
    out: TextIO
    notes: TextIO
    max_new_tokens: int
    stop: tuple[str, ...]
    options: dict[str, Any]


def converse(
    checkpoint: str | os.PathLike[str],
    lines: Iterable[bytes],
    out: TextIO,
    notes: TextIO,
    *,
    format: str | None = None,  # noqa: A002
    bits: int | None = None,
    max_new_tokens: int,
    stop: Iterable[str] = (),
    **options: Any,
) -> None:
    """Answers each of `lines` on `out`, remembering what was said, until `/quit` or their end.

    `/new` forgets. When the context is full the first exchanges are forgotten, and a line that is
    too long alone is refused; `notes` has both, and where an answer was cut.

    Args:
        format: of `phijax.data.chat`; `true` or nothing is the one that the tokenizer's special
            tokens tell.
        options: those of `generate`.

    Raises:
        InputError: the model cannot be used in that format, an option is out of its range, or a
            line is not UTF-8.
    """
    known = format not in (None, 'true')
    if known:
        chat.check_format(str(format))
    config, params, tokenizer = load(checkpoint, bits)
    format = str(format) if known else _told(tokenizer)  # noqa: A001
    ends = dict.fromkeys((*chat.ends(format, tokenizer), *tokenizer.ends))
    options |= {'ends': tuple(ends), 'vocab_size': tokenizer.vocab_size}
    every_stop = (*chat.stop_strings(format), *stop)
    stops.check(every_stop)
    speaker = _Speaker(
        config, params, tokenizer, format, out, notes, max_new_tokens, every_stop, options
    )
    single = ', one question at a time' if chat.FORMATS[format].single else ''
    notes.write(f'format {format}{single}; {NEW} starts again, {QUIT} ends\n')
    with contextlib.suppress(KeyboardInterrupt):
        _listen(speaker, lines)


def _listen(speaker: _Speaker, lines: Iterable[bytes]) -> None:
    messages: list[chat.Message] = []
    for number, line in enumerate(lines, 1):
        said = text(line, f'line {number} of the input').strip()
        if said == QUIT:
            return
        if said == NEW:
            messages = []
            speaker.notes.write('a new conversation\n')
        elif said:
            messages = _exchange(speaker, messages, said)


def _exchange(speaker: _Speaker, before: list[chat.Message], said: str) -> list[chat.Message]:
    """The conversation after one more question and its answer."""
    if chat.FORMATS[speaker.format].single:
        before = []
    messages = [*before, {'role': 'user', 'content': said}]
    messages, prompt = _fitting(speaker, messages)
    if not prompt:
        return before
    answer = ''
    for piece in _answer(speaker, prompt):
        speaker.out.write(piece)
        speaker.out.flush()
        answer += piece
    speaker.out.write('\n')
    speaker.out.flush()
    if not answer.strip():
        speaker.notes.write('note: the answer is empty; neither it nor the question is kept\n')
        return before
    return [*messages, {'role': 'assistant', 'content': answer}]


def _fitting(
    speaker: _Speaker, messages: list[chat.Message]
) -> tuple[list[chat.Message], list[int]]:
    """The last messages that leave room for an answer, and their ids; none if not even one does."""
    room = speaker.config.max_length - speaker.max_new_tokens
    first = 0
    while True:
        prompt = chat.generation_prompt(speaker.format, messages[first:], speaker.tokenizer)
        if len(prompt) <= room:
            break
        if first == len(messages) - 1:
            speaker.notes.write(
                f'note: refused: {len(prompt)} tokens are beyond the {max(room, 0)} that the '
                f'context of {speaker.config.max_length} leaves for a question with '
                f'max_new_tokens={speaker.max_new_tokens}\n'
            )
            return messages, []
        first += 2
    if first:
        speaker.notes.write(
            f'note: the context of {speaker.config.max_length} tokens is full; the first '
            f'{first} messages are forgotten\n'
        )
    return messages[first:], prompt


def _answer(speaker: _Speaker, prompt: list[int]) -> Iterator[str]:
    """The answer in pieces, none of which is taken back."""
    lead = chat.FORMATS[speaker.format].lead
    shown, whole, ids = '', '', []
    for ids in stream(
        speaker.config,
        speaker.params,
        prompt,
        max_new_tokens=speaker.max_new_tokens,
        **speaker.options,
    ):
        whole = text_after(speaker.tokenizer, prompt, ids).removeprefix(lead)
        settled = stops.settled(whole, speaker.stop)
        yield settled[len(shown) :]
        shown = settled
        if stops.cut(whole, speaker.stop) != whole:
            return
    yield whole[len(shown) :]
    if len(ids) == speaker.max_new_tokens:
        speaker.notes.write(f'note: cut at max_new_tokens={speaker.max_new_tokens}\n')


def _told(tokenizer: Tokenizer) -> str:
    for name in _TOLD:
        if all(tokenizer.special(token) is not None for token in chat.FORMATS[name].special):
            return name
    raise InputError(
        f'the tokenizer has the special tokens of none of {", ".join(_TOLD)}; say how the model is '
        f'to be spoken with: --chat={"|".join(chat.FORMATS)}'
    )
