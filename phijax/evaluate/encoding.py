"""Items as token ids, in the words of a base model or in the turns of a chat.

A style is `completion`, which goes on from a text, or a format of `phijax.data.chat`, which asks
the item's message and scores or reads the answer.
"""

import itertools
from collections.abc import Sequence

from phijax.data import chat
from phijax.data.tokenizer import Tokenizer
from phijax.errors import InputError
from phijax.evaluate.likelihood import Request
from phijax.evaluate.tasks.items import Choice, Problem

COMPLETION = 'completion'
STYLES = (COMPLETION, *chat.FORMATS)


def check_style(style: str) -> None:
    """Returns when there is such a style.

    Raises:
        InputError: there is not.
    """
    if style not in STYLES:
        raise InputError(f'style must be one of {", ".join(STYLES)}, got {style!r}')


def requests(items: Sequence[Choice], style: str, tokenizer: Tokenizer) -> list[list[Request]]:
    """For each item what is scored of each of its answers.

    Raises:
        InputError: the tokenizer lacks special tokens of the style.
    """
    if style == COMPLETION:
        every = [pairs(item) for item in items]
        flat = iter(encode_pairs([*itertools.chain.from_iterable(every)], tokenizer))
        return [list(itertools.islice(flat, len(own))) for own in every]
    asked = [tuple(_asked(item.message, style, tokenizer)) for item in items]
    lead = chat.FORMATS[style].lead
    return [
        [Request(before, tuple(tokenizer.encode(lead + answer))) for answer in item.answers]
        for before, item in zip(asked, items, strict=True)
    ]


def prompts(problems: Sequence[Problem], style: str, tokenizer: Tokenizer) -> list[list[int]]:
    """The ids after which each answer is written.

    Raises:
        InputError: as `requests`.
    """
    if style == COMPLETION:
        return tokenizer.encode_batch([problem.context for problem in problems])
    return [_asked(problem.message, style, tokenizer) for problem in problems]


def encode_pairs(pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer) -> list[Request]:
    """Contexts and what follows them, cut where the context's own ids end.

    Spaces at the end of a context belong to what follows, whose first token they begin. After an
    empty context stands the end of text.

    Source: lm-evaluation-harness 0.4.13, `TemplateLM._encode_pair`, whose ids these are.
    """
    texts = [context + continuation for context, continuation in pairs]
    before = [context.rstrip() for context, _ in pairs]
    encoded = tokenizer.encode_batch([*texts, *before])
    halves = zip(encoded[: len(pairs)], encoded[len(pairs) :], strict=True)
    return [_cut(whole, head, tokenizer.end_of_text) for whole, head in halves]


def _cut(whole: list[int], head: list[int], end_of_text: int) -> Request:
    """The ids of a pair, of which as many as the context has alone are the context's."""
    if not head:
        return Request((end_of_text,), tuple(whole))
    cut = min(len(head), len(whole) - 1)
    return Request(tuple(head[:cut]), tuple(whole[cut:]))


def pairs(item: Choice) -> list[tuple[str, str]]:
    """For each answer the text before what is scored, and that."""
    count = len(item.answers)
    contexts = item.contexts * (count // len(item.contexts))
    continuations = item.continuations * (count // len(item.continuations))
    return list(zip(contexts, continuations, strict=True))


def _asked(message: str, style: str, tokenizer: Tokenizer) -> list[int]:
    return chat.generation_prompt(style, [{'role': 'user', 'content': message}], tokenizer)
