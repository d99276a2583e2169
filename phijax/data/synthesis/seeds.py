"""Seeds: short extracts of documents, to be shown in prompts so that these differ."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import xxhash

from phijax.data import document
from phijax.data.document import Document, Dropped
from phijax.data.settings import check
from phijax.data.stage import Account, Task
from phijax.data.tokenize.config import source


@dataclass(frozen=True)
class Settings:
    """What is taken of the sources.

    Attributes:
        max_extracts: how many; one of a document.
        max_characters: of an extract. Source: huggingface.co/blog/cosmopedia, 1,000.
        min_characters: of an extract; shorter documents have none. Our choice.
    """

    max_extracts: int = 10_000
    max_characters: int = 1000
    min_characters: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the values; raises InputError at the first that cannot be used."""
        check(self.max_extracts > 0, 'seeds.max_extracts', self.max_extracts, 'more than 0')
        check(
            0 < self.min_characters <= self.max_characters <= 1000,
            'seeds.max_characters',
            self.max_characters,
            f'from min_characters ({self.min_characters}) to 1000',
        )


def work(task: Task) -> Account:
    """Writes the extracts: documents with the id of what they were taken from."""
    settings = Settings(**task.settings['seeds'])
    found = Counted(task.settings['sources'], settings)
    kept = heapq.nsmallest(
        settings.max_extracts, found, key=lambda each: (_place(each.id, settings.seed), each.path)
    )
    document.write_part(kept, task.output('extracts'))
    dropped = found.dropped | {'not_drawn': found.given - sum(found.dropped.values()) - len(kept)}
    return Account(
        found.given,
        len(kept),
        {reason: count for reason, count in sorted(dropped.items()) if count},
        sum(len(each.text.encode()) for each in kept),
    )


class Counted:
    """The extracts of all documents of the sources, and what was dropped by reason."""

    def __init__(self, sources: Mapping[str, Mapping[str, Any]], settings: Settings) -> None:
        """Reads nothing yet."""
        self._sources, self._settings = sources, settings
        self.given = 0
        self.dropped: dict[str, int] = {}

    def __iter__(self) -> Iterator[Document]:
        """The extracts in the order of the sources; the same text twice gives one."""
        seen: set[str] = set()
        for name, values in sorted(self._sources.items()):
            for item in source(name, values).read(name):
                self.given += 1
                made = self._extract(item)
                if isinstance(made, Document) and made.id in seen:
                    made = Dropped('duplicate', made.path)
                if isinstance(made, Dropped):
                    self.dropped[made.reason] = self.dropped.get(made.reason, 0) + 1
                else:
                    seen.add(made.id)
                    yield made

    def _extract(self, item: Document | Dropped) -> Document | Dropped:
        if isinstance(item, Dropped):
            return item
        text = extract(item, self._settings)
        if not text:
            return Dropped('too_short', item.path)
        return Document(item.id, text, item.source, item.path)


def extract(item: Document, settings: Settings) -> str:
    """A passage of whole lines or sentences; '' where the document has none that is long enough.

    Which one is decided by the document's hash, among the beginnings of paragraphs.
    """
    text = re.sub(r'\s*\n\s*\n\s*\n*', '\n\n', item.text.strip())
    starts = [0, *(match.end() for match in re.finditer(r'\n\n', text))]
    starts = [start for start in starts if len(text) - start >= settings.min_characters]
    if not starts:
        return ''
    start = starts[_place(item.id, settings.seed) % len(starts)]
    return _ended(text[start : start + settings.max_characters + 1], settings)


def _ended(passage: str, settings: Settings) -> str:
    """A passage without the line or sentence that does not fit into it whole."""
    if len(passage) <= settings.max_characters:
        return passage.strip()
    ends = (match.end() for match in re.finditer(r'[.!?](?=\s)|\n', passage))
    fits = [end for end in ends if settings.min_characters <= end <= settings.max_characters]
    return passage[: fits[-1] if fits else settings.max_characters].strip()


def _place(name: str, seed: int) -> int:
    return xxhash.xxh3_64_intdigest(name.encode(), seed=seed)
