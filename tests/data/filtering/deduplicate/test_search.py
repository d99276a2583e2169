"""The search: no pair is compared without need, whatever is remembered."""

import pathlib

import numpy as np
import pytest

from phijax.data.filtering import deduplicate
from phijax.data.filtering.deduplicate import search
from tests.data.filtering.deduplicate import planted

# Nearly all bands of pairs at 0.7 agree in their one row.
PLAN = deduplicate.Plan(threshold=0.8, bands=16, rows=1)


def compared(path: pathlib.Path, sets: list[np.ndarray]) -> dict[str, int]:
    made = planted.sketch_sets(sets, PLAN)
    deduplicate.write_sketch(path, [f'{number:03}' for number in range(len(sets))], made, PLAN)
    report = deduplicate.join([path], PLAN).report
    assert report['kept'] == len(sets)
    return report['pairs']


def test_pairs_that_differ_are_compared_once(tmp_path: pathlib.Path) -> None:
    sets = planted.pairs(np.random.default_rng(0), 100, 90, 0.7)
    pairs = compared(tmp_path / 'a', sets)
    assert pairs['compared'] == 100
    assert pairs['candidates'] == pairs['rejected'] + 100
    assert abs(pairs['candidates'] - 1600 * planted.exact(90, 0.7)) < 5 * (1600 * 0.21) ** 0.5


def test_more_than_can_be_remembered(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is compared again, with the same answer."""
    monkeypatch.setattr(search, '_REMEMBERED', 50)
    sets = planted.pairs(np.random.default_rng(0), 100, 90, 0.7)
    assert 100 < compared(tmp_path / 'a', sets)['compared'] < 1600


def test_sets_of_too_different_sizes_are_not_compared(tmp_path: pathlib.Path) -> None:
    values = np.sort(np.random.default_rng(1).integers(0, 2**64, 100, np.uint64))
    pairs = compared(tmp_path / 'a', [values, values[:79]])
    assert pairs['compared'] == 0
    assert pairs['rejected'] > 1
