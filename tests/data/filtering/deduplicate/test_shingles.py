"""Shingles against the definition: sets of word n-grams."""

import hashlib
import pathlib
import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from phijax.data.filtering.deduplicate.compare import jaccard
from phijax.data.filtering.deduplicate.shingles import Sets, shingle
from tests.data.filtering.deduplicate import planted

TEXTS = strategies.lists(
    strategies.text(alphabet=' \n.aAbB_9é\u07ff', max_size=40), min_size=1, max_size=8
)


def made(texts: list[str], ngram: int = 5, seed: int = 0) -> list[np.ndarray]:
    sets = shingle([text.encode() for text in texts], ngram, seed)
    return np.split(sets.values, sets.bounds[1:-1])


@hypothesis.given(TEXTS, strategies.integers(1, 4))
def test_sets_are_those_of_the_definition(texts: list[str], ngram: int) -> None:
    """As many shingles, and as many shared ones, for every two texts."""
    sets = made(texts, ngram)
    for text, own in zip(texts, sets, strict=True):
        assert (np.diff(own.astype(object)) > 0).all()
        assert len(own) == len(planted.shingles(text, ngram))
        for other, theirs in zip(texts, sets, strict=True):
            assert jaccard(own, theirs) == planted.jaccard(text, other, ngram)


@hypothesis.given(TEXTS)
def test_a_text_does_not_know_its_neighbours(texts: list[str]) -> None:
    for text, own in zip(texts, made(texts), strict=True):
        assert np.array_equal(own, made([text])[0])


def test_real_files_have_the_sets_of_the_definition() -> None:
    files = sorted(pathlib.Path(re.__file__).parents[1].glob('*.py'))[:60]
    texts = [path.read_text().encode('latin-1', 'replace').decode('latin-1') for path in files]
    for text, own in zip(texts, made(texts), strict=True):
        assert len(own) == len(planted.shingles(text, 5))


def test_layout_and_punctuation_do_not_count_but_case_does() -> None:
    one, laid_out, other_case = made(
        ['def f(a, b): return a + b', 'def f ( a,b ):\n\treturn a-b\n', 'def F(a, b): return a + b']
    )
    assert np.array_equal(one, laid_out)
    assert jaccard(one, other_case) < 1


def test_texts_with_less_words_than_a_shingle() -> None:
    empty, blank, one, same, other = made(['', ' .\n', 'a b', 'a+b', 'b a'])
    assert len(empty) == len(blank) == 0
    assert len(one) == 1
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_characters_of_three_bytes_are_words_of_their_own() -> None:
    """A sentence without spaces has shingles; one with another last character shares most."""
    one, other = made(['漢字仮名交文章例', '漢字仮名交文章列'])
    assert len(one) == len(other) == 4
    assert jaccard(one, other) == 3 / 5


@pytest.mark.parametrize('size', [1, 7, 8, 9, 16, 17, 255, 256, 257, 1000])
def test_each_byte_of_a_word_counts(size: int) -> None:
    word = hashlib.shake_256(b'').hexdigest(size)[:size]
    changed = [word[:at] + '_' + word[at + 1 :] for at in {0, size // 2, size - 1}]
    found = made([word, *changed, word + '_', f' {word}!'], 1)
    assert len({own.tobytes() for own in found}) == len(changed) + 2
    assert np.array_equal(found[0], found[-1])


def test_seed_and_length_change_all_shingles() -> None:
    text = [' '.join(map(str, range(100)))]
    values = [set(made(text, ngram, seed)[0]) for ngram, seed in ((5, 0), (5, 1), (6, 0))]
    assert len(set.union(*values)) == sum(map(len, values))


def test_hashes_do_not_collide_and_are_uniform() -> None:
    """Half a million short words are as many hashes; each bit is set in half of them."""
    [own] = made([' '.join(f'x{number:x}' for number in range(500_000))], 1)
    assert len(own) == 500_000
    bits = np.unpackbits(own.view(np.uint8)).reshape(-1, 64).mean(axis=0)
    assert (abs(bits - 0.5) < 5 * 0.5 / 500_000**0.5).all()


def test_no_texts() -> None:
    sets = shingle([], 5, 0)
    assert isinstance(sets, Sets)
    assert sets.bounds.tolist() == [0]
