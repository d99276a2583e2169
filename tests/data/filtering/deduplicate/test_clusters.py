"""Union-find against the plainest one, and with long chains."""

import hypothesis
import numpy as np
from hypothesis import strategies

from phijax.data.filtering.deduplicate.clusters import Clusters

COUNT = 30
PAIRS = strategies.lists(
    strategies.tuples(strategies.integers(0, COUNT - 1), strategies.integers(0, COUNT - 1))
)


def columns(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.uint32).reshape(-1, 2).T


@hypothesis.given(strategies.lists(PAIRS, max_size=4))
def test_parts_are_those_of_a_plain_search(batches: list[list[tuple[int, int]]]) -> None:
    clusters, least = Clusters(COUNT), list(range(COUNT))
    for batch in batches:
        clusters.unite(*columns(batch))
        for first, second in batch:
            low, high = sorted((least[first], least[second]))
            least = [low if each == high else each for each in least]
        assert clusters.find(np.arange(COUNT, dtype=np.uint32)).tolist() == least


def test_a_chain_of_a_million_takes_few_steps() -> None:
    numbers = np.arange(1_000_000, dtype=np.uint32)
    for first, second in ((numbers[:-1], numbers[1:]), (numbers[:0:-1], numbers[-2::-1])):
        clusters = Clusters(len(numbers))
        clusters.unite(first, second)
        assert not clusters.find(numbers).any()
