"""What of a test set stands in the tokens that a run was trained on, token for token.

The n-grams of the test set are few and are indexed; the training tokens are many and pass by once.
Memory is bounded by the test set and one stretch of tokens, whatever the size of the corpus.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from phijax.data import packing
from phijax.errors import InputError

# Source: ConTAM, arXiv:2411.03923: n = 8 and a single occurrence; larger ones miss contamination.
NGRAM = 8
_STRETCH = 1 << 18
# Pairs of a place in the corpus and a place in the test set that exist at once.
_PAIRS = 1 << 20
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SIEVE_BITS = 24


class Match(NamedTuple):
    """What of an item stands in the corpus.

    Attributes:
        longest: tokens of the longest stretch of the item that stands there in one piece.
        covered: tokens of the item that are in any n-gram that stands there.
        tokens: of the item.
    """

    longest: int
    covered: int
    tokens: int

    @property
    def score(self) -> float:
        """The share of the item that its longest match is."""
        return self.longest / self.tokens if self.tokens else 0.0


def matches(
    items: Sequence[Sequence[int]], directory: str | os.PathLike[str], ngram: int = NGRAM
) -> list[Match]:
    """What of each item stands in the training split of a directory of token shards.

    Raises:
        MissingDataError: the directory has no manifest.
        InputError: a shard is not of the size that the manifest says, or `ngram` is below 2.
    """
    index = Index(items, ngram)
    for shard in training_shards(directory):
        index.read(shard)
    return index.matches()


def training_shards(directory: str | os.PathLike[str]) -> Iterator[np.ndarray]:
    """The tokens of each training shard, mapped into memory.

    Raises:
        MissingDataError: the directory has no manifest.
        InputError: a shard is not of the size that the manifest says.
    """
    stated = packing.manifest(directory)
    for source in stated['sources'].values():
        for shard in source['splits']['train']['shards']:
            path = (Path(directory) / shard['file']).with_suffix('.tokens')
            size = shard['tokens'] * np.dtype(stated['dtype']).itemsize
            found = path.stat().st_size if path.is_file() else 'missing'
            if found != size:
                raise InputError(f'{path} is {found} bytes; the manifest says {size}')
            if size:
                yield np.memmap(path, stated['dtype'], 'r')


class Index:
    """The n-grams of a test set, and how much of it was met in the tokens read so far."""

    def __init__(self, items: Sequence[Sequence[int]], ngram: int = NGRAM):
        """Indexes the items.

        Raises:
            InputError: `ngram` is below 2.
        """
        if ngram < 2:
            raise InputError(f'ngram must be at least 2, got {ngram}')
        self._ngram = ngram
        self._bounds = np.array([0, *itertools.accumulate(map(len, items))])
        self._tokens = np.array([token for item in items for token in item], np.int64)
        hashes = _hash(self._tokens, ngram)
        spans = itertools.pairwise(self._bounds.tolist())
        places = [place for low, high in spans for place in range(low, high - ngram + 1)]
        self._places = np.array(places, np.int64)
        self._places = self._places[np.argsort(hashes[self._places], kind='stable')]
        self._hashes = hashes[self._places]
        self._sieve = np.zeros(1 << _SIEVE_BITS, bool)
        self._sieve[_sift(self._hashes)] = True
        self._longest = np.zeros(len(items), np.int64)
        # How many matches begin less how many have ended, at each token.
        self._begun = np.zeros(len(self._tokens) + 1, np.int64)

    def read(self, tokens: np.ndarray) -> None:
        """Meets tokens that stand in one piece, such as those of a shard."""
        running: dict[int, tuple[int, int]] = {}
        for start in range(0, len(tokens) - self._ngram + 1, _STRETCH):
            stretch = np.asarray(tokens[start : start + _STRETCH + self._ngram - 1], np.int64)
            for there, here in self._pairs(stretch):
                running = self._meet(there + start, here, running)

    def matches(self) -> list[Match]:
        """Of each item."""
        covered = np.concatenate([[0], np.cumsum(np.cumsum(self._begun[:-1]) > 0)])
        return [
            Match(int(longest), int(covered[high] - covered[low]), high - low)
            for longest, (low, high) in zip(
                self._longest, itertools.pairwise(self._bounds.tolist()), strict=True
            )
        ]

    def _pairs(self, stretch: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places in the stretch and places in the test set with the same n-gram, in pieces."""
        hashes = _hash(stretch, self._ngram)
        there = np.flatnonzero(self._sieve[_sift(hashes)])
        first = np.searchsorted(self._hashes, hashes[there], 'left')
        counts = np.searchsorted(self._hashes, hashes[there], 'right') - first
        pieces = (np.cumsum(counts) - counts) // _PAIRS
        for piece in np.unique(pieces[counts > 0]):
            own = np.flatnonzero((pieces == piece) & (counts > 0))
            repeats = counts[own]
            within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
            here = self._places[np.repeat(first[own], repeats) + within]
            place = np.repeat(there[own], repeats)
            # Equal hashes are not yet equal n-grams.
            same = np.ones(len(here), bool)
            for offset in range(self._ngram):
                same &= stretch[place + offset] == self._tokens[here + offset]
            yield place[same], here[same]

    def _meet(
        self, there: np.ndarray, here: np.ndarray, running: dict[int, tuple[int, int]]
    ) -> dict[int, tuple[int, int]]:
        """Enters the matches of a piece; those that may go on in the next one.

        Args:
            running: by how far a place of the corpus is from that of the test set, the last place
                in the corpus of a match that was going on, and n-grams in it so far.
        """
        order = np.lexsort((there, there - here))
        there, here = there[order], here[order]
        shift = there - here
        new = (np.diff(shift, prepend=-1) != 0) | (np.diff(there, prepend=-2) != 1)
        new[:1] = True
        begin = np.flatnonzero(new)
        size = np.diff(np.append(begin, len(there)))
        low, start, shifts = here[begin], there[begin], shift[begin]
        end = low + size + self._ngram - 1
        np.add.at(self._begun, low, 1)
        np.add.at(self._begun, end, -1)
        for run in np.flatnonzero(start == min(start, default=0)).tolist():
            last, before = running.get(int(shifts[run]), (-1, 0))
            size[run] += before if last + 1 == start[run] else 0
        item = np.searchsorted(self._bounds, low, 'right') - 1
        np.maximum.at(self._longest, item, size + self._ngram - 1)
        stop = end - self._ngram + shifts
        ends = np.flatnonzero(stop == max(stop, default=0)).tolist()
        return {int(shifts[run]): (int(stop[run]), int(size[run])) for run in ends}


def _hash(tokens: np.ndarray, ngram: int) -> np.ndarray:
    """A number for the n-gram at each place; equal n-grams have equal ones."""
    count = max(len(tokens) - ngram + 1, 0)
    hashes = np.zeros(count, np.uint64)
    for offset in range(ngram):
        hashes *= _MULTIPLIER
        hashes += tokens[offset : offset + count].astype(np.uint64) + np.uint64(1)
    return hashes * _MULTIPLIER


def _sift(hashes: np.ndarray) -> np.ndarray:
    return (hashes >> np.uint64(64 - _SIEVE_BITS)).astype(np.int64)
