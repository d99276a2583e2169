"""Diversity: how alike the texts of a window are, and which factors made them so.

Each measure has a value for the window, a limit, and a share of the blame for every text. Where a
limit is broken, the combination of a few factors whose texts have the most blame is retired: see
`factors.Retired` for when.
"""

from __future__ import annotations

import collections
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phijax.data import document
from phijax.data.filtering import deduplicate, features
from phijax.data.filtering.deduplicate.compare import jaccard
from phijax.data.filtering.features.ngrams import SURFACE
from phijax.data.settings import check
from phijax.data.synthesis.factors import Cell

OPENING_WORDS = 5
COPIED_WORDS = 8
# Of 5-grams of words. Our choice: a text with every third sentence changed is still the same.
SIMILAR = 0.7
# A combination with fewer texts in a window is not blamed for anything. Our choice.
LEAST_OF_CELL = 5
_DIGITS = 6
_MIX = np.uint64(0x9E3779B97F4A7C15)

Blame = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """What a window of texts must keep to; the numbers are our choice.

    1,000 docstrings of the standard library have a compression of 3.4, a distinct-3 of 0.82, an
    opening of 0.003, 0.009 near-duplicates and a rank of 120.

    Attributes:
        window: consecutive indices that are judged together.
        least: texts that a window must have to be judged.
        factors: whose combination is retired.
        max_compression: bytes of all texts for a byte of their zstd.
        min_distinct_3: the share of runs of three words that are different from one another.
        max_opening: the share of texts that begin with the same five words.
        max_near_duplicates: the share of texts that are nearly one before them.
        min_rank: the effective number of directions of the texts' embeddings.
        max_copied: the share of runs of eight words that stand in the extract that was shown.
    """

    window: int = 1000
    least: int = 200
    factors: tuple[str, ...] = ('form', 'audience')
    max_compression: float = 5.0
    min_distinct_3: float = 0.4
    max_opening: float = 0.01
    max_near_duplicates: float = 0.02
    min_rank: float = 30.0
    max_copied: float = 0.2

    def __post_init__(self) -> None:
        """Checks the values; raises InputError at the first that cannot be used."""
        check(self.window > 0, 'diversity.window', self.window, 'more than 0')
        check(self.least > 0, 'diversity.least', self.least, 'more than 0')
        check(bool(self.factors), 'diversity.factors', self.factors, 'one factor or more')
        for name in ('min_distinct_3', 'max_opening', 'max_near_duplicates', 'max_copied'):
            check(0 <= getattr(self, name) <= 1, f'diversity.{name}', getattr(self, name), '[0, 1]')


class Written(NamedTuple):
    """A text, the extract that its prompt showed if any, and the factors of the prompt."""

    text: str
    extract: str
    factors: Mapping[str, str]


class Measure(NamedTuple):
    """The value of a window, and for each text how much of it is this text's doing."""

    value: float
    blame: Blame


class Breach(NamedTuple):
    """A limit that a window broke, and the combination that is retired for it."""

    measure: str
    value: float
    limit: float
    cell: Cell


