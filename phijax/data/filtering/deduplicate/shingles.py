"""Shingles: the sets of word n-grams of texts, as sorted arrays of 64-bit hashes.

A word is a run of ASCII letters, digits, `_` and two-byte characters (most alphabets); a character
of three or four bytes begins a word of its own, as most scripts with such do not space their words.
All else only separates, so layout, punctuation and operators do not count; case does.
Source: the split on `[^A-Za-z_0-9]` is BigCode's (huggingface.co/blog/dedup); Deviation: there,
other alphabets vanish.
"""

from __future__ import annotations

import hashlib
import itertools
import string
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

# Odd numbers with bits as good as random: fractions of square roots of primes.
_STEP, _FIRST, _SECOND = (
    np.uint64(each) for each in (0x6A09E667F3BCC909, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B)
)
_HALF = np.uint64(32)
# What a byte does: 0 separates, 1 goes on with a word, 2 begins one.
_INSIDE = (string.ascii_letters + string.digits + '_').encode() + bytes(range(0x80, 0xE0))
_KINDS = bytes(2 if byte >= 0xE0 else int(byte in _INSIDE) for byte in range(256))
_LANE = 8
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(_LANE + 1)], np.uint64)
# Longer words, which are data rather than words, are hashed one by one.
_LONG = 256


class Sets(NamedTuple):
    """Sets of hashes one after the other, each sorted; the last bound is the end.

    Set `i` is `values[bounds[i] : bounds[i + 1]]`.
    """

    values: Hashes
    bounds: Places


def shingle(texts: Sequence[bytes], ngram: int, seed: int) -> Sets:
    """The set of shingles of each text, which are in UTF-8.

    A text with fewer words than a shingle has one of all its words; one without words has none.
    """
    words, counts = _hash_words(texts)
    starts, sizes = bounds(counts)[:-1], np.maximum(counts - ngram + 1, np.minimum(counts, 1))
    keys = mix(np.arange(1, ngram + 1, dtype=np.uint64) * _STEP + np.uint64(seed)) | np.uint64(1)
    padded = np.concatenate([words, np.zeros(ngram, np.uint64)])
    values = np.zeros(len(words), np.uint64)
    for number, key in enumerate(keys):
        values += padded[number : number + len(words)] * key
    for text in np.flatnonzero((counts > 0) & (counts < ngram)):
        own = words[starts[text] : starts[text] + counts[text]]
        values[starts[text]] = (own * keys[: len(own)]).sum()
    return _sorted(mix(values[ranges(starts, sizes)]), bounds(sizes))


def mix(values: Hashes) -> Hashes:
    """A permutation of the 64-bit numbers without visible order.

    Source: the finaliser of MurmurHash3 (public domain), with multipliers of our choice.
    """
    values = (values ^ (values >> _HALF)) * _FIRST
    values = (values ^ (values >> _HALF)) * _SECOND
    return values ^ (values >> _HALF)


def bounds(sizes: Places) -> Places:
    """Where runs of these sizes begin, one after the other, and where the last one ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])


def ranges(starts: Places, sizes: Places) -> Places:
    """The places in runs with these starts and sizes, one run after the other."""
    ends = bounds(sizes)
    return np.arange(ends[-1]) + np.repeat(starts - ends[:-1], sizes)


def _sorted(values: Hashes, ends: Places) -> Sets:
    """Runs of values as sets: each sorted in its place, then without repetitions."""
    for start, end in itertools.pairwise(ends.tolist()):
        values[start:end].sort()
    new = np.ones(len(values), bool)
    new[1:] = values[1:] != values[:-1]
    new[ends[:-1][np.diff(ends) > 0]] = True
    return Sets(values[new], bounds(new)[ends])


def _hash_words(texts: Sequence[bytes]) -> tuple[Hashes, Places]:
    """The hashes of all words of the texts, and how many words each text has."""
    data = b'\n'.join((b'', *texts, b''))
    kinds = np.frombuffer(data.translate(_KINDS), np.uint8)
    inside = kinds != 0
    starts = np.flatnonzero(kinds[1:] > inside[:-1]) + 1
    sizes = np.flatnonzero(inside[:-1] > (kinds[1:] == 1)) + 1 - starts
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    counts = np.diff(np.searchsorted(starts, bounds(lengths + 1)))
    return _hash_runs(data, starts, sizes), counts


def _hash_runs(data: bytes, starts: Places, sizes: Places) -> Hashes:
    """A hash of each run of bytes, eight bytes at a time of all runs together."""
    lanes: Hashes = np.ndarray(len(data), '<u8', data + bytes(_LANE), strides=(1,))
    hashes = mix(lanes[starts] & _MASKS[np.minimum(sizes, _LANE)])
    for place in np.flatnonzero(sizes > _LONG):
        own = data[starts[place] : starts[place] + sizes[place]]
        hashes[place] = int.from_bytes(hashlib.blake2b(own, digest_size=8).digest(), 'little')
    left = np.flatnonzero((sizes > _LANE) & (sizes <= _LONG))
    for done in range(_LANE, _LONG, _LANE):
        lane = lanes[starts[left] + done] & _MASKS[np.minimum(sizes[left] - done, _LANE)]
        hashes[left] = mix(hashes[left] * _FIRST ^ lane)
        left = left[sizes[left] > done + _LANE]
    return hashes
