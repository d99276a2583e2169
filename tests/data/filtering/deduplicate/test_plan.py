"""The settings: the curve of recall, and what is refused."""

import numpy as np
import pytest

from phijax.data.filtering import deduplicate
from phijax.errors import InputError


def test_recall_is_the_curve_of_bands_and_rows() -> None:
    """Of 200,000 pairs of random signatures, as many share a band as the curve says."""
    plan = deduplicate.Plan(bands=4, rows=3)
    agree = np.random.default_rng(0).random((200_000, 4, 3)) < 0.7
    found = agree.all(axis=2).any(axis=1).mean()
    assert abs(found - plan.recall(0.7)) < 4 * (0.25 / 200_000) ** 0.5


def test_defaults_find_what_they_say() -> None:
    plan = deduplicate.Plan()
    assert round(plan.recall(0.85), 3) == 0.994
    assert plan.recall(0.9) > 0.9998
    assert plan.recall(0.5) < 0.07
    assert plan.num_hashes == 128


def test_choose_takes_the_longest_bands_that_find_enough() -> None:
    assert deduplicate.choose(0.85) == deduplicate.Plan()
    chosen = deduplicate.choose(0.7, recall=0.95, num_hashes=256)
    assert chosen.threshold == 0.7
    assert chosen.recall(0.7) >= 0.95
    longer = chosen.rows + 1
    assert deduplicate.Plan(0.7, bands=256 // longer, rows=longer).recall(0.7) < 0.95


def test_choose_says_how_many_hashes_are_needed() -> None:
    with pytest.raises(InputError, match=r'num_hashes is 8.* from 44 on'):
        deduplicate.choose(0.1, num_hashes=8)
    assert deduplicate.choose(0.1, num_hashes=44).rows == 1
    assert deduplicate.choose(1.0, num_hashes=1).recall(1.0) == 1


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('threshold', 0.0),
        ('threshold', 1.1),
        ('ngram', 0),
        ('bands', 0),
        ('rows', 65),
        ('seed', -1),
    ],
)
def test_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f'{field} is {value}; it must be'):
        deduplicate.Plan(**{field: value})