class _Words:
    """The words of texts as numbers, one after the other, and where each text begins."""

    def __init__(self, texts: Sequence[str]) -> None:
        numbers: dict[str, int] = {}
        split = [_split(text) for text in texts]
        flat = [numbers.setdefault(word, len(numbers)) for words in split for word in words]
        self.values = np.array(flat, np.uint64)
        self.owner = np.repeat(np.arange(len(texts)), [len(words) for words in split])
        self.openings = [tuple(words[:OPENING_WORDS]) for words in split]

    def runs(self, length: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """A hash of each run of so many words inside a text, and whose it is."""
        count = max(len(self.values) - length + 1, 0)
        hashes = np.zeros(count, np.uint64)
        for place in range(length):
            hashes = (hashes ^ self.values[place : place + count]) * _MIX
            hashes ^= hashes >> np.uint64(29)
        owner = self.owner[:count]
        inside = owner == self.owner[length - 1 : length - 1 + count]
        return hashes[inside], owner[inside]


def measure(written: Sequence[Written]) -> dict[str, Measure]:
    """All measures of texts by name; each depends on the texts and their order alone."""
    texts = [each.text for each in written]
    if not texts:
        return {}
    words = _Words(texts)
    hashes, owner = words.runs(3)
    _, place, count = np.unique(hashes, return_inverse=True, return_counts=True)
    repeated = _mean(count[place] > 1, owner, len(texts))
    joined = '\n'.join(texts)
    size = len(joined.encode('utf-8', 'surrogatepass'))
    return {
        'compression': Measure(_rounded(size / document.compressed_bytes(joined)), repeated),
        'distinct_3': Measure(_rounded(len(count) / max(len(hashes), 1)), repeated),
        'opening': _opening(words.openings),
        'near_duplicates': _near_duplicates(texts),
        'rank': _rank(texts),
        'copied': _copied(written),
    }


def judge(written: Sequence[Written], settings: Settings) -> tuple[dict[str, float], list[Breach]]:
    """The values of a window by name, and the breaches, none where it has too few texts."""
    found = measure(written)
    values = {name: each.value for name, each in found.items()}
    if len(written) < settings.least:
        return values, []
    cells = [_cell(each.factors, settings.factors) for each in written]
    broken = [
        Breach(name, values[name], limit, _worst(found[name].blame, cells))
        for name, limit in limits(settings).items()
        if _is_broken(name, values[name], limit)
    ]
    return values, [each for each in broken if each.cell]


def _cell(factors: Mapping[str, str], names: Sequence[str]) -> Cell:
    return tuple((name, factors[name]) for name in names if name in factors)


def limits(settings: Settings) -> dict[str, float]:
    """The limit of each measure."""
    return {
        'compression': settings.max_compression,
        'distinct_3': settings.min_distinct_3,
        'opening': settings.max_opening,
        'near_duplicates': settings.max_near_duplicates,
        'rank': settings.min_rank,
        'copied': settings.max_copied,
    }


def copied_share(text: str, extract: str) -> float:
    """The share of a text's runs of eight words that stand in an extract too."""
    words = _Words([extract, text])
    hashes, owner = words.runs(COPIED_WORDS)
    own = hashes[owner == 1]
    return float(np.isin(own, hashes[owner == 0]).mean()) if len(own) else 0.0


def _is_broken(name: str, value: float, limit: float) -> bool:
    return value < limit if name in ('distinct_3', 'rank') else value > limit


def _worst(blame: Blame, cells: Sequence[Cell]) -> Cell:
    """The combination with the greatest mean blame; nothing where none has texts enough."""
    by_cell: dict[Cell, list[float]] = collections.defaultdict(list)
    for cell, each in zip(cells, blame.tolist(), strict=True):
        by_cell[cell].append(each)
    means = {
        cell: _rounded(sum(own) / len(own))
        for cell, own in by_cell.items()
        if cell and len(own) >= LEAST_OF_CELL
    }
    return max(sorted(means), key=means.__getitem__, default=())


def _opening(openings: Sequence[tuple[str, ...]]) -> Measure:
    counts = collections.Counter(openings)
    blame = np.array([counts[each] - 1 for each in openings], np.float64) / len(openings)
    # One text alone shares its beginning with nobody.
    most = max(counts.values())
    return Measure(_rounded(most / len(openings)) if most > 1 else 0.0, blame)


def _near_duplicates(texts: Sequence[str]) -> Measure:
    made = deduplicate.sketch(texts, _plan())
    sets = np.split(made.shingles.values, made.shingles.bounds[1:-1])
    is_late, is_alike = np.zeros(len(texts), bool), np.zeros(len(texts))
    compared: set[tuple[int, int]] = set()
    for band in made.bands:
        buckets: dict[int, list[int]] = collections.defaultdict(list)
        for number, hashed in enumerate(band.tolist()):
            first = buckets[hashed][:1]
            buckets[hashed].append(number)
            if not first or (first[0], number) in compared or not len(sets[number]):
                continue
            compared.add((first[0], number))
            if jaccard(sets[first[0]], sets[number]) >= SIMILAR:
                is_late[number] = is_alike[number] = is_alike[first[0]] = True
    return Measure(_rounded(is_late.mean()), is_alike)


@functools.cache
def _plan() -> deduplicate.Plan:
    return deduplicate.choose(SIMILAR, 0.95)


def _rank(texts: Sequence[str]) -> Measure:
    """The exponential of the entropy of the spectrum of the texts' similarities.

    Source: the Vendi score, arXiv:2210.02410, eq. 2, of cosines of hashed n-grams.
    """
    # The counts before the hashed numbers are much the same for all texts.
    vectors = features.make(features.Settings()).embed(texts)[:, len(SURFACE) :].astype(np.float64)
    spectrum = np.linalg.eigvalsh(vectors.T @ vectors / len(texts))
    spectrum = spectrum[spectrum > 1e-12] / spectrum.sum()
    value = float(np.exp(-(spectrum * np.log(spectrum)).sum())) if len(spectrum) else 0.0
    return Measure(_rounded(value), vectors @ vectors.mean(axis=0))


def _copied(written: Sequence[Written]) -> Measure:
    blame = np.array(
        [copied_share(each.text, each.extract) if each.extract else 0.0 for each in written]
    )
    shown = np.array([bool(each.extract) for each in written])
    return Measure(_rounded(blame[shown].mean()) if shown.any() else 0.0, blame)


def _mean(values: NDArray[Any], owner: NDArray[np.int64], count: int) -> Blame:
    sums = np.bincount(owner, values, minlength=count)
    return sums / np.maximum(np.bincount(owner, minlength=count), 1)


def _rounded(value: float) -> float:
    """Without the last bits, in which machines differ."""
    return round(float(value), _DIGITS)


def _split(text: str) -> list[str]:
    return re.findall(r'\w+', text.lower())
