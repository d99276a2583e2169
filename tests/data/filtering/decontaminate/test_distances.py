import numpy as np
import pytest

from phijax.data.filtering.decontaminate import distances
from phijax.errors import InputError

PAIRS = [
    {'source': 'aa', 'solution': 'b', 'similarity': 1.0},
    {'source': 'aa', 'solution': 'aa', 'similarity': 0.95},
    {'source': 'bbbb', 'solution': 'b', 'similarity': 0.85},
]


def embed(texts) -> np.ndarray:
    """Of each text how often it has two letters."""
    assert len(set(texts)) == len(texts)
    return np.array([[text.count('a'), text.count('b')] for text in texts], np.float32)


def test_distances_are_those_of_the_pairs() -> None:
    found = distances.distances(PAIRS, embed)
    assert found == pytest.approx([5**0.5, 0, 3])


def test_no_pairs() -> None:
    assert distances.distances([], embed).shape == (0,)
    assert distances.survivors([], np.zeros(0), [0.9], [1.0]) == [
        {'tau': 0.9, 'distance': 1.0, 'pairs': 0, 'both': 0}
    ]


def test_how_many_pairs_are_alike_in_both() -> None:
    rows = distances.survivors(PAIRS, distances.distances(PAIRS, embed), (0.95, 0.8), (0, 2.5, 3))
    assert [(row['pairs'], row['both']) for row in rows] == [
        *((2, 1), (2, 2), (2, 2)),
        *((3, 1), (3, 2), (3, 3)),
    ]


@pytest.mark.parametrize(
    ('rows', 'message'),
    [
        (lambda texts: np.zeros(len(texts)), 'shape'),
        (lambda texts: np.zeros((1, 2)), 'rows are needed'),
        (lambda texts: np.full((len(texts), 2), np.nan), 'not finite'),
    ],
)
def test_embeddings_that_cannot_be(rows, message: str) -> None:
    with pytest.raises(InputError, match=message):
        distances.distances(PAIRS, rows)
