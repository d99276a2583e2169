"""The join: what is planted is found, nothing else, in any order and any number of shards."""

import itertools
import json
import pathlib
import random
import re
import tracemalloc

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from phijax.data.filtering import deduplicate
from phijax.errors import InputError
from tests.data.filtering.deduplicate import planted

PLAN = deduplicate.Plan()
ANY_ORDER = hypothesis.settings(
    max_examples=10, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)


def changed(rng: np.random.Generator, words: list[str], changes: int) -> list[str]:
    """The words with so many of them changed."""
    made = list(words)
    for place in rng.integers(0, len(made), changes):
        made[place] = f'x{rng.integers(10**6)}'
    return made


@pytest.mark.parametrize('plan', [deduplicate.Plan(0.5), deduplicate.Plan(0.5, bands=20, rows=5)])
def test_recall_is_the_curve_and_precision_is_one(
    tmp_path: pathlib.Path, plan: deduplicate.Plan
) -> None:
    """Of pairs that are planted at each similarity, as many are found as the curve says."""
    rng = np.random.default_rng(0)
    similarities, count = (0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95), 300
    sets = [s for each in similarities for s in planted.pairs(rng, count, 200, each)]
    made = planted.sketch_sets(sets, plan)
    deduplicate.write_sketch(tmp_path / 'a', [f'{i:05}' for i in range(len(sets))], made, plan)
    verdicts = deduplicate.join([tmp_path / 'a'], plan)
    pair = np.arange(len(sets)) // 2
    assert np.array_equal(pair[verdicts.cluster], pair)
    found = (~verdicts.keep).reshape(len(similarities), count, 2).sum(axis=(1, 2))
    for similarity, number in zip(similarities, found, strict=True):
        true = planted.exact(200, similarity)
        expected = plan.recall(true) if true >= plan.threshold else 0
        assert abs(number / count - expected) <= 4 * (expected * (1 - expected) / count) ** 0.5
    true = [planted.exact(200, each) for each in similarities]
    share = found.sum() / (count * sum(each >= plan.threshold for each in true))
    assert abs(verdicts.report['recall']['of_pairs'] - share) < 0.04


def corpus() -> list[tuple[str, str]]:
    """Clusters by chains of changes, loners, copies, texts of few words and of none."""
    rng = np.random.default_rng(1)
    texts = ['', ' ', 'a b', 'a-b', 'a c']
    for size in (1, 1, 1, 2, 2, 3, 4, 6):
        words = planted.prose(rng, 300)
        texts.append(' '.join(words))
        for _ in range(size - 1):
            words = changed(rng, words, int(rng.integers(0, 6)))
            texts.append(' '.join(words))
    words = planted.prose(rng, 50)
    texts += [' '.join(words)] * 14
    return [(f'{number:x}', text) for number, text in enumerate(rng.permutation(texts).tolist())]


DOCUMENTS = corpus()


@ANY_ORDER
@hypothesis.given(strategies.randoms(), strategies.integers(1, 7), strategies.integers(1, 60))
def test_order_shards_and_passes_change_nothing(
    tmp_path: pathlib.Path, order: random.Random, shards: int, rows: int
) -> None:
    documents = list(DOCUMENTS)
    order.shuffle(documents)
    scores = {each: float(int(each, 16) % 3) for each, _ in documents}
    paths = planted.write(tmp_path, documents, PLAN, shards)
    dealt = [scores[each] for number in range(shards) for each, _ in documents[number::shards]]
    verdicts = deduplicate.join(paths, PLAN, np.array(dealt), rows_at_once=rows)
    expected = planted.write(tmp_path, DOCUMENTS, PLAN)
    scores = np.array([scores[each] for each, _ in DOCUMENTS])
    assert planted.partition(verdicts) == planted.partition(
        deduplicate.join(expected, PLAN, scores)
    )


def test_clusters_are_those_of_all_similarities(tmp_path: pathlib.Path) -> None:
    """The parts of the graph of all pairs by the definition, and the best of each is kept."""
    texts = dict(DOCUMENTS)
    least = {each: each for each in texts}
    for first, second in itertools.combinations(texts, 2):
        if planted.jaccard(texts[first], texts[second]) >= PLAN.threshold:
            low, high = sorted((least[first], least[second]))
            least = {each: low if now == high else now for each, now in least.items()}
    found = planted.partition(deduplicate.join(planted.write(tmp_path, DOCUMENTS, PLAN), PLAN))
    assert {each: cluster for each, (cluster, _, _) in found.items()} == least
    for each, (cluster, keep, similarity) in found.items():
        members = [other for other in texts if least[other] == cluster]
        best = min(members, key=lambda other: (-len(texts[other]), other))
        assert keep == (each == best)
        true = 1 if keep else planted.jaccard(texts[each], texts[best])
        assert similarity == np.float32(true)


