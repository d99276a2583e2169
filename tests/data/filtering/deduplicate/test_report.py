"""The report: its numbers add up, and JSON has all of them."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from phijax.data.filtering import deduplicate
from phijax.data.filtering.deduplicate import report

PLAN = deduplicate.Plan()


def made_of(ids: np.ndarray, cluster: Sequence[int]) -> dict[str, Any]:
    by_id = np.argsort(np.argsort(ids)).astype(np.uint32)
    return report.make(ids, by_id, np.array(cluster, np.uint32), report.Tally(PLAN))


def test_clusters_by_size_and_the_largest() -> None:
    ids = np.array([b'a', b'b', b'c', b'd', b'e', b'f'])
    made = made_of(ids, [0, 1, 1, 0, 4, 0])
    assert made == json.loads(json.dumps(made))
    assert (made['documents'], made['kept'], made['dropped'], made['clusters']) == (6, 3, 3, 2)
    assert made['sizes'] == {'2': 1, '3': 1}
    assert made['largest'] == [
        {'cluster': 'a', 'size': 3, 'examples': ['a', 'd', 'f']},
        {'cluster': 'b', 'size': 2, 'examples': ['b', 'c']},
    ]
    assert made['recall']['of_pairs'] is None


def test_many_clusters_are_cut_to_the_largest() -> None:
    """Of 300 pairs and one large cluster, the large one comes first, with its least ids."""
    cluster = np.repeat(np.arange(0, 600, 2), 2)
    cluster[100:140] = 100
    ids = np.array([f'{number:04}'.encode() for number in range(600)])
    largest = made_of(ids, cluster)['largest']
    assert len(largest) == 20
    assert largest[0]['size'] == 40
    assert largest[0]['examples'] == ['0100', '0101', '0102', '0103', '0104']
    assert [each['cluster'] for each in largest[1:3]] == ['0000', '0002']


def test_pairs_are_counted() -> None:
    tally = report.Tally(PLAN)
    tally.united, tally.rejected = 5, 2
    tally.add(np.array([0.0, 0.31, 0.849, 0.85, 1.0]))
    tally.add(np.zeros(0))
    made = tally.describe()
    assert made['pairs'] == {
        'candidates': 12, 'united': 5, 'rejected': 2, 'compared': 5, 'confirmed': 2,
    }  # fmt: skip
    assert sum(made['similarity']['pairs']) == 5
    assert made['similarity']['pairs'][0] == made['similarity']['pairs'][6] == 1
    assert made['recall']['at_threshold'] == PLAN.recall(0.85)
    assert made['recall']['of_pairs'] == 2 / (1 / PLAN.recall(0.85) + 1)
