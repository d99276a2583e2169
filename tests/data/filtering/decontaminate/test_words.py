import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.filtering.decontaminate.words import hash_runs, split

TEXTS = st.lists(st.text(st.characters(exclude_categories=[]), max_size=40), max_size=6)


def expected(text: str) -> list[str]:
    """The words of a text, found by another way."""
    folded = text if text.isascii() else unicodedata.normalize('NFKC', text)
    return re.findall(r'[^\W_]+', re.sub(r'[^\x00-\x7f\w]', ' ', folded.lower()).replace('_', ' '))


def found(texts: list[str]) -> list[list[str]]:
    words = split(texts)
    spans = zip(words.bounds[:-1], words.bounds[1:], strict=True)
    return [[words.text(i, i + 1).lower() for i in range(*span)] for span in spans]


@given(TEXTS)
def test_words_are_those_of_a_simple_search(texts: list[str]) -> None:
    readable = [text.encode('utf-8', 'replace').decode() for text in texts]
    assert found(readable) == [expected(text) for text in readable]


@given(TEXTS)
def test_no_text_is_too_strange(texts: list[str]) -> None:
    assert len(split(texts).bounds) == len(texts) + 1


@pytest.mark.parametrize(
    ('first', 'second'),
    [
        ('He said: "Stop!"', 'he  said\nstop'),
        ("Janet's eggs", 'janet\u2019s EGGS'),
        ('has_close_elements', 'has close **elements**'),
        ('\ufb01nd \uff21', 'find a'),
        ('naïve Émile', 'NAÏVE émile'),
        ('a\u00a0b\u2014c\u2026', 'a b c'),
    ],
)
def test_what_does_not_count(first: str, second: str) -> None:
    assert (split([first]).hashes == split([second]).hashes).all()


@given(st.lists(st.text('ab1é', min_size=1, max_size=20), max_size=30))
def test_equal_words_and_no_others_have_equal_hashes(texts: list[str]) -> None:
    words = split([' '.join(texts)])
    hashes: dict[str, int] = {}
    for text, value in zip(texts, words.hashes.tolist(), strict=True):
        assert hashes.setdefault(text, value) == value
    assert len(set(hashes.values())) == len(hashes)


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 6))
def test_equal_runs_and_no_others_have_equal_hashes(values: list[int], count: int) -> None:
    hashes = hash_runs(np.array(values, np.uint64), count).tolist()
    runs = [tuple(values[i : i + count]) for i in range(len(values) - count + 1)]
    assert len(hashes) == len(runs)
    assert len(set(zip(runs, hashes, strict=True))) == len(set(runs)) == len(set(hashes))


def test_a_hash_does_not_depend_on_the_place() -> None:
    words = split(['x' * 100_000 + ' word', 'word'])
    assert words.hashes[1] == words.hashes[2]


def test_numbers_have_no_letters() -> None:
    assert split(['a 1 1a é 漢']).has_letters().tolist() == [True, False, False, True, True]
