"""Which documents belong together: union-find in one array, many pairs at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint32]


class Clusters:
    """A partition of numbers; each part is known by its least one."""

    def __init__(self, count: int) -> None:
        """Each number below `count` is a part."""
        self._parents = np.arange(count, dtype=np.uint32)

    def find(self, numbers: Numbers) -> Numbers:
        """The least number of the part of each number."""
        roots = self._parents[numbers]
        while not np.array_equal(above := self._parents[roots], roots):
            roots = above
        self._parents[numbers] = roots
        return roots

    def unite(self, first: Numbers, second: Numbers) -> None:
        """Makes one part of the parts of each pair."""
        while True:
            first, second = self.find(first), self.find(second)
            apart = first != second
            if not apart.any():
                return
            first, second = first[apart], second[apart]
            # Of several pairs with the same greater root one is united now, the rest later.
            greater = np.maximum(first, second)
            self._parents[greater] = np.minimum(first, second)
            self._flatten(greater)

    def _flatten(self, numbers: Numbers) -> None:
        """Points roots that have just got parents at the new root, however long their chain is."""
        while True:
            above = self._parents[self._parents[numbers]]
            if np.array_equal(above, self._parents[numbers]):
                return
            self._parents[numbers] = above
