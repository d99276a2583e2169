"""From a source to documents in Parquet, and from those a sample for a tokenizer."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from phijax.data import document
from phijax.data.document import Document, Dropped
from phijax.data.files import publish, read_json, write_json
from phijax.data.tokenize.config import Config
from phijax.data.tokenize.shards import split_of
from phijax.data.tokenize.sources import Found

LEDGER = 'ledger.json'
SAMPLE_BLOCK = 4096


class Ledger:
    """Passes documents on and accounts for every one: in = out + dropped by reason.

    A document whose text was seen before in the same source is a duplicate; a text in two sources
    stays in both, and the hash that splits off the held-out set puts it on the same side in both.
    The ids that were seen take about 100 bytes of memory each.
    """

    def __init__(self, max_bytes: int, max_document_bytes: int):
        """Starts an empty account; `max_bytes` of 0 is no bound."""
        self._max_bytes = max_bytes
        self._max_document_bytes = max_document_bytes
        self._seen: set[bytes] = set()
        self.out = 0
        self.bytes = 0
        self.dropped: Counter[str] = Counter()

    def keep(self, found: Found) -> Iterator[Document]:
        """The documents to keep, until there are `max_bytes` of text."""
        for item in found:
            if isinstance(item, Dropped):
                self.dropped[item.reason] += 1
                continue
            size = len(item.text.encode())
            reason = self._why_dropped(item, size)
            if reason:
                self.dropped[reason] += 1
                continue
            self._seen.add(bytes.fromhex(item.id))
            self.out += 1
            self.bytes += size
            yield item
            if 0 < self._max_bytes <= self.bytes:
                return

    def _why_dropped(self, item: Document, size: int) -> str:
        if size > self._max_document_bytes:
            return 'too_large'
        return 'duplicate' if bytes.fromhex(item.id) in self._seen else ''

    def to_dict(self) -> dict[str, Any]:
        """The account as the manifest has it."""
        dropped = dict(sorted(self.dropped.items()))
        return {
            'in': self.out + sum(dropped.values()),
            'out': self.out,
            'dropped': dropped,
            'bytes': self.bytes,
        }


def ingest(name: str, config: Config, directory: Path) -> dict[str, Any]:
    """The account of one source, whose documents are then in `documents/<name>`.

    The directory appears when it is complete; what a killed run left is made again.
    """
    target = directory / 'documents' / name
    account = read_json(target / LEDGER)
    if account is not None:
        return account
    partial = target.with_name(f'{name}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    source = config.sources[name]
    ledger = Ledger(source.max_bytes, config.max_document_bytes)
    document.write(ledger.keep(source.read(name)), partial, config.part_bytes)
    write_json(partial / LEDGER, ledger.to_dict())
    publish(partial, target)
    return ledger.to_dict()


def parts(name: str, directory: Path) -> list[Path]:
    """The Parquet parts of an ingested source, in order."""
    return sorted((directory / 'documents' / name).glob('part-*.parquet'))


def sample(
    paths: Iterable[Path],
    fraction: float,
    heldout_fraction: float,
    text_of: Callable[[Document], str] = lambda each: each.text,
) -> Iterator[str]:
    """Blocks of training documents, evenly spread: `fraction` of all the text that is there."""
    owed = 0.0
    for text in map(text_of, _training(paths, heldout_fraction)):
        for start in range(0, len(text), SAMPLE_BLOCK):
            block = text[start : start + SAMPLE_BLOCK]
            owed += fraction * len(block)
            if owed > 0:
                owed -= len(block)
                yield block


def _training(paths: Iterable[Path], heldout_fraction: float) -> Iterator[Document]:
    for path in paths:
        for group in document.read(path):
            for each in group:
                if split_of(each.id, heldout_fraction) == 'train':
                    yield each
