"""Pairs of documents that agree on a band, from the hashes of that band alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from phijax.data.filtering.deduplicate.clusters import Numbers
from phijax.data.filtering.deduplicate.shingles import Hashes
from phijax.data.filtering.deduplicate.sketches import Stored

# Our choice: a document meets the first of its bucket and so many that follow it. So buckets of up
# to nine are compared in full, and the cost of a giant one grows as its size.
WINDOW = 7


class Pairs(NamedTuple):
    """Pairs of different documents; the first of each has the lower number."""

    first: Numbers
    second: Numbers


def pairs(
    stored: Sequence[Stored], band: int, numbers: Numbers, rows_at_once: int
) -> Iterator[Pairs]:
    """Pairs that agree on a band: first those with the first of their bucket, then the others.

    Args:
        numbers: of all documents in the order of the sketches; one for those without shingles that
            is greater than all others.
        rows_at_once: hashes in memory; more are read in several passes, a range of hashes each.
    """
    bits = max(len(numbers).bit_length(), 1)
    passes = max(-(-len(numbers) // rows_at_once), 1)
    for number in range(passes):
        yield from _bucket_pairs(_keys(stored, band, numbers, bits, (number, passes)), bits)


def _keys(
    stored: Sequence[Stored], band: int, numbers: Numbers, bits: int, part: tuple[int, int]
) -> Hashes:
    """Sorted keys, each the lower bits of a document's hash and then its number."""
    kept = []
    start = 0
    for each in stored:
        own = numbers[start : start + each.num_documents]
        start += each.num_documents
        hashes = each.band(band)
        chosen = own < len(numbers)
        chosen &= (hashes >> np.uint64(32)) * np.uint64(part[1]) >> np.uint64(32) == part[0]
        kept.append(hashes[chosen] << np.uint64(bits) | own[chosen])
    keys = np.concatenate([np.zeros(0, np.uint64), *kept])
    keys.sort()
    return keys


def _bucket_pairs(keys: Hashes, bits: int) -> Iterator[Pairs]:
    hashes = keys >> np.uint64(bits)
    alike = np.zeros(len(keys) + 1, bool)
    np.equal(hashes[1:], hashes[:-1], out=alike[1:-1])
    shared = alike[1:] | alike[:-1]
    starts = np.flatnonzero(~alike[:-1][shared])
    numbers = (keys[shared] & np.uint64((1 << bits) - 1)).astype(np.uint32)
    del keys, hashes, alike, shared
    begins = np.repeat(starts, np.diff(starts, append=len(numbers)))
    follows = np.ones(len(numbers), bool)
    follows[starts] = False
    yield Pairs(numbers[begins[follows]], numbers[follows])
    for step in range(1, WINDOW + 1):
        same = (begins[step:] == begins[:-step]) & follows[:-step]
        if not same.any():
            return
        yield Pairs(numbers[:-step][same], numbers[step:][same])
