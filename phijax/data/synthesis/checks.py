"""Checks: what makes a text no use, whatever it is about. All limits are our choice."""

from __future__ import annotations

import re

from phijax.data.document import Dropped, make
from phijax.data.synthesis import diversity, taxonomy
from phijax.data.synthesis.asking import COPIED, Problem, Prompt

# Of the words that were asked for.
LEAST_LENGTH = 0.25
# Of runs of eight words, in the prompt.
MOST_ECHO = 0.2
_STEM = 4
_REFUSAL = re.compile(
    r'(?i)\bas an ai\b|\bas a (?:large )?language model\b|'
    r"\bi(?:'m| am)? (?:cannot|can't|can not|won't|will not|unable to|not able to) "
    r'(?:help|assist|fulfil|comply|write|provide|create|continue|do that)|'
    r"^\W*(?:i'm|i am) (?:very |so )?sorry\b"
)
_REFUSAL_CHARACTERS = 300


def problem(prompt: Prompt, text: str, most_repeated: float, most_copied: float) -> Problem | None:
    """The first thing that is wrong with a text, if anything is.

    Args:
        most_repeated: the share of runs of five words that may have been in the text before.
        most_copied: the share of runs of eight words that may be the extract's.
    """
    asked = prompt.messages[-1]['content'].replace(prompt.extract, ' ') if prompt.extract else ''
    asked = asked or prompt.messages[-1]['content']
    found = {
        'malformed': ('it was no plain text', lambda: isinstance(make(text, '', ''), Dropped)),
        'refused': ('it was a refusal', lambda: is_refusal(text)),
        'too_short': (
            f'it was far shorter than {prompt.words} words',
            lambda: len(text.split()) < LEAST_LENGTH * prompt.words,
        ),
        'repetitive': ('it said the same again and again', lambda: repeated(text) > most_repeated),
        'prompt_echo': (
            'it repeated the question',
            lambda: diversity.copied_share(text, asked) > MOST_ECHO,
        ),
        COPIED: (
            'it copied the extract',
            lambda: diversity.copied_share(text, prompt.extract) > most_copied,
        ),
        'off_topic': (
            f'it was not about {prompt.topic}',
            lambda: bool(prompt.topic) and not is_about(text, prompt.topic),
        ),
    }
    return next((Problem(name, words) for name, (words, holds) in found.items() if holds()), None)


def is_refusal(text: str) -> bool:
    """Whether a text begins by saying that there will be none."""
    return bool(_REFUSAL.search(text[:_REFUSAL_CHARACTERS].replace('\u2019', "'")))


def repeated(text: str) -> float:
    """The share of the runs of five words that were in the text before."""
    runs = _runs(text)
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def alike(one: str, other: str) -> float:
    """The Jaccard similarity of the runs of five words of two texts; 1 if they have the same."""
    first, second = set(_runs(one)), set(_runs(other))
    return len(first & second) / len(first | second) if first | second else float(one == other)


def _runs(text: str) -> list[tuple[str, ...]]:
    words = text.lower().split()
    return list(zip(*(words[start:] for start in range(5)), strict=False))


def is_about(text: str, topic: str) -> bool:
    """Whether one of the topic's words, or one with the same beginning, is in the text.

    This finds texts about something else altogether; it cannot tell how well one keeps to it.
    """
    stems = {word[:_STEM] for word in taxonomy.normal(topic)}
    said = {word[:_STEM] for word in re.findall(r'\w+', text.lower())}
    return bool(stems & said) or not stems
