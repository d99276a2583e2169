"""Words of texts and hashes of runs of them, for many texts at once.

A word is a run of letters and digits, without case. All else separates, `_` and apostrophes too,
so that layout, quotation marks, operators and Markdown do not count. Texts beyond ASCII are first
brought into Unicode's form NFKC, in lower case.
Source: lower case and no punctuation: arXiv:2005.14165, app. C; the rest is our choice.
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

# Beyond ASCII a byte is of a word: what separates there was made a space before.
_WORD = (string.ascii_letters + string.digits).encode() + bytes(range(128, 256))
_KINDS = bytes(byte if byte in _WORD else 0 for byte in bytes(range(256)).lower())
# Marks and spaces beyond ASCII.
_FOREIGN = re.compile(r'[^\x00-\x7f\w]+')
# Odd, so that they have inverses modulo 2 ** 64; fractions of square roots of primes.
_BYTE, _PLACE = 0x6A09E667F3BCC909, 0xBB67AE8584CAA73B
_MIX = np.uint64(0x3C6EF372FE94F82B)
_HALF = np.uint64(32)


class Words(NamedTuple):
    """The words of texts, one after the other.

    Attributes:
        data: the texts as bytes, in which the words stand.
        starts: where in `data` each word begins.
        ends: where it ends.
        hashes: of the words; equal words have equal ones.
        bounds: the words of text `i` are those from `bounds[i]` to `bounds[i + 1]`.
    """

    data: bytes
    starts: Places
    ends: Places
    hashes: Hashes
    bounds: Places

    def text(self, first: int, last: int) -> str:
        """What stands in the text from word `first` to before word `last`."""
        return self.data[self.starts[first] : self.ends[last - 1]].decode('utf-8', 'replace')

    def has_letters(self) -> NDArray[np.bool_]:
        """Whether each word begins with a letter."""
        first = np.frombuffer(self.data, np.uint8)[self.starts]
        return (first < ord('0')) | (first > ord('9'))


def split(texts: Sequence[str]) -> Words:
    """The words of texts."""
    parts = [_plain(text) for text in texts]
    data = b'\n'.join((b'', *parts, b''))
    codes = np.frombuffer(data.translate(_KINDS), np.uint8)
    inside = codes != 0
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    lengths = np.fromiter(map(len, parts), np.int64, len(parts)) + 1
    bounds = np.searchsorted(starts, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))
    return Words(data, starts, ends, _hash_slices(codes, starts, ends, _BYTE), bounds)


def hash_runs(words: Hashes, count: int) -> Hashes:
    """The hash of the `count` words from each place on that has so many."""
    starts = np.arange(max(len(words) - count + 1, 0))
    return _hash_slices(words, starts, starts + count, _PLACE)


def _plain(text: str) -> bytes:
    if text.isascii():
        return text.encode()
    folded = unicodedata.normalize('NFKC', text).lower()
    return _FOREIGN.sub(' ', folded).encode('utf-8', 'surrogatepass')


def _hash_slices(values: NDArray[Any], starts: Places, ends: Places, base: int) -> Hashes:
    """A hash of the values in each slice: a polynomial in `base`, out of sums of all before it.

    Sum `i` is that of the terms before value `i`; the inverse of a power moves a slice to place 0.
    """
    size = len(values)
    sums = np.zeros(size + 1, np.uint64)
    np.multiply(values, _powers(base, size), out=sums[1:])
    np.cumsum(sums, out=sums)
    hashes = (sums[ends] - sums[starts]) * _powers(pow(base, -1, 1 << 64), size + 1)[starts]
    hashes = (hashes ^ (hashes >> _HALF)) * _MIX
    return hashes ^ (hashes >> _HALF)


def _powers(base: int, count: int) -> Hashes:
    """The powers of a number from 0 on, modulo 2 ** 64."""
    return _table(base, max(count, 1 << 16).bit_length())[:count]


@functools.lru_cache(maxsize=8)
def _table(base: int, bits: int) -> Hashes:
    table = np.full(1 << bits, base, np.uint64)
    table[0] = 1
    return np.multiply.accumulate(table)
