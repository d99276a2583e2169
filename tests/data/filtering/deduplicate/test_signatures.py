"""Signatures: values agree as often as sets are similar, and no more unevenly than coins fall."""

import numpy as np
import pytest

from phijax.data.filtering import deduplicate
from phijax.data.filtering.deduplicate import signatures
from tests.data.filtering.deduplicate import planted

COUNT = 1500


def agreement(size: int, similarity: float, num_hashes: int = 128) -> np.ndarray:
    """The share of values that agree, for each of many pairs."""
    rng = np.random.default_rng(size)
    sets = planted.as_sets(planted.pairs(rng, COUNT, size, similarity))
    signed = signatures.sign(sets, num_hashes)
    return (signed[0::2] == signed[1::2]).mean(axis=1)


@pytest.mark.parametrize('similarity', [0.3, 0.5, 0.85, 0.95])
@pytest.mark.parametrize('size', [3, 10, 40, 130, 700])
def test_unbiased_with_at_most_the_variance_of_coins(size: int, similarity: float) -> None:
    true = planted.exact(size, similarity)
    found = agreement(size, similarity)
    variance = true * (1 - true) / 128
    assert abs(found.mean() - true) <= 4 * (variance / COUNT) ** 0.5
    # The variance of a sample has a standard deviation of about sqrt(2 / COUNT) of itself.
    assert found.var() <= variance * (1 + 5 * (2 / COUNT) ** 0.5)


@pytest.mark.parametrize('size', [1, 2, 20, 200])
def test_pairs_share_a_band_as_often_as_the_curve_says(size: int) -> None:
    """Values of a band agree together as if they were independent."""
    plan = deduplicate.Plan(bands=16, rows=4)
    rng = np.random.default_rng(1)
    for similarity in (0.35, 0.5, 0.65):
        sets = planted.as_sets(planted.pairs(rng, COUNT, size, similarity))
        bands = signatures.fold(signatures.sign(sets, plan.num_hashes), plan)
        found = (bands[:, 0::2] == bands[:, 1::2]).any(axis=0).mean()
        expected = plan.recall(planted.exact(size, similarity))
        assert abs(found - expected) <= 4 * (max(expected * (1 - expected), 1e-9) / COUNT) ** 0.5


def test_no_place_is_empty_and_equal_sets_agree() -> None:
    rng = np.random.default_rng(2)
    sets = [np.sort(rng.integers(0, 2**64, size, np.uint64)) for size in (1, 2, 9, 100, 5000)]
    signed = signatures.sign(planted.as_sets([*sets, *sets]), 96)
    assert (signed != np.uint64(2**64 - 1)).all()
    assert np.array_equal(signed[:5], signed[5:])


@pytest.mark.parametrize('num_hashes', [1, 7, 112, 128])
def test_a_set_does_not_know_its_neighbours(num_hashes: int) -> None:
    rng = np.random.default_rng(3)
    sets = [np.sort(rng.integers(0, 2**64, size, np.uint64)) for size in (300, 0, 4, 60, 0)]
    signed = signatures.sign(planted.as_sets(sets), num_hashes)
    for own, row in zip(sets, signed, strict=True):
        assert np.array_equal(signatures.sign(planted.as_sets([own]), num_hashes)[0], row)


def test_bands_differ_even_where_their_values_do_not() -> None:
    plan = deduplicate.Plan(bands=8, rows=2)
    bands = signatures.fold(np.full((1, 16), 5, np.uint64), plan)
    assert bands.shape == (8, 1)
    assert len(set(bands[:, 0].tolist())) == 8
