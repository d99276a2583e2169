"""Solved items in front of others.

They stand before the context of a base model, a blank line after each, as lm-evaluation-harness
puts them. A chat model reads the same text at the beginning of its message: one turn, so that the
formats for a single question have them too.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from phijax.errors import InputError
from phijax.evaluate.tasks.items import Choice, Problem

Item = TypeVar('Item', Choice, Problem)


def first(shots: Sequence[str], num_shots: int) -> tuple[str, ...]:
    """The first so many solved items.

    Raises:
        InputError: there are not so many.
    """
    if not 0 <= num_shots <= len(shots):
        raise InputError(f'num_shots must be from 0 to {len(shots)}, got {num_shots}')
    return tuple(shots[:num_shots])


def before(item: Item, shots: Sequence[str], opening: str = '') -> Item:
    """The item with an opening and solved items in front of it."""
    text = opening + ''.join(f'{shot}\n\n' for shot in shots)
    changes: dict[str, Any] = (
        {'contexts': tuple(text + context for context in item.contexts)}
        if isinstance(item, Choice)
        else {'context': text + item.context}
    )
    return dataclasses.replace(item, message=text + item.message, **changes)
