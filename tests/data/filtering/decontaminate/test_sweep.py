import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.files import read_json
from phijax.data.filtering.decontaminate import Finding, Index, Item, Pair, Quote, Settings, sweep
from phijax.errors import InputError
from tests.data.filtering.decontaminate import planted

RATES = (0.95, 0.9, 0.85, 0.8)
CODE = 'def {0}(a, b):\n    for c in a:\n        if c > b:\n            return c * {0}(b, c)\n'
ITEMS = [Item('code', str(n), f'question number {n}', code=CODE.format(f'f{n}')) for n in range(4)]
SMALL = Index.build(ITEMS, Settings(benchmarks=(), examples=3, min_nodes=5))

PAIRS = st.builds(
    Pair,
    item=st.sampled_from([item.key for item in ITEMS]),
    function=st.sampled_from('fgh'),
    line=st.integers(1, 3),
    similarity=st.one_of(st.sampled_from((*RATES, 1.0)), st.floats(0.8, 1.0)),
    source=st.sampled_from(['def f(): pass', 'def g(): pass', 'def h(): return 1']),
)
QUOTES = st.builds(
    Quote,
    item=st.sampled_from([item.key for item in ITEMS]),
    words=st.integers(13, 40),
    text=st.sampled_from(['a', 'b', 'c']),
    items=st.lists(
        st.sampled_from([item.key for item in ITEMS]), min_size=1, max_size=2, unique=True
    )
    .map(sorted)
    .map(tuple),
)
FINDINGS = st.builds(
    Finding,
    reason=st.sampled_from(['', 'ngram', 'ast']),
    quote=st.none() | QUOTES,
    pairs=st.lists(PAIRS, max_size=4).map(tuple),
    functions=st.integers(0, 9),
    small=st.integers(0, 3),
    unparsed=st.sampled_from(['', 'not_python', 'too_deep']),
)
DOCUMENTS = st.lists(st.tuples(FINDINGS, st.sampled_from(['a.py', 'b.py', 'c.py'])), max_size=8)


def count(documents) -> sweep.Tally:
    return sweep.tally([f for f, _ in documents], [path for _, path in documents], SMALL)


@given(DOCUMENTS)
def test_a_lower_rate_drops_as_much_or_more(documents) -> None:
    rows = sweep.table(count(documents), SMALL)
    assert [row['tau'] for row in rows] == list(RATES)
    for higher, lower in itertools.pairwise(rows):
        for column in ('documents', 'functions', 'share', 'either'):
            assert higher[column] <= lower[column]
        assert higher['problems']['code']['similar'] <= lower['problems']['code']['similar']
    for row in rows:
        assert sum(row['problems']['code'].values()) == len(ITEMS)
        assert row['documents'] <= row['either'] <= len(documents)


@given(DOCUMENTS, st.integers(0, 2**32), st.integers(1, 4))
def test_shards_in_any_order_are_the_same(documents, seed: int, shards: int) -> None:
    chance = random.Random(seed)
    whole = count(documents)
    shuffled = chance.sample(documents, len(documents))
    tallies = [count(shuffled[number::shards]) for number in range(shards)]
    tallies = json.loads(json.dumps(tallies))
    assert sweep.merge(tallies, SMALL) == whole
    by_pairs = sweep.merge([], SMALL)
    for tally in chance.sample(tallies, len(tallies)):
        by_pairs = sweep.merge([tally, by_pairs], SMALL)
    assert by_pairs == whole


@given(DOCUMENTS)
def test_counts_are_those_of_a_plain_loop(documents) -> None:
    tally = count(documents)
    for tau in RATES:
        hits = [[p for p in f.pairs if p.similarity >= tau] for f, _ in documents]
        name = f'{tau:g}'
        assert tally['documents_at'].get(name, 0) == sum(bool(pairs) for pairs in hits)
        functions = sum(len({(p.function, p.line) for p in pairs}) for pairs in hits)
        assert tally['functions_at'].get(name, 0) == functions
        parts = sweep.split(tally, SMALL, tau)
        similar = sorted({pair.item.removeprefix('code/') for pairs in hits for pair in pairs})
        assert parts['similar']['code'] == similar
        assert sorted([*parts['other']['code'], *similar]) == ['0', '1', '2', '3']


@given(DOCUMENTS)
def test_what_is_to_be_read_is_nearest_to_tau_on_both_sides(documents) -> None:
    tally = count(documents)
    rates = {(p.item, p.source, p.similarity) for f, _ in documents for p in f.pairs}
    for name, side in (('above', True), ('below', False)):
        wanted = sorted((r for _, _, r in rates if (r >= 0.95) == side), reverse=True)
        assert [row['similarity'] for row in tally[name]] == wanted[: SMALL.settings.examples]
        assert all(row['solution'] for row in tally[name])
    assert len(tally['quotes']) <= SMALL.settings.examples


def test_nothing_was_counted() -> None:
    total = sweep.merge([], SMALL)
    assert total['documents'] == 0
    assert [row['share'] for row in sweep.table(total, SMALL)] == [0, 0, 0, 0]


def test_a_rate_that_was_not_swept() -> None:
    with pytest.raises(InputError, match=r'tau is 0\.93'):
        sweep.split(sweep.merge([], SMALL), SMALL, 0.93)


def test_splits_of_real_problems(tmp_path, index: Index, humaneval: list[Item]) -> None:
    renamed = [planted.without_docstrings(item) for item in humaneval[:40]]
    texts = [*renamed, humaneval[50].question, *planted.BENIGN]
    tally = sweep.tally(index.inspect(texts), list(map(str, range(len(texts)))), index)
    sweep.write_splits(tmp_path / 'splits.json', tally, index)
    splits = read_json(tmp_path / 'splits.json')
    assert list(splits) == sorted(splits) == ['0.8', '0.85', '0.9', '0.95']
    for parts in splits.values():
        similar, other = (parts[name]['humaneval'] for name in ('similar', 'other'))
        assert {item.id for item in humaneval[:40]} <= set(similar)
        assert sorted(similar + other) == sorted(item.id for item in humaneval)
        assert parts['quoted'] == {'humaneval': ['HumanEval/50'], 'mbpp': [], 'gsm8k': []}
        assert parts['items'] == index.digest
    assert len(splits['0.8']['similar']['humaneval']) >= len(splits['0.95']['similar']['humaneval'])
