"""Every function beside every solution: the pairs that are alike."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from phijax.data.filtering.decontaminate.items import Item
from phijax.data.filtering.decontaminate.rules import Settings
from phijax.data.filtering.decontaminate.syntax import Function, parse

# Solutions of about one length are compared together, with functions that can be near them.
_TOGETHER = 32


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
        compared: the keys of the items that are compared by signature.
        small: those that are compared by spelling.
        unreadable: those whose code has no such function.
    """

    def __init__(self, items: Sequence[Item], settings: Settings) -> None:
        """Parses the solutions."""
        self._cutoff = min(settings.sweep)
        self.compared: list[str] = []
        self.small: list[str] = []
        self.unreadable: list[str] = []
        signatures: list[tuple[str, str]] = []
        self._spelled: dict[str, list[str]] = {}
        for item in items:
            if not item.code:
                continue
            functions, _ = parse(item.code, settings)
            found = [f for f in functions if item.entry_point in ('', f.name)]
            if not found:
                self.unreadable.append(item.key)
            elif found[-1].spelling:
                self.small.append(item.key)
                self._spelled.setdefault(found[-1].spelling, []).append(item.key)
            else:
                self.compared.append(item.key)
                signatures.append((found[-1].signature, item.key))
        self._signatures = sorted(signatures, key=lambda pair: (len(pair[0]), pair))

    def compare(self, functions: Sequence[Function]) -> list[Likeness]:
        """The pairs with the lowest match rate of the sweep or a higher one."""
        found = [
            Likeness(number, key, 1.0)
            for number, function in enumerate(functions)
            if function.spelling
            for key in self._spelled.get(function.spelling, ())
        ]
        large = [number for number, function in enumerate(functions) if not function.spelling]
        large.sort(key=lambda number: len(functions[number].signature))
        signatures = [functions[number].signature for number in large]
        lengths = np.array([len(signature) for signature in signatures])
        for start, stop, low, high in self._blocks(lengths):
            block = self._signatures[start:stop]
            rates = _match_rates([s for s, _ in block], signatures[low:high], self._cutoff)
            for row, column in np.argwhere(rates):
                number, key = large[low + column], block[row][1]
                found.append(Likeness(number, key, float(rates[row, column])))
        return sorted(found)

    def _blocks(self, lengths: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
        """Which solutions are compared with which functions, of the sorted lengths."""
        starts = range(0, len(self._signatures), _TOGETHER)
        for start, stop in itertools.pairwise([*starts, len(self._signatures)]):
            shortest = len(self._signatures[start][0])
            longest = len(self._signatures[stop - 1][0])
            low = np.searchsorted(lengths, math.floor(shortest * self._cutoff))
            high = np.searchsorted(lengths, math.ceil(longest / self._cutoff), 'right')
            if low < high:
                yield start, stop, int(low), int(high)


def _match_rates(solutions: Sequence[str], functions: Sequence[str], cutoff: float) -> np.ndarray:
    """The match rate of each pair, 0 where it is below `cutoff`."""
    rates: np.ndarray = process.cdist(
        solutions,
        functions,
        scorer=Levenshtein.normalized_similarity,
        score_cutoff=cutoff,
        dtype=np.float64,
    )
    return rates
