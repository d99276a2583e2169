"""Candidates: all pairs of small buckets, and a number that grows as the size of giant ones."""

import pathlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from phijax.data.filtering import deduplicate
from phijax.data.filtering.deduplicate import candidates
from phijax.data.filtering.deduplicate.shingles import Sets, bounds
from phijax.data.filtering.deduplicate.sketches import Stored

PLAN = deduplicate.Plan(bands=1, rows=1)


def stored(path: pathlib.Path, hashes: np.ndarray) -> list[Stored]:
    """A sketch of documents with these hashes of their only band."""
    count = len(hashes)
    sets = Sets(np.zeros(0, np.uint64), bounds(np.zeros(count, np.int64)))
    made = deduplicate.Sketch(np.zeros(count, np.int64), sets, hashes[None])
    deduplicate.write_sketch(path, [''] * count, made, PLAN)
    return [Stored(path, PLAN)]


def found(sketches: list[Stored], numbers: np.ndarray, rows: int) -> list[tuple[int, int]]:
    made = candidates.pairs(sketches, 0, numbers.astype(np.uint32), rows)
    return [pair for each in made for pair in zip(*(x.tolist() for x in each), strict=True)]


@hypothesis.given(
    strategies.lists(strategies.integers(0, 5), min_size=1, max_size=10), strategies.integers(1, 12)
)
@hypothesis.example([3] * 10, 10)
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_all_pairs_of_small_buckets(tmp_path: pathlib.Path, keys: list[int], rows: int) -> None:
    """Once each, whatever the number of passes, and not with documents that have no shingles."""
    hashes = np.array(keys, np.uint64) * np.uint64(0x3333333333333333)
    numbers = np.random.default_rng(len(keys)).permutation(len(keys))
    numbers[numbers == len(keys) - 1] = len(keys)
    made = found(stored(tmp_path / 'a', hashes), numbers, rows)
    by_number = {number: keys[at] for at, number in enumerate(numbers) if number < len(keys)}
    expected = [
        (a, b) for a in by_number for b in by_number if a < b and by_number[a] == by_number[b]
    ]
    assert sorted(made) == sorted(expected)


@pytest.mark.parametrize('size', [1000, 10_000])
def test_a_giant_bucket_is_linear(tmp_path: pathlib.Path, size: int) -> None:
    made = found(stored(tmp_path / 'a', np.ones(size, np.uint64)), np.arange(size), size)
    assert len(made) == len(set(made)) < (candidates.WINDOW + 1) * size
    assert {(0, number) for number in range(1, size)} <= set(made)
    assert {(number, number + 1) for number in range(size - 1)} <= set(made)
