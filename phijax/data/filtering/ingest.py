"""Ingest: from sources to documents in shards, with what is plain to see about each.

What cannot be taught from is dropped here by name: a file that is not text, is larger than any page
that a person wrote, was minified or generated, or is in a Python that no longer runs.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xxhash

from phijax.data import attributes, document
from phijax.data.document import Document, Dropped
from phijax.data.stage import Account, Task
from phijax.data.tokenize.config import source

# Our choice: lines of people end; what a tool packs does not.
MINIFIED_LINE = 500
MINIFIED_MEAN = 200
GENERATED = re.compile(
    r'(?i)\b(?:auto-?generated|generated (?:by|from|with|automatically)|do not (?:edit|modify)|'
    r'machine generated)\b'
)
HEADER_BYTES = 600
PYTHON_2 = re.compile(
    r'(?m)^\s*(?:print\s+["\'\w]|print\s*>>|exec\s+["\'\w]|raise\s+\w+\s*,|'
    r'except\s+[\w.]+\s*,\s*\w+\s*:)'
)
NUMBER = re.compile(r'\d{2,}')
NAME = re.compile(r'(?<=[a-z,;] )([A-Z][a-z]+)')
NAME_BITS = 12.0


def work(task: Task) -> Account:
    """Writes the documents of the shard, `facts` of each, and the list of what was dropped."""
    kept: list[Document] = []
    lost: list[Dropped] = []
    for item in _bounded(task, _found(task)):
        reason = _why_dropped(item, task.settings['ingest'])
        if isinstance(item, Document) and not reason:
            kept.append(item)
        else:
            lost.append(Dropped(reason, item.path))
    document.write_part(kept, task.output('documents'))
    attributes.write(task.output('facts'), facts(kept))
    reasons = [item.reason for item in lost]
    attributes.write(
        task.output('dropped'), {'path': [item.path for item in lost], 'reason': reasons}
    )
    dropped = dict(sorted(Counter(reasons).items()))
    return Account(len(kept) + len(lost), len(kept), dropped, document.num_bytes(kept))


def facts(documents: list[Document]) -> dict[str, Any]:
    """What is plain to see about each document, as columns.

    `normal` is two halves of the hash of the text with its white space folded; `order` a hash of
    the place it came from, so that a choice among equals depends on no shard.
    """
    texts = [item.text for item in documents]
    normal = [xxhash.xxh3_128_intdigest(' '.join(text.split()).encode()) for text in texts]
    return {
        'id': [item.id for item in documents],
        'normal_high': _column(lambda each: each >> 64, normal, np.uint64),
        'normal_low': _column(lambda each: each & (1 << 64) - 1, normal, np.uint64),
        'order': _column(_place, documents, np.uint64),
        'num_bytes': _column(lambda text: len(text.encode()), texts, np.int64),
        'num_lines': _column(lambda text: text.count('\n') + 1, texts, np.int64),
        'comments': _column(comment_ratio, texts, np.float32),
        'memorise': _column(memorise_bits, texts, np.float32),
        'stratum': [stratum(item) for item in documents],
    }


def _column(function: Callable[[Any], Any], rows: list[Any], dtype: Any) -> np.ndarray:
    return np.array(list(map(function, rows)), dtype)


def _place(item: Document) -> int:
    return xxhash.xxh3_64_intdigest(f'{item.source}\0{item.path}'.encode())


def comment_ratio(text: str) -> float:
    """The part of the characters that stands in comments and in strings of three quotes."""
    commented = sum(len(line) for line in re.findall(r'(?m)#.*$', text))
    quoted = sum(map(len, re.findall(r'(?s)"""(.*?)"""', text)))
    return min(1.0, (commented + quoted) / max(len(text), 1))


def memorise_bits(text: str) -> float:
    """An estimate of the bits that a text asks a model to remember: its numbers and names.

    A number of two digits or more counts log2(10) bits a digit, a capitalised word inside a
    sentence `NAME_BITS`, each once. It tells a league table from an explanation, no more.

    Source: our choice; arXiv:2404.14219, sec. 2, names the kind of page (the results of football
    matches) that a small model should not be made to remember, and no measure.
    """
    numbers = {match.group() for match in NUMBER.finditer(text)}
    names = {match.group(1) for match in NAME.finditer(text)}
    return math.log2(10) * sum(map(len, numbers)) + NAME_BITS * len(names)


def stratum(item: Document) -> str:
    """Which part of the pile a document belongs to: its source and the first folder of its path.

    A sample that is spread over these sees a small package as well as a large one.
    """
    folder, slash, _ = item.path.lstrip('/').partition('/')
    return f'{item.source}/{folder}' if slash else item.source


def _found(task: Task) -> Iterator[Document | Dropped]:
    for name, values in sorted(task.settings['sources'].items()):
        texts: Any = source(name, values)  # one that is read in shares: the config has no other
        yield from texts.read(name, task.index, task.step.num_shards)


def _bounded(task: Task, found: Iterator[Document | Dropped]) -> Iterator[Document | Dropped]:
    """What is found until the shard has its share of `max_bytes`."""
    share = task.settings['ingest']['max_bytes'] / task.step.num_shards
    held = 0
    for item in found:
        yield item
        held += len(item.text.encode()) if isinstance(item, Document) else 0
        if 0 < share <= held:
            return


def _why_dropped(item: Document | Dropped, settings: dict[str, Any]) -> str:
    """The reason, or nothing for a document to keep."""
    if isinstance(item, Dropped):
        return item.reason
    if len(item.text.encode()) > settings['max_document_bytes']:
        return 'too_large'
    if len(item.text) < settings['min_characters']:
        return 'too_short'
    return _why_not_code(item.text) if settings['language'] == 'python' else ''


def _why_not_code(text: str) -> str:
    lines = text.splitlines()
    mean = len(text) / max(len(lines), 1)
    if mean > MINIFIED_MEAN or (mean > MINIFIED_MEAN / 4 and max(map(len, lines)) > MINIFIED_LINE):
        return 'minified'
    if GENERATED.search(text[:HEADER_BYTES]):
        return 'generated'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 'python_2' if PYTHON_2.search(text) else 'not_python'
    return ''
