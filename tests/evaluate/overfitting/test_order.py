"""The order test: no false alarms without a model's preference, and its power with one."""

import re

import numpy as np
import pytest

from phijax.evaluate.overfitting import order

ITEMS = [f'item {number}' for number in range(40)]


def noise(seed, bonus=0.0):
    """A model that finds every text as likely as chance has it, and likes neighbours in order."""

    def log_likelihoods(texts):
        rng = np.random.default_rng(seed)
        numbers = [[int(n) for n in re.findall(r'\d+', text)] for text in texts]
        sorted_pairs = [np.sum(np.diff(each) == 1) for each in numbers]
        return rng.normal(0, 1, len(texts)) + bonus * np.array(sorted_pairs)

    return log_likelihoods


def test_false_alarms_are_as_many_as_promised():
    found = [
        order.order_test(ITEMS, noise(seed), shards=8, permutations=5, seed=seed).p_value
        for seed in range(1000)
    ]
    assert 0.035 < np.mean(np.array(found) < 0.05) < 0.065
    assert np.abs(np.quantile(found, (0.25, 0.5, 0.75)) - (0.25, 0.5, 0.75)).max() < 0.05


def test_a_model_that_knows_the_order_is_found():
    found = order.order_test(ITEMS, noise(0, 0.5), shards=8, permutations=5)
    assert found.p_value < 0.01
    assert found.preference > 0.5
    assert (found.shards, found.permutations) == (8, 5)


def test_every_shard_has_its_items_in_order_and_shuffled():
    asked = []
    order.order_test(
        ITEMS, lambda texts: (asked.extend(texts), range(len(texts)))[1], shards=4, permutations=3
    )
    assert len(asked) == 4 * 4
    for shard in range(4):
        expected = ITEMS[10 * shard : 10 * shard + 10]
        first, *shuffled = [
            text.split(order.SEPARATOR) for text in asked[4 * shard : 4 * shard + 4]
        ]
        assert first == expected
        assert all(sorted(each) == sorted(expected) and each != expected for each in shuffled)


@pytest.mark.parametrize(('shards', 'permutations'), [(1, 3), (21, 3), (4, 0)])
def test_too_little_to_compare_is_refused(shards, permutations):
    with pytest.raises(ValueError, match='40 items in'):
        order.order_test(ITEMS, len, shards=shards, permutations=permutations)
