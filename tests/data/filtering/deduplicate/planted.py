"""Documents with similarities that are known, and similarities by the definition."""

import itertools
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from phijax.data.filtering import deduplicate
from phijax.data.filtering.deduplicate import signatures
from phijax.data.filtering.deduplicate.shingles import Sets, bounds

WORD = re.compile(r'[A-Za-z0-9_\x80-\u07ff]+')


def shingles(text: str, ngram: int) -> set[tuple[str, ...]]:
    """The shingles of a text without characters of three or four bytes."""
    words = WORD.findall(text)
    if 0 < len(words) < ngram:
        return {tuple(words)}
    return set(zip(*(words[start:] for start in range(ngram)), strict=False))


def jaccard(first: str, second: str, ngram: int = 5) -> float:
    """The similarity of two texts by the definition."""
    one, other = shingles(first, ngram), shingles(second, ngram)
    return len(one & other) / max(len(one | other), 1)


def pairs(rng: np.random.Generator, count: int, size: int, similarity: float) -> list[np.ndarray]:
    """Sets, each two of which share as much as makes them so similar; others share nothing."""
    shared = round(size * 2 * similarity / (1 + similarity))
    found = []
    for _ in range(count):
        values = rng.integers(0, 2**64, 2 * size - shared, np.uint64)
        found += [np.sort(values[:size]), np.sort(values[size - shared :])]
    return found


def exact(size: int, similarity: float) -> float:
    """The similarity that `pairs` makes, as sets have whole numbers of elements."""
    shared = round(size * 2 * similarity / (1 + similarity))
    return shared / (2 * size - shared)


def as_sets(sets: Sequence[np.ndarray]) -> Sets:
    return Sets(np.concatenate(sets), bounds(np.array([len(each) for each in sets])))


def write(
    directory: pathlib.Path,
    documents: Sequence[tuple[str, str]],
    plan: deduplicate.Plan,
    shards: int = 1,
) -> list[pathlib.Path]:
    """The sketches of documents, which are ids and texts, dealt to so many shards."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(shards):
        own = documents[number::shards]
        made = deduplicate.sketch([text for _, text in own], plan)
        paths.append(directory / f'{number}.sketch')
        deduplicate.write_sketch(paths[-1], [each for each, _ in own], made, plan)
    return paths


def partition(verdicts: deduplicate.Verdicts) -> dict[str, tuple[str, bool, float]]:
    """The cluster of each id, whether it is kept, and how similar it is to what is."""
    shards = [verdicts.shard(number) for number in range(len(verdicts.bounds) - 1)]
    rows = itertools.chain.from_iterable(zip(*each.values(), strict=True) for each in shards)
    return {each: (cluster, keep, similarity) for each, cluster, keep, similarity in rows}


def prose(rng: np.random.Generator, words: int) -> list[str]:
    """Random words, of which hardly any five follow each other twice."""
    return [f'w{number}' for number in rng.integers(0, 10_000, words)]


def sketch_sets(sets: Sequence[np.ndarray], plan: deduplicate.Plan) -> deduplicate.Sketch:
    """The sketch of documents that have these sets of shingles."""
    made = as_sets(sets)
    bands = signatures.fold(signatures.sign(made, plan.num_hashes), plan)
    return deduplicate.Sketch(np.ones(len(sets), np.int64), made, bands)
