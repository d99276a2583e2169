from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.filtering.decontaminate import Item, Settings, common_grams
from phijax.data.filtering.decontaminate import ngrams as module
from phijax.data.filtering.decontaminate.ngrams import Passages, Quote

SETTINGS = Settings(ngram=4, shortest=2, max_items=3)
# Few words, so that runs of them meet.
TEXT = st.lists(st.sampled_from('abcd'), max_size=12).map(' '.join)


def make(questions: list[str], answers: list[str] | None = None) -> list[Item]:
    answers = answers or [''] * len(questions)
    return [Item('b', str(n), *pair) for n, pair in enumerate(zip(questions, answers, strict=True))]


def runs(text: str, size: int) -> list[str]:
    words = text.split()
    return [' '.join(words[i : i + size]) for i in range(len(words) - size + 1)]


def looked_for(item: Item, settings: Settings) -> set[str]:
    """What is looked for of an item, frames among it, by the rule's own words."""
    grams = {gram for text in (item.question, item.answer) for gram in runs(text, settings.ngram)}
    if settings.shortest <= len(item.question.split()) < settings.ngram:
        grams.add(item.question)
    return grams


def searched(items: list[Item], text: str, settings: Settings) -> tuple[int, set[str]]:
    """The longest run and the items that a slow search finds."""
    many = Counter(gram for item in items for gram in looked_for(item, settings))
    frames = {gram for gram, count in many.items() if count > settings.max_items}
    found, longest = set(), 0
    for item in items:
        own = looked_for(item, settings) - frames
        hits = [gram for gram in own if f' {gram} ' in f' {text} ']
        if hits:
            found.add(item.key)
        for passage in (item.question, item.answer):
            for size in range(1, len(text.split()) + 1):
                for run in set(runs(passage, size)) & set(runs(text, size)):
                    if any(f' {gram} ' in f' {run} ' for gram in hits):
                        longest = max(longest, size)
    return longest, found


@given(st.lists(TEXT, max_size=5), st.lists(TEXT, min_size=5, max_size=5), st.lists(TEXT))
def test_a_slow_search_finds_the_same(
    questions: list[str], answers: list[str], texts: list[str]
) -> None:
    items = make(questions, answers[: len(questions)])
    found = Passages(items, SETTINGS).find(texts)
    for text, quote in zip(texts, found, strict=True):
        longest, keys = searched(items, text, SETTINGS)
        assert set(quote.items if quote else ()) == keys
        if quote:
            assert quote.item in keys
            assert len(quote.text.split()) == quote.words <= longest
            assert f' {quote.text} ' in f' {text} '


def test_the_longest_run_is_told_as_it_stands_there() -> None:
    items = make(['the quick brown fox jumps over the lazy dog', 'one two three four five'])
    text = 'He said: "The QUICK, brown fox -- jumps!" One two three four.'
    [found] = Passages(items, SETTINGS).find([text])
    assert found == Quote('b/0', 5, 'The QUICK, brown fox -- jumps', ('b/0', 'b/1'))


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=8))
def test_texts_do_not_depend_on_their_neighbours(questions: list[str], texts: list[str]) -> None:
    passages = Passages(make(questions), SETTINGS)
    assert passages.find(texts) == [passages.find([text])[0] for text in texts]


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    passages = Passages(make(['a b c d e', 'e d c b a']), SETTINGS)
    texts = ['x a b c d y', '', 'e d c b', 'a b c', 'a b c d e'] * 3
    whole = passages.find(texts)
    monkeypatch.setattr(module, '_AT_ONCE', 8)
    assert passages.find(texts) == whole
    assert sum(quote is not None for quote in whole) == 9


@pytest.mark.parametrize(
    ('question', 'answer', 'text', 'is_found'),
    [
        ('a b', '', 'x a b y', True),
        ('a b c', '', 'x a b c y', True),
        ('a b c', '', 'a b x c', False),
        ('a', '', 'a', False),
        ('x y z w', 'a b c', 'a b c', False),
        ('x y z w', 'a b c d', 'a b c d', True),
        ('a b c d', '', 'a b c', False),
        ('1 2 a 4', '', '1 2 a 4', False),
        ('1 2 a b', '', '1 2 a b', True),
    ],
)
def test_what_is_looked_for(question: str, answer: str, text: str, is_found: bool) -> None:
    [found] = Passages(make([question], [answer]), SETTINGS).find([text])
    assert (found is not None) == is_found


def test_an_item_without_a_long_text_is_reported() -> None:
    items = make(['a', 'a b', '1 2 3 4 5', ''], ['', '', '', 'a b c d'])
    assert Passages(items, SETTINGS).unprotected == ['b/0', 'b/2']


def test_no_items() -> None:
    assert Passages([], SETTINGS).find(['a b c d']) == [None]
    assert Passages(make(['a b c d']), SETTINGS).find([]) == []


def test_what_many_items_have_is_their_frame() -> None:
    frame = 'which of the following'
    items = make([f'{frame} {own}' for own in ('is red', 'has wings', 'can swim', 'may end')])
    passages = Passages(items, SETTINGS)
    assert passages.frames == {frame: 4}
    assert passages.find([f'say {frame} it is']) == [None]
    # With words of its own beside it a frame is of the run, though no reason for one.
    [found] = passages.find([f'say {frame} is red'])
    assert found is not None
    assert found.words == 6


def test_common_speech_is_no_leak() -> None:
    idiom, item = 'at the end of', 'she buys two red apples at the end of every day'
    passages = Passages(make([item]), SETTINGS)
    shards = [[f'{idiom} story {n}', item] for n in range(SETTINGS.max_documents + 1)]
    counts: Counter[str] = Counter()
    for texts in shards:
        counts.update(passages.count(texts))
    common = common_grams(counts, SETTINGS)
    assert len(common) == 1
    again = Passages(make([item]), SETTINGS, common)
    assert passages.find([f'{idiom} story', item]).count(None) == 0
    # The whole item, which was there as often, is found as before.
    idle, whole = again.find([f'{idiom} story', item])
    assert idle is None
    assert whole is not None
    assert whole.words == 11


def test_few_documents_make_nothing_common() -> None:
    passages = Passages(make(['she buys two red apples at the end of every day']), SETTINGS)
    counts = passages.count(['at the end of'] * SETTINGS.max_documents)
    assert list(counts.values()) == [SETTINGS.max_documents]
    assert common_grams(counts, SETTINGS) == set()
