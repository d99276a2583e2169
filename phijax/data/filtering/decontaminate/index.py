"""What is known of the items of benchmarks, and what of them a document has."""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from phijax.data.filtering.decontaminate.items import Item, digest
from phijax.data.filtering.decontaminate.matching import Solutions
from phijax.data.filtering.decontaminate.ngrams import Passages, Quote
from phijax.data.filtering.decontaminate.rules import Settings
from phijax.data.filtering.decontaminate.syntax import Function, parse, without_collection

NGRAM, SYNTAX = 'ngram', 'ast'


class Pair(NamedTuple):
    """A function of a document that is like the solution of an item.

    Attributes:
        item: the key of the item.
        function: its name.
        line: its first line, from 1.
        similarity: the match rate.
        source: its text.
    """

    item: str
    function: str
    line: int
    similarity: float
    source: str


@dataclass(frozen=True)
class Finding:
    """What a document has of the items.

    Attributes:
        reason: why it is dropped, `ngram` or else `ast`; '' for one that is kept.
        quote: what it has of questions and answers, if anything.
        pairs: its functions that are like solutions, down to the lowest match rate of the sweep.
        functions: how many it has.
        small: how many of them are too small to be compared by syntax.
        unparsed: why it was not parsed, as `syntax.parse` says, else ''.
    """

    reason: str
    quote: Quote | None
    pairs: tuple[Pair, ...]
    functions: int
    small: int
    unparsed: str

    @property
    def keep(self) -> bool:
        """Whether the document stays."""
        return not self.reason

    @property
    def best(self) -> Pair | None:
        """The pair with the highest match rate, of equal ones the first."""
        return max(self.pairs, key=lambda pair: pair.similarity, default=None)

    def as_row(self) -> dict[str, str | int | float]:
        """What is kept of it beside a document: plain values, the same columns for all."""
        pair = self.best or Pair('', '', 0, 0.0, '')
        quote = self.quote or Quote('', 0, '', ())
        return {
            'reason': self.reason,
            'quoted_item': quote.item,
            'quoted_words': quote.words,
            'quoted_text': quote.text,
            'similar_item': pair.item,
            'similarity': pair.similarity,
            'function': pair.function,
            'line': pair.line,
        }


@dataclass(frozen=True)
class Index:
    """The items of benchmarks, ready to be looked for.

    Attributes:
        items: by key.
        digest: a hash of the items.
    """

    items: Mapping[str, Item]
    digest: str
    settings: Settings
    passages: Passages
    solutions: Solutions

    @classmethod
    def build(
        cls, items: Sequence[Item], settings: Settings, common: Collection[str] = ()
    ) -> Index:
        """The index of items.

        Args:
            common: n-grams that are common speech: `common_grams` of what `count` gives.
        """
        return cls(
            {item.key: item for item in items},
            digest(items),
            settings,
            Passages(items, settings, common),
            Solutions(items, settings),
        )

    def count(self, texts: Sequence[str]) -> dict[str, int]:
        """Of how many documents each n-gram is that have little else of its item: the first pass.

        Counts of shards are added, and `common_grams` of the sum given to `build`.
        """
        return self.passages.count(texts)

    def inspect(self, texts: Sequence[str]) -> list[Finding]:
        """What each document has of the items; nothing that a text may be raises."""
        quotes = self.passages.find(texts)
        with without_collection():
            parsed = [parse(text, self.settings) for text in texts]
        pairs = self._pairs(texts, [functions for functions, _ in parsed])
        return [
            self._finding(quote, found, *each)
            for quote, found, each in zip(quotes, pairs, parsed, strict=True)
        ]

    def _finding(
        self, quote: Quote | None, pairs: list[Pair], functions: list[Function], unparsed: str
    ) -> Finding:
        similar = any(pair.similarity >= self.settings.tau for pair in pairs)
        reason = NGRAM if quote else SYNTAX if similar else ''
        small = sum(bool(function.spelling) for function in functions)
        return Finding(reason, quote, tuple(pairs), len(functions), small, unparsed)

    def _pairs(self, texts: Sequence[str], parsed: Sequence[list[Function]]) -> list[list[Pair]]:
        """The pairs of each document."""
        places = [(text, f) for text, functions in enumerate(parsed) for f in functions]
        pairs: list[list[Pair]] = [[] for _ in texts]
        # Those of one text come in a row.
        for number, item, similarity in self.solutions.compare([f for _, f in places]):
            text, function = places[number]
            source = '\n'.join(_lines(texts[text])[function.first - 1 : function.last])
            pairs[text].append(Pair(item, function.name, function.first, similarity, source))
        return pairs

    def coverage(self) -> dict[str, Any]:
        """What of the items is protected, and what is not: plain values for a report.

        Of each benchmark the number of items, of those of which no words are looked for, and of
        solutions by how they are compared; the n-grams of too many items; the digest of the items.
        """
        table: dict[str, Counter[str]] = defaultdict(Counter)
        columns = {
            'items': list(self.items),
            'no_words': self.passages.unprotected,
            'by_signature': self.solutions.compared,
            'by_spelling': self.solutions.small,
            'unreadable': self.solutions.unreadable,
        }
        for column, keys in columns.items():
            for key in keys:
                table[self.items[key].benchmark][column] += 1
        return {
            'digest': self.digest,
            'benchmarks': {name: {c: row[c] for c in columns} for name, row in table.items()},
            'no_words': self.passages.unprotected,
            'frames': self.passages.frames,
        }


@functools.lru_cache(maxsize=1)
def _lines(text: str) -> list[str]:
    """The lines that Python's parser counts; str.splitlines has more."""
    return re.split('\r\n|\r|\n', text)