@pytest.mark.parametrize(
    ('priorities', 'kept'),
    [(None, 'b'), ([2, 1, 1, 1], 'd'), ([0, 0, 1, 1], 'b'), ([1, 1, 0, 0], 'a')],
)
def test_which_one_is_kept(
    tmp_path: pathlib.Path, priorities: list[float] | None, kept: str
) -> None:
    """The highest priority, then the longest text, then the least id."""
    documents = [('d', 'a b c d e'), ('a', 'a-b c d e'), ('c', 'a b c d  e'), ('b', 'a b  c d e')]
    scores = None if priorities is None else np.array(priorities, np.float32)
    verdicts = deduplicate.join(planted.write(tmp_path, documents, PLAN), PLAN, scores)
    found = planted.partition(verdicts)
    assert [each for each, (_, keep, _) in found.items() if keep] == [kept]
    assert {cluster for cluster, _, _ in found.values()} == {'a'}


def test_texts_without_words_are_no_duplicates(tmp_path: pathlib.Path) -> None:
    documents = [('a', ''), ('b', ''), ('c', '---'), ('d', 'x'), ('e', 'x')]
    found = planted.partition(deduplicate.join(planted.write(tmp_path, documents, PLAN), PLAN))
    assert [each for each, (_, keep, _) in found.items() if keep] == ['a', 'b', 'c', 'd']


def test_documents_with_one_id_are_copies_like_others(tmp_path: pathlib.Path) -> None:
    documents = [('a', 'x y z'), ('b', 'u'), ('a', 'x y z')]
    verdicts = deduplicate.join(planted.write(tmp_path, documents, PLAN, shards=3), PLAN)
    assert verdicts.keep.tolist() == [True, True, False]
    assert verdicts.shard(2) == {'id': ['a'], 'cluster': ['a'], 'keep': [False], 'jaccard': [1.0]}


def test_ten_thousand_copies_are_compared_once_each(tmp_path: pathlib.Path) -> None:
    """And need no more room than as many documents that differ."""
    documents = [(f'{number:05}', 'a b c d e f g h') for number in range(10_000)]
    paths = planted.write(tmp_path, documents, PLAN, shards=3)
    before = sum(path.stat().st_size for path in tmp_path.iterdir())
    tracemalloc.start()
    verdicts = deduplicate.join(paths, PLAN)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert verdicts.report['pairs']['compared'] == 9_999
    assert verdicts.report['kept'] == 1
    assert verdicts.report['largest'][0]['size'] == 10_000
    assert peak < 64 << 20
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == before


def test_near_copies_of_real_files_are_found(tmp_path: pathlib.Path) -> None:
    """Modules of the standard library beside copies with a licence, renamed things, cut lines."""
    files = sorted(pathlib.Path(json.__file__).parents[1].glob('[a-d]*.py'))
    files = [path for path in files if 6_000 < path.stat().st_size < 60_000][:30]
    assert len(files) >= 20
    edits = {
        'licence': lambda text: '# Copyright 2024 Someone. All rights reserved.\n' * 2 + text,
        'layout': lambda text: text.replace('    ', '\t').replace(', ', ','),
        'renamed': lambda text: re.sub(r'\bmaxsize\b|\bkwargs\b', 'renamed', text),
        'cut': lambda text: '\n'.join(text.split('\n')[:-8]),
    }
    documents = []
    for path in files:
        text = path.read_text()
        documents.append((path.stem, text))
        documents += [(f'{path.stem}.{name}', edit(text)) for name, edit in edits.items()]
    texts = dict(documents)
    verdicts = deduplicate.join(planted.write(tmp_path, documents, PLAN, shards=4), PLAN)
    found = planted.partition(verdicts)
    for each, (cluster, _, _) in found.items():
        stem = each.split('.')[0]
        near = planted.jaccard(texts[each], texts[stem]) >= PLAN.threshold
        assert (cluster == found[stem][0]) >= near
        assert cluster.split('.')[0] == stem
    assert verdicts.report['clusters'] == len(files)
    assert verdicts.report['kept'] <= len(files) + 5


@pytest.mark.parametrize(
    ('priorities', 'message'),
    [([1.0], 'There are 1 priorities'), ([1.0, float('nan')], '1 of them no numbers')],
)
def test_priorities_that_are_none(
    tmp_path: pathlib.Path, priorities: list[float], message: str
) -> None:
    paths = planted.write(tmp_path, [('a', 'x'), ('b', 'y')], PLAN)
    with pytest.raises(InputError, match=message):
        deduplicate.join(paths, PLAN, np.array(priorities))


def test_no_documents(tmp_path: pathlib.Path) -> None:
    for paths in ([], planted.write(tmp_path, [], PLAN)):
        verdicts = deduplicate.join(paths, PLAN)
        assert len(verdicts.ids) == verdicts.report['documents'] == verdicts.report['kept'] == 0
