"""Whether a model knows the order in which a test set is published.

Where the order of a set says nothing, as that of independent items, no model that has not seen it
can prefer it. The p-value is therefore that of contamination, whatever the model and the items;
but only a set that was seen in its order, items after each other, is found.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from phijax.evaluate import statistics

SEPARATOR = '\n\n'


class Order(NamedTuple):
    """What came of the test.

    Attributes:
        p_value: that the model prefers the order by chance; of one side.
        preference: mean over shards of the log-likelihood of the published order less that of
            shuffled ones, in nats.
        shards: how many stretches of the set were compared.
        permutations: how often each was shuffled.
    """

    p_value: float
    preference: float
    shards: int
    permutations: int


def order_test(
    items: Sequence[str],
    log_likelihoods: Callable[[list[str]], Sequence[float]],
    *,
    shards: int,
    permutations: int,
    seed: int = 0,
) -> Order:
    """Whether the model prefers the order of the items, stretch by stretch.

    Source: Oren et al. 2023, arXiv:2310.17623, sec. 3.2: the set is cut into contiguous shards,
    the likelihood of each is compared with the mean of shuffled ones, with a t-test over shards.

    Args:
        items: in the order in which they are published.
        log_likelihoods: of texts, in nats.

    Raises:
        ValueError: there are fewer than two shards, or than two items in one, or no permutation.
    """
    if not 2 <= shards <= len(items) // 2 or permutations < 1:
        raise ValueError(
            f'{len(items)} items in {shards} shards, {permutations} permutations: there must be 2 '
            'shards or more, 2 items or more in each, and a permutation'
        )
    rng = np.random.default_rng(seed)
    texts = []
    for shard in np.array_split(np.arange(len(items)), shards):
        orders = [shard, *(rng.permutation(shard) for _ in range(permutations))]
        texts += [SEPARATOR.join(items[i] for i in order) for order in orders]
    found = np.reshape(np.asarray(log_likelihoods(texts), float), (shards, 1 + permutations))
    preferences = found[:, 0] - found[:, 1:].mean(axis=1)
    p_value = statistics.t_test(preferences)
    return Order(p_value, float(preferences.mean()), shards, permutations)
