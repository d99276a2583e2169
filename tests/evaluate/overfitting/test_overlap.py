"""Planted n-grams are found exactly where they are, against a search by hand, in bounded memory."""

import json
import tracemalloc

import numpy as np
import pytest

from phijax.data import tokenize
from phijax.data import tokenizer as tokenizers
from phijax.errors import InputError
from phijax.evaluate.overfitting import overlap


def by_hand(items, shards, ngram):
    """The longest common stretch and the covered tokens, by trying every place."""
    grams = {tuple(s[i : i + ngram]) for s in shards for i in range(len(s) - ngram + 1)}
    found = []
    for item in items:
        covered, longest = set(), 0
        for i in range(len(item) - ngram + 1):
            if tuple(item[i : i + ngram]) in grams:
                covered |= set(range(i, i + ngram))
            for shard in shards:
                for j in range(len(shard)):
                    size = 0
                    while (
                        item[i + size : i + size + 1]
                        and item[i + size : i + size + 1] == shard[j + size : j + size + 1]
                    ):
                        size += 1
                    longest = max(longest, size)
        found.append(overlap.Match(longest if longest >= ngram else 0, len(covered), len(item)))
    return found


@pytest.mark.parametrize('stretch', [7, 16, 1 << 18])
@pytest.mark.parametrize('pairs', [3, 1 << 20])
def test_matches_are_those_found_by_hand(stretch, pairs, monkeypatch):
    monkeypatch.setattr(overlap, '_STRETCH', stretch)
    monkeypatch.setattr(overlap, '_PAIRS', pairs)
    rng = np.random.default_rng(0)
    shards = [rng.integers(0, 3, 150).astype('<u2') for _ in range(3)]
    items = [rng.integers(0, 3, length).tolist() for length in (30, 12, 4, 3, 0, 25)]
    index = overlap.Index(items, 4)
    for shard in shards:
        index.read(shard)
    found = index.matches()
    assert found == by_hand(items, [shard.tolist() for shard in shards], 4)
    assert max(match.longest for match in found) > 7


def test_planted_runs_are_found_whole_and_nothing_else():
    rng = np.random.default_rng(1)
    corpus = rng.integers(0, 50_000, 400_000).astype('<u2')
    items = rng.integers(0, 50_000, (20, 60)).tolist()
    starts = {3: (overlap._STRETCH - 20, 10, 45), 7: (1000, 0, 60), 11: (399_991, 51, 9)}
    for item, (place, begin, size) in starts.items():
        corpus[place : place + size] = items[item][begin : begin + size]
    corpus[5000:5007] = items[15][:7]  # too short
    index = overlap.Index(items)
    index.read(corpus)
    expected = {item: size for item, (_, _, size) in starts.items()}
    for number, match in enumerate(index.matches()):
        size = expected.get(number, 0)
        assert match == (size, size, 60)
    assert index.matches()[3].score == 0.75


def test_a_match_does_not_go_on_in_another_shard():
    item = list(range(100, 140))
    index = overlap.Index([item])
    index.read(np.array(item[:20]))
    index.read(np.array(item[20:]))
    assert index.matches() == [(20, 40, 40)]


def test_equal_hashes_are_not_taken_for_equal_tokens(monkeypatch):
    monkeypatch.setattr(overlap, '_hash', lambda t, n: np.zeros(max(len(t) - n + 1, 0), np.uint64))
    index = overlap.Index([[1, 2, 3, 4]], 3)
    index.read(np.array([9, 2, 3, 4, 9, 9, 9]))
    assert index.matches() == [(3, 3, 4)]


def test_memory_does_not_grow_with_the_corpus(monkeypatch):
    monkeypatch.setattr(overlap, '_PAIRS', 1 << 16)
    monkeypatch.setattr(overlap, '_STRETCH', 1 << 12)
    peaks = []
    for size in (1 << 13, 1 << 16):
        index = overlap.Index([[7] * 12 for _ in range(20)])  # each place matches 100 times
        corpus = np.full(size, 7, '<u2')
        tracemalloc.start()
        index.read(corpus)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert index.matches() == [(12, 12, 12)] * 20
    assert peaks[1] < 1.1 * peaks[0] < 20 << 20


def test_items_in_the_training_shards_of_a_directory(tmp_path):
    inside = 'def add(first, second):\n    return first + second  # the sum of two numbers\n'
    outside = 'class Heap:\n    """A priority queue whose least item comes first."""\n'
    filler = [{'text': f'Some words, number {n}: {n * 37 % 101}, and no more.'} for n in range(60)]
    lines = [*filler, {'text': f'# copied\n{inside}# end\n'}]
    (tmp_path / 'words.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    source = {'kind': 'files', 'paths': [str(tmp_path / 'words.jsonl')]}
    fields = {'sources': {'words': source}, 'vocab_size': 400, 'heldout_fraction': 0.0}
    tokenize.run(tokenize.from_dict(fields), tmp_path / 'tokens')
    tokenizer = tokenizers.load(tmp_path / 'tokens' / 'tokenizer')
    items = [tokenizer.encode(text) for text in (inside, outside)]
    found = overlap.matches(items, tmp_path / 'tokens')
    assert found[0].score > 0.9
    assert found[1] == (0, 0, len(items[1]))
    shard = next((tmp_path / 'tokens' / 'words').glob('train-*.tokens'))
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(InputError, match='the manifest says'):
        overlap.matches(items, tmp_path / 'tokens')


def test_a_single_token_is_no_ngram():
    with pytest.raises(InputError, match='at least 2, got 1'):
        overlap.Index([[1, 2]], 1)
