"""The true Jaccard similarity of documents, from their shingles on the disk."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phijax.data.filtering.deduplicate.clusters import Numbers
from phijax.data.filtering.deduplicate.shingles import Hashes, Places, bounds
from phijax.data.filtering.deduplicate.sketches import Stored
from phijax.errors import InputError

_HASH_BYTES = 8
# Open at once: well below what a process may have on any system.
_FILES = 128


def jaccard(first: Hashes, second: Hashes) -> float:
    """The similarity of two sorted sets; that of two empty ones is 0."""
    both = np.concatenate([first, second])
    # Two sorted runs: what `stable` is for integers of this size merges them.
    both.sort(kind='stable')
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / max(len(both) - shared, 1)


class Comparer:
    """Compares documents, which are known by their place in the order of the sketches.

    Attributes:
        sizes: how many shingles each document has.
    """

    def __init__(self, stored: Sequence[Stored]) -> None:
        """Reads where the shingles of each document are."""
        self._stored = stored
        self._ends = bounds(np.array([each.num_documents for each in stored], np.int64))
        # At which byte of its file the shingles of each document begin.
        self._starts = np.empty(int(self._ends[-1]), np.int64)
        self.sizes = np.empty(len(self._starts), np.uint32)
        for start, each in zip(self._ends[:-1], stored, strict=True):
            own, ends = slice(start, start + each.num_documents), each.bounds
            self._starts[own] = each.shingles_start + _HASH_BYTES * ends[:-1]
            self.sizes[own] = np.diff(ends)
        self._open: OrderedDict[int, int] = OrderedDict()

    def close(self) -> None:
        """Closes the files."""
        while self._open:
            os.close(self._open.popitem()[1])

    def compare(self, first: Numbers, second: Numbers) -> NDArray[np.float64]:
        """The similarity of each pair; pairs with the same first one follow each other."""
        places = np.stack([first, second])
        self._announce(np.unique(places))
        sketches = np.searchsorted(self._ends, places, side='right') - 1
        columns = [sketches, self._starts[places], self.sizes[places].astype(np.int64)]
        rows = zip(*(column.tolist() for pair in columns for column in pair), strict=True)
        found = np.empty(len(first))
        last, left = (-1, -1), b''
        for number, (sketch, other, start, begin, size, count) in enumerate(rows):
            if last != (sketch, start):
                last, left = (sketch, start), self._read(sketch, start, size)
            right = self._read(other, begin, count)
            same = left == right
            found[number] = 1.0 if same else jaccard(_hashes(left), _hashes(right))
        return found

    def _announce(self, places: Places) -> None:
        """Has the system read these documents ahead, many at once, where it can."""
        if hasattr(os, 'posix_fadvise'):
            sketches = np.searchsorted(self._ends, places, side='right') - 1
            sizes = self.sizes[places].astype(np.int64) * _HASH_BYTES
            columns = (each.tolist() for each in (sketches, self._starts[places], sizes))
            for sketch, start, size in zip(*columns, strict=True):
                os.posix_fadvise(self._file(sketch), start, size, os.POSIX_FADV_WILLNEED)

    def _read(self, sketch: int, start: int, size: int) -> bytes:
        """The shingles of a document as they are on the disk."""
        values = os.pread(self._file(sketch), size * _HASH_BYTES, start)
        if len(values) != size * _HASH_BYTES:
            raise InputError(f'{self._stored[sketch].path} was cut while it was read.')
        return values

    def _file(self, sketch: int) -> int:
        if sketch in self._open:
            self._open.move_to_end(sketch)
        else:
            if len(self._open) >= _FILES:
                os.close(self._open.popitem(last=False)[1])
            self._open[sketch] = os.open(self._stored[sketch].path, os.O_RDONLY)
        return self._open[sketch]


def _hashes(values: bytes) -> Hashes:
    return np.frombuffer(values, '<u8')
