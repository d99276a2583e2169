"""Words in a row that documents share with the questions and answers of benchmarks.

What is looked for, of each question and answer, is its n-grams, and of a question that is shorter
all of it. Two kinds are not: those of which less than half are words with letters (lists of numbers
are alike), and those that are no item's own: the frames of a benchmark, which many items have, and
common speech, which many documents have that have little else of the item. A document with all of
an item never makes it common: what leaks most would be protected least.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phijax.data.filtering.decontaminate.items import Item
from phijax.data.filtering.decontaminate.rules import Settings
from phijax.data.filtering.decontaminate.words import Hashes, Places, Words, hash_runs, split

# Texts are worked on together up to so many characters: what is made of them fits into a cache.
_AT_ONCE = 1 << 18
# Of a document that has less than this of an item, the item is not what it is about.
_PART = 0.5


class Quote(NamedTuple):
    """What a document has of an item.

    Attributes:
        item: the key of the item of which it has the longest run of words.
        words: of that run.
        text: the run, as it stands in the document.
        items: the keys of all items of which it has anything.
    """

    item: str
    words: int
    text: str
    items: tuple[str, ...]


class _Shared(NamedTuple):
    """Runs of words that documents and items share: where they begin there and here, and sizes."""

    there: Places
    here: Places
    sizes: Places
    keys: Hashes

    def at(self, order: NDArray[Any]) -> _Shared:
        """The rows at places, or those where a mask says so."""
        return _Shared(*(column[order] for column in self))


class _Grams(NamedTuple):
    """Runs of words of items: where each begins, of how many words, and its hash."""

    starts: Places
    sizes: Places
    keys: Hashes


class _Table:
    """Runs of words of items by the hash of their first `anchor` words."""

    def __init__(self, words: Words, anchor: int, grams: Sequence[_Grams]) -> None:
        starts, sizes, keys = map(np.concatenate, zip(*grams, strict=True))
        anchors = hash_runs(words.hashes, anchor)[starts]
        order = np.argsort(anchors, kind='stable')
        self._words, self._anchor, self._anchors = words, anchor, anchors[order]
        self._grams = _Grams(starts[order], sizes[order], keys[order])
        bits = min(max(len(keys), 1).bit_length() + 4, 24)
        self._shift = np.uint64(64 - bits)
        self._sieve = np.zeros(1 << bits, bool)
        self._sieve[anchors >> self._shift] = True

    def meet(self, words: Words) -> _Shared:
        """The runs that stand in documents."""
        hashes = hash_runs(words.hashes, self._anchor)
        there = np.flatnonzero(self._sieve[hashes >> self._shift])
        first = np.searchsorted(self._anchors, hashes[there], 'left')
        repeats = np.searchsorted(self._anchors, hashes[there], 'right') - first
        within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        row = np.repeat(first, repeats) + within
        shared = _Shared(np.repeat(there, repeats), *(column[row] for column in self._grams))
        end = words.bounds[_documents(words, shared.there) + 1]
        return self._equal(words, shared.at(shared.there + shared.sizes <= end))

    def _equal(self, words: Words, shared: _Shared) -> _Shared:
        """Those of the same words: equal hashes are not yet equal words."""
        same = np.ones(len(shared.there), bool)
        for offset in range(max(shared.sizes, default=0)):
            step = np.minimum(offset, shared.sizes - 1)
            same &= words.hashes[shared.there + step] == self._words.hashes[shared.here + step]
        return shared.at(same)


class Passages:
    """The questions and answers of items, indexed by their runs of words.

    Attributes:
        frames: how many items have each n-gram that is of too many, by its text.
        unprotected: the keys of the items of which nothing is looked for.
    """

    def __init__(
        self, items: Sequence[Item], settings: Settings, common: Collection[str] = ()
    ) -> None:
        """Indexes the items but for the n-grams in `common`, as `common_grams` names them."""
        self._items = [item.key for item in items]
        self._settings = settings
        # Passage 2 i is the question of item i, passage 2 i + 1 its answer.
        self._words = split([text for item in items for text in (item.question, item.answer)])
        sizes = np.diff(self._words.bounds)
        self._passages = np.repeat(np.arange(len(sizes)), sizes)
        self.frames: dict[str, int] = {}
        grams = self._look_for(np.array([int(key, 16) for key in common], np.uint64))
        self._tables = [_Table(self._words, settings.ngram, grams[:1])]
        if grams[1:]:
            self._tables.append(_Table(self._words, settings.shortest, grams[1:]))
        self.unprotected = self._without(grams)

    def find(self, texts: Sequence[str]) -> list[Quote | None]:
        """What each document has of the items."""
        found: list[Quote | None] = []
        for batch in _batches(texts):
            words = split(batch)
            quotes: list[Quote | None] = [None] * len(batch)
            shared = self._shared(words)
            if len(shared.there):
                self._quote(words, _runs(shared), quotes)
            found += quotes
        return found

    def count(self, texts: Sequence[str]) -> dict[str, int]:
        """Of how many documents each n-gram is that have less than half of its item.

        Counts of shards are added; `common_grams` takes their sum.
        """
        total: Counter[str] = Counter()
        for batch in _batches(texts):
            words = split(batch)
            shared = self._shared(words)
            keys = self._partial(_documents(words, shared.there), shared)
            total.update(f'{key:016x}' for key in keys.tolist())
        return dict(total)

    def _look_for(self, dropped: Hashes) -> list[_Grams]:
        """The n-grams, and then the questions that are shorter, by their number of words."""
        settings = self._settings
        shorter = range(settings.shortest, settings.ngram)
        return [
            self._grams(settings.ngram, self._parts(), dropped),
            *(self._grams(size, self._whole(size), dropped) for size in shorter),
        ]

    def _without(self, grams: Sequence[_Grams]) -> list[str]:
        """The items of which nothing is looked for."""
        starts = np.concatenate([each.starts for each in grams])
        left = np.setdiff1d(np.arange(len(self._items)), self._passages[starts] // 2)
        return [self._items[number] for number in left]

    def _whole(self, size: int) -> Places:
        """Where the questions of so many words begin."""
        bounds = self._words.bounds
        return bounds[:-1:2][np.diff(bounds)[::2] == size]

    def _parts(self) -> Places:
        """Where the n-grams of questions and answers begin."""
        starts = np.arange(len(self._passages))
        return starts[starts + self._settings.ngram <= self._words.bounds[self._passages + 1]]

    def _grams(self, size: int, starts: Places, dropped: Hashes) -> _Grams:
        """What is looked for of the runs of `size` words at these places."""
        letters = np.concatenate([np.zeros(1, np.int64), np.cumsum(self._words.has_letters())])
        starts = starts[2 * (letters[starts + size] - letters[starts]) >= size]
        keys = hash_runs(self._words.hashes, size)[starts]
        order = np.argsort(keys, kind='stable')
        keys, starts = keys[order], starts[order]
        spread = self._spread(keys, starts)
        frame = spread > self._settings.max_items
        for place in np.flatnonzero(_changes(keys) & frame):
            text = self._words.text(starts[place], starts[place] + size)
            self.frames[text] = int(spread[place])
        keep = ~frame & ~np.isin(keys, dropped)
        return _Grams(starts[keep], np.full(int(keep.sum()), size), keys[keep])

    def _spread(self, keys: Hashes, starts: Places) -> Places:
        """How many items have each of the runs, which are in the order of their keys."""
        first = _changes(keys)
        group = np.cumsum(first) - 1
        # The places of a key are in the order of the items.
        new = first | _changes(self._passages[starts] // 2)
        return np.bincount(group[new])[group] if len(keys) else group

    def _shared(self, words: Words) -> _Shared:
        """The runs of words that documents share with the items."""
        pieces = [table.meet(words) for table in self._tables]
        return _Shared(*map(np.concatenate, zip(*pieces, strict=True)))

    def _quote(self, words: Words, runs: _Shared, quotes: list[Quote | None]) -> None:
        """Enters the longest run of each document."""
        document = _documents(words, runs.there)
        item = self._passages[runs.here] // 2
        order = np.lexsort((runs.there, item, -runs.sizes, document))
        every, item_of = np.divmod(np.unique(document * len(self._items) + item), len(self._items))
        for number in order[_changes(document[order])]:
            there, here, size = (int(column[number]) for column in runs[:3])
            low, high = self._widen(words, int(document[number]), there, here, size)
            first, last = np.searchsorted(every, document[number] + np.arange(2))
            items = tuple(self._items[i] for i in item_of[first:last])
            key = self._items[item[number]]
            quotes[document[number]] = Quote(key, high - low, words.text(low, high), items)

    def _widen(
        self, words: Words, document: int, there: int, here: int, size: int
    ) -> tuple[int, int]:
        """From where to where a run goes, with what is not looked for on either side of it."""
        passage = self._passages[here]
        shift = there - here
        low = max(words.bounds[document], self._words.bounds[passage] + shift)
        high = min(words.bounds[document + 1], self._words.bounds[passage + 1] + shift)
        start, end = there, there + size
        while start > low and words.hashes[start - 1] == self._words.hashes[start - 1 - shift]:
            start -= 1
        while end < high and words.hashes[end] == self._words.hashes[end - shift]:
            end += 1
        return start, end

    def _partial(self, document: Places, shared: _Shared) -> Hashes:
        """The keys of the n-grams of items of which a document has less than half."""
        sizes = np.diff(self._words.bounds)
        owner = document * len(sizes) + self._passages[shared.here]
        place = np.unique(owner * len(self._passages) + shared.here)
        owners, counts = np.unique(place // max(len(self._passages), 1), return_counts=True)
        covered = counts + self._settings.ngram - 1
        few = owners[covered < _PART * sizes[owners % max(len(sizes), 1)]]
        partial = np.isin(owner, few)
        order = np.lexsort((shared.keys[partial], document[partial]))
        keys, document = shared.keys[partial][order], document[partial][order]
        return keys[_changes(keys) | _changes(document)]


def common_grams(counts: Mapping[str, int], settings: Settings) -> set[str]:
    """The n-grams that more than `max_documents` documents have without the rest of the item."""
    return {key for key, count in counts.items() if count > settings.max_documents}


def _runs(shared: _Shared) -> _Shared:
    """N-grams that go on one another, as one run each."""
    shared = shared.at(np.lexsort((shared.there, shared.there - shared.here)))
    new = _changes(shared.there - shared.here) | (np.diff(shared.there, prepend=-2) != 1)
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(new)) - 1
    runs = shared.at(first)
    return runs._replace(sizes=shared.there[last] + shared.sizes[last] - runs.there)


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value is another one than that before it; the first one is."""
    new = np.ones(len(values), bool)
    new[1:] = values[1:] != values[:-1]
    return new


def _documents(words: Words, places: Places) -> Places:
    """In which text each word is."""
    return np.searchsorted(words.bounds, places, 'right') - 1


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    cuts = [*np.flatnonzero(_changes(ends // _AT_ONCE)), len(texts)]
    for first, last in itertools.pairwise(cuts):
        yield texts[first:last]
