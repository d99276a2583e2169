"""Rows of whole conversations, and of pairs of them, with what is learned in each.

Windows cut documents where they end; here no question is apart from its answer. Only a
conversation that is longer than a row is cut, at its end.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from phijax.data.packing import ENDS, FIELDS, Row, Windows
from phijax.errors import InputError

LEARNED = 'learned'


class Conversations(Windows):
    """The conversations of one split of one source, packed into rows in their order.

    A row has as many whole conversations as fit, each a segment, and then padding.
    """

    def __init__(
        self, directory: str | os.PathLike[str], source: str, split: str, length: int
    ) -> None:
        """Opens the split of a finished directory.

        Raises:
            MissingDataError: as for windows.
            InputError: as for windows, or a prompt fills a row, so that nothing of it is learned.
        """
        super().__init__(directory, source, split, length)
        self._check_learned()
        self._bounds = self._all_bounds()
        self._rows = self._packed()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        """The row: `tokens`, `segments`, `positions` and `learned`, each int32 of length + 1.

        Raises:
            InputError: if a token is none of the tokenizer's: the shard is damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'row {index} of {len(self)}')
        return self._with_learned(index, *self._rows[index])

    def _packed(self) -> list[tuple[int, int]]:
        """From which token to which each row goes."""
        rows = []
        first, count = 0, len(self._bounds) - 1
        while first < count:
            start = int(self._bounds[first])
            fits = int(self._bounds.searchsorted(start + self.length + 1, 'right')) - 1
            after = max(fits, first + 1)
            rows.append((start, min(int(self._bounds[after]), start + self.length + 1)))
            first = after
        return rows

    def _with_learned(self, index: int, start: int, stop: int) -> Row:
        learned = np.zeros(self.length + 1, np.int32)
        filled = 0
        for shard, low, high in self._spans(start, stop):
            marks = self._map(shard, f'.{LEARNED}', np.dtype('u1'))
            learned[filled : filled + high - low] = marks[low:high]
            filled += high - low
        return self._row(index, start, stop) | {LEARNED: learned}

    def _all_bounds(self) -> np.ndarray:
        """Where the conversations begin and end, counted over the whole split."""
        ends = [
            np.fromfile(self._path(shard, '.ends'), ENDS).astype(np.int64) + self._starts[shard]
            for shard in range(len(self._shards))
        ]
        return np.concatenate([np.zeros(1, np.int64), *ends])

    def _check_learned(self) -> None:
        for index, shard in enumerate(self._shards):
            if 'longest_prompt' not in shard:
                raise InputError(
                    f'{self._directory}: {self.source} is text, not conversations: it was made '
                    'without a chat format.'
                )
            self._check_size(self._path(index, f'.{LEARNED}'), shard['tokens'])
            check_prompt(shard, self.length)


class Pairs(Conversations):
    """The preferences of one split of one source: rows of two conversations each.

    The first of a row has the answer that is preferred, the second the other one.
    """

    def _packed(self) -> list[tuple[int, int]]:
        stops = np.minimum(self._bounds[1:], self._bounds[:-1] + self.length + 1)
        return list(zip(self._bounds[:-1].tolist(), stops.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self._rows) // 2

    def __getitem__(self, index: int) -> Row:
        """The pair: `tokens`, `segments`, `positions` and `learned`, int32 of (2, length + 1).

        Raises:
            InputError: if a token is none of the tokenizer's: the shard is damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'pair {index} of {len(self)}')
        both = [self._with_learned(i, *self._rows[i]) for i in (2 * index, 2 * index + 1)]
        return {name: np.stack([row[name] for row in both]) for name in (*FIELDS, LEARNED)}


class LearnedWindows(Windows):
    """Windows of text that stand among rows of conversations: all of it is learned."""

    def __getitem__(self, index: int) -> Row:
        """The window, with `learned` 1 wherever there is a token."""
        row = super().__getitem__(index)
        return row | {LEARNED: (row['segments'] > 0).astype(np.int32)}


_READERS: dict[tuple[str, str], type[Windows]] = {
    ('text', 'text'): Windows,
    ('text', 'chat'): Windows,
    ('chat', 'chat'): Conversations,
    ('chat', 'text'): LearnedWindows,
    ('preference', 'preference'): Pairs,
}


def fits(form: str, source: dict[str, Any]) -> bool:
    """Whether rows of a form can be made of a source, whose entry of the manifest is given."""
    return (form, source.get('form', 'text')) in _READERS


def reader(form: str, source: dict[str, Any], name: str) -> type[Windows]:
    """What reads a source, whose entry of the manifest is given, as rows of a form.

    Args:
        form: `text` is windows without `learned`; `chat` takes text as well, all of it learned.

    Raises:
        InputError: the source has not what the form needs.
    """
    if not fits(form, source):
        own = source.get('form', 'text')
        raise InputError(
            f'source {name} has the form {own}, and rows of the form {form} cannot be made of it; '
            'name other sources in data.weights, or another objective'
        )
    return _READERS[form, source.get('form', 'text')]


def check_prompt(entry: dict[str, Any], length: int) -> None:
    """Returns when the longest prompt of a shard or split of the manifest has room for an answer.

    Raises:
        InputError: it has none; the message names where it is from.
    """
    longest = entry.get('longest_prompt', {'tokens': 0})
    if longest['tokens'] > length:
        raise InputError(
            f'{longest["path"]}: the prompt has {longest["tokens"]} tokens, and a row of length '
            f'{length} has no room for an answer: lengthen the rows or take it out'
        )
