"""Factors: which combination of them sample `k` has, without a table and without a draw.

The first factor is the *main* one: a topic, of which there may be many. The others are *styles*,
such as the audience or the form, and the numbers of their levels share no divisor. With T levels of
the main factor, Q the product of the others, p = k div T and a step `a` that is coprime to Q,

    main level = k mod T        u = (k mod T + p a) mod Q        level of style i = u mod n_i

What this gives, for every k from 0 to T Q:

- No combination comes twice: k tells (k mod T, p), and p tells u apart, as `a` is coprime to Q. The
  styles are known by u and tell it (the Chinese remainder theorem).
- In any run of consecutive samples, each main level comes as often as any other, or once more or
  less; so does each pair of a main level with a level of one style.
- So does each level of a style and each pair of levels of two styles, if T is coprime to Q. If it
  is not, `a` is greater than T by a little, and each multiple of T inside the run adds one to the
  difference.
- A run of T n_i n_j samples has each pair of levels of the styles i and j exactly T times.

The levels themselves are put in an order that the seed decides, by a Feistel network, so that
neighbours of a list do not stay neighbours.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from phijax.data.settings import check
from phijax.errors import InputError

# Source: Luby and Rackoff, SIAM J. Comput. 17, 1988: four rounds of a Feistel network cannot be
# told from a random permutation.
_ROUNDS = 4

Cell = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Permutation:
    """The numbers from 0 to `size` in an order that the key decides; each place is computed."""

    size: int
    key: str

    def __call__(self, place: int) -> int:
        """The number at a place."""
        return _permuted(self.size, self.key, place)


@dataclass(frozen=True)
class Sampler:
    """The combination of every index: a pure function of the levels, the seed and the index.

    Attributes:
        levels: the names of each factor's levels; the first factor is the main one.
        seed: of the order of the levels.
    """

    levels: Mapping[str, Sequence[str]]
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises InputError where a factor has no levels, or coverage could not be even."""
        check(bool(self.levels), 'factors', dict(self.levels), 'one or more')
        for name, levels in self.levels.items():
            check(bool(levels), f'factors.{name}', levels, 'one level or more')
            [(most, times)] = collections.Counter(levels).most_common(1)
            check(times == 1, f'factors.{name}', most, 'there once')
        for one, other in itertools.combinations(list(self.levels)[1:], 2):
            self._check_coprime(one, other)

    def _check_coprime(self, one: str, other: str) -> None:
        first, second = len(self.levels[one]), len(self.levels[other])
        shared = math.gcd(first, second)
        if shared > 1:
            raise InputError(
                f'{one} has {first} levels and {other} has {second}, which share the divisor '
                f'{shared}: their pairs could not come equally often. Add or take away levels of '
                f'one of them: {other} may have {_coprime(second, first)}.'
            )

    @functools.cached_property
    def num_styles(self) -> int:
        """How many combinations there are of all factors but the main one."""
        return math.prod(map(len, list(self.levels.values())[1:]))

    @functools.cached_property
    def size(self) -> int:
        """How many samples there are until a combination would come again."""
        return self._num_main * self.num_styles

    def __call__(self, index: int) -> dict[str, str]:
        """The level of each factor, by name.

        Raises:
            InputError: if all combinations came before this index.
        """
        check(0 <= index < self.size, 'index', index, f'below {self.size}, where all have come')
        turn, main = divmod(index, self._num_main)
        style = (main + turn * self._step) % self.num_styles
        places = [main, *(style % len(levels) for levels in self._styles)]
        return {
            name: levels[order(place)]
            for (name, levels), order, place in zip(
                self.levels.items(), self._orders, places, strict=True
            )
        }

    @functools.cached_property
    def _num_main(self) -> int:
        return len(next(iter(self.levels.values())))

    @property
    def _styles(self) -> list[Sequence[str]]:
        return list(self.levels.values())[1:]

    @functools.cached_property
    def _step(self) -> int:
        return _coprime(self._num_main, self.num_styles)

    @functools.cached_property
    def _orders(self) -> list[Permutation]:
        return [
            Permutation(len(levels), f'{self.seed}/{name}') for name, levels in self.levels.items()
        ]


@dataclass(frozen=True)
class Retired:
    """Combinations that are asked for no more, each from a window on.

    A window is a run of `window` indices. What a window breaches counts from the second window
    after it: the next one may be under way when its measures are known. So which samples are asked
    for is a pure function of the breaches, whatever came back first.

    Attributes:
        window: how many indices a window has.
        breaches: the cells, which are some factors with a level each, by number of the window.
    """

    window: int
    breaches: Mapping[int, Collection[Cell]] = dataclasses.field(default_factory=dict)

    def after(self, window: int, cells: Collection[Cell]) -> Retired:
        """With the breaches of one window more."""
        return dataclasses.replace(self, breaches={**self.breaches, window: tuple(cells)})

    def cells(self, window: int) -> list[Cell]:
        """What is retired in a window, in order."""
        found = {c for w, cells in self.breaches.items() if w + 2 <= window for c in cells}
        return sorted(found)

    def indices(self, sampler: Sampler, window: int) -> Iterator[tuple[int, dict[str, str]]]:
        """The samples of a window that are asked for, with their indices."""
        cells = self.cells(window)
        start = window * self.window
        for index in range(start, min(start + self.window, sampler.size)):
            combination = sampler(index)
            if not any(all(combination[n] == level for n, level in cell) for cell in cells):
                yield index, combination


# Levels of styles come again all the time.
@functools.lru_cache(1 << 16)
def _permuted(size: int, key: str, place: int) -> int:
    """The network permutes the smallest power of four that is large enough.

    What falls outside of the size goes through it again: four times at most on average.
    """
    half = max(((size - 1).bit_length() + 1) // 2, 1)
    place = _mixed(key, place, half)
    while place >= size:
        place = _mixed(key, place, half)
    return place


def _mixed(key: str, place: int, half: int) -> int:
    mask = (1 << half) - 1
    left, right = place >> half, place & mask
    for turn in range(_ROUNDS):
        left, right = right, left ^ (_hash(f'{key}/{turn}/{right}') & mask)
    return left << half | right


def _coprime(least: int, to: int) -> int:
    """The smallest number from `least` on that shares no divisor with another."""
    return next(number for number in itertools.count(least) if math.gcd(number, to) == 1)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
