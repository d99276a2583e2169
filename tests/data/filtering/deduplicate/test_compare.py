"""Similarity against Python's sets, from many files."""

import os
import pathlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from phijax.data.filtering import deduplicate
from phijax.data.filtering.deduplicate.compare import Comparer, jaccard
from phijax.data.filtering.deduplicate.sketches import Stored
from phijax.errors import InputError
from tests.data.filtering.deduplicate import planted

SETS = strategies.sets(strategies.integers(0, 40) | strategies.integers(2**64 - 9, 2**64 - 1))
PLAN = deduplicate.Plan(bands=1, rows=1, ngram=2)


@hypothesis.given(SETS, SETS)
def test_jaccard_is_that_of_sets(first: set[int], second: set[int]) -> None:
    one, other = (np.array(sorted(each), np.uint64) for each in (first, second))
    assert jaccard(one, other) == len(first & second) / max(len(first | second), 1)


def test_documents_of_more_files_than_are_open(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    texts = [' '.join(map(str, rng.integers(0, 6, 40))) for _ in range(300)]
    documents = [(str(number), text) for number, text in enumerate(texts)]
    paths = planted.write(tmp_path, documents, PLAN, shards=150)
    dealt = [texts[each] for number in range(150) for each in range(number, 300, 150)]
    before = len(os.listdir('/dev/fd'))
    comparer = Comparer([Stored(path, PLAN) for path in paths])
    first, second = rng.integers(0, 300, (2, 500)).astype(np.uint32)
    found = comparer.compare(first, second)
    expected = [planted.jaccard(dealt[a], dealt[b], 2) for a, b in zip(first, second, strict=True)]
    assert found.tolist() == expected
    assert len(os.listdir('/dev/fd')) <= before + 128
    comparer.close()
    assert len(os.listdir('/dev/fd')) == before


def test_a_file_that_is_cut_meanwhile(tmp_path: pathlib.Path) -> None:
    [path] = planted.write(tmp_path, [('a', 'x y z'), ('b', 'u v w')], PLAN)
    comparer = Comparer([Stored(path, PLAN)])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match='was cut while it was read'):
        comparer.compare(np.array([0], np.uint32), np.array([1], np.uint32))
    comparer.close()
