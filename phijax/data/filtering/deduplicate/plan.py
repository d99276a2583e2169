"""What counts as a near-duplicate, and how hard it is looked for."""

from __future__ import annotations

import dataclasses
import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from phijax.data.settings import check
from phijax.errors import InputError

Similarity = TypeVar('Similarity', float, NDArray[np.float64])


@dataclasses.dataclass(frozen=True)
class Plan:
    """Settings of the search; sketches that were made with other ones than `threshold` do not mix.

    The defaults find a pair with a similarity of 0.85 in 99.4 % of cases, one of 0.9 in 99.99 %.

    Attributes:
        threshold: the least Jaccard similarity of the shingles of two near-duplicates. Our choice:
            above the 0.7 of The Stack (huggingface.co/blog/dedup), which was not verified there.
        ngram: words in a shingle. Source: huggingface.co/blog/dedup, The Stack.
        bands: pairs that agree on all of a band are compared. Our choice, as are `rows`.
        rows: values of a signature in a band.
        seed: of all hashes.

    Raises:
        InputError: a value is outside its range.
    """

    threshold: float = 0.85
    ngram: int = 5
    bands: int = 16
    rows: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        check(0 < self.threshold <= 1, 'threshold', self.threshold, 'above 0 and at most 1')
        check(1 <= self.ngram <= 64, 'ngram', self.ngram, 'from 1 to 64')
        check(1 <= self.bands <= 1024, 'bands', self.bands, 'from 1 to 1024')
        check(1 <= self.rows <= 64, 'rows', self.rows, 'from 1 to 64')
        check(0 <= self.seed < 1 << 63, 'seed', self.seed, 'from 0 to 2**63 - 1')

    @property
    def num_hashes(self) -> int:
        """How many values a signature has."""
        return self.bands * self.rows

    def recall(self, similarity: Similarity) -> Similarity:
        """The probability that a pair of this Jaccard similarity is compared.

        Each value agrees with that probability, and one of the bands has to agree in all its rows.
        """
        return 1 - (1 - similarity**self.rows) ** self.bands


def choose(threshold: float, recall: float = 0.99, num_hashes: int = 128) -> Plan:
    """The plan with the fewest needless comparisons that finds pairs at the threshold often enough.

    That is the one with the longest bands.

    Args:
        recall: the least share of pairs that are just as similar as the threshold.
        num_hashes: the most values of a signature.

    Raises:
        InputError: a value is outside its range, or that many hashes are too few.
    """
    check(0 <= recall < 1, 'recall', recall, 'from 0 and below 1')
    for rows in range(min(num_hashes, 64), 0, -1):
        plan = Plan(threshold, bands=min(num_hashes // rows, 1024), rows=rows)
        if plan.recall(threshold) >= recall:
            return plan
    needed = math.ceil(math.log(1 - recall) / math.log(1 - threshold))
    raise InputError(
        f'num_hashes is {num_hashes}; pairs of similarity {threshold} are found with a probability '
        f'of {recall} from {needed} on.'
    )
