"""Every function beside every solution: the pairs that are alike."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from phijax.data.filtering.decontaminate.items import Item
from phijax.data.filtering.decontaminate.rules import Settings
from phijax.data.filtering.decontaminate.syntax import Function, Spelling, parse

# Solutions of about one length are compared together, with functions that can be near them.
_TOGETHER = 32
# rapidfuzz rounds its cutoff so that of some match rates those that are equal to it are lost.
_LESS = 1e-6


class Likeness(NamedTuple):
    """A function that is like a solution.

    Attributes:
        function: its place in the list of functions.
        item: the key of the item.
        similarity: the match rate; of small functions 1.
    """

    function: int
    item: str
    similarity: float


class Solutions:
    """The solutions of programming problems, to be compared with functions.

    Attributes:
        compared: the keys of the items that are compared by signature, the shortest one first.
        small: those that are compared by spelling.
        unreadable: those whose code has no such function.
    """

    def __init__(self, items: Sequence[Item], settings: Settings) -> None:
        """Parses the solutions."""
        self._cutoff = min(settings.sweep)
        self.small: list[str] = []
        self.unreadable: list[str] = []
        signatures: list[tuple[str, str]] = []
        self._spelled: dict[Spelling, list[str]] = {}
        for item in items:
            function = _solution(item, settings)
            if function is None:
                self.unreadable += [item.key] if item.code else []
            elif function.spelling:
                self.small.append(item.key)
                self._spelled.setdefault(function.spelling, []).append(item.key)
            else:
                signatures.append((function.signature, item.key))
        signatures.sort(key=lambda pair: len(pair[0]))
        self._signatures = [signature for signature, _ in signatures]
        self.compared = [key for _, key in signatures]

    def compare(self, functions: Sequence[Function]) -> list[Likeness]:
        """The pairs with the lowest match rate of the sweep or a higher one."""
        numbered = list(enumerate(functions))
        small = self._same([pair for pair in numbered if pair[1].spelling])
        large = self._near([pair for pair in numbered if not pair[1].spelling])
        return sorted([*small, *large])

    def _same(self, functions: Sequence[tuple[int, Function]]) -> Iterator[Likeness]:
        for number, function in functions:
            for key in self._spelled.get(function.spelling, ()):
                yield Likeness(number, key, 1.0)

    def _near(self, functions: Sequence[tuple[int, Function]]) -> Iterator[Likeness]:
        functions = sorted(functions, key=lambda pair: len(pair[1].signature))
        signatures = [function.signature for _, function in functions]
        for start, stop, low, high in self._blocks(list(map(len, signatures))):
            rates = _match_rates(self._signatures[start:stop], signatures[low:high], self._cutoff)
            for row, column in np.argwhere(rates):
                number, key = functions[low + column][0], self.compared[start + row]
                yield Likeness(number, key, float(rates[row, column]))

    def _blocks(self, lengths: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
        """Which solutions are compared with which functions, of the sorted lengths."""
        starts = range(0, len(self._signatures), _TOGETHER)
        for start, stop in itertools.pairwise([*starts, len(self._signatures)]):
            shortest = len(self._signatures[start])
            longest = len(self._signatures[stop - 1])
            low = bisect.bisect_left(lengths, math.floor(shortest * self._cutoff))
            high = bisect.bisect_right(lengths, math.ceil(longest / self._cutoff))
            if low < high:
                yield start, stop, low, high


def _solution(item: Item, settings: Settings) -> Function | None:
    """The function that is asked for; the last one where an item does not name it."""
    functions, _ = parse(item.code, settings)
    return next((f for f in functions[::-1] if item.entry_point in ('', f.name)), None)


def _match_rates(solutions: Sequence[str], functions: Sequence[str], cutoff: float) -> np.ndarray:
    """The match rate of each pair, 0 where it is below `cutoff`."""
    rates: np.ndarray = process.cdist(
        solutions,
        functions,
        scorer=Levenshtein.normalized_similarity,
        score_cutoff=cutoff - _LESS,
        dtype=np.float64,
    )
    rates[rates < cutoff] = 0
    return rates
