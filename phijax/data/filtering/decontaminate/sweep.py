"""What was found in many documents: counts by match rate, items that leaked, pairs to be read.

A tally is a plain value, ready for JSON. Those of shards are merged in any order to the same.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from phijax.data.document import identify
from phijax.data.files import write_json
from phijax.data.filtering.decontaminate.index import Finding, Index, Pair
from phijax.data.filtering.decontaminate.ngrams import Quote
from phijax.errors import InputError

Tally = dict[str, Any]
Key = TypeVar('Key')

_SUMS = ('documents', 'quoting', 'functions', 'small')
_COUNTS = ('dropped', 'unparsed', 'quoted', 'documents_at', 'either_at', 'functions_at')
_RANKED = {'above': 'similarity', 'below': 'similarity', 'quotes': 'words'}


def tally(findings: Sequence[Finding], paths: Sequence[str], index: Index) -> Tally:
    """The tally of a shard of documents, whose paths name them for a reader.

    Its entries:
        documents, functions: how many there are; `small`: functions compared by spelling.
        dropped, unparsed: documents by reason.
        quoting, quoted: documents with words of items; by item, the documents with its words.
        documents_at, functions_at: by match rate, those with it or a higher one; `either_at`: the
            documents that would be dropped, for words too.
        best: by item, the highest match rate of any function.
        above, below: the pairs nearest to 1 from tau on, and the nearest below tau.
        quotes: the longest runs of words.
    """
    ones = [_count(*pair, index) for pair in zip(findings, paths, strict=True)]
    return merge(ones, index)


def merge(tallies: Iterable[Tally], index: Index) -> Tally:
    """The tally of all documents that were counted."""
    total: Tally = dict.fromkeys(_SUMS, 0) | {name: Counter() for name in _COUNTS}
    total |= {'best': {}} | {name: [] for name in _RANKED}
    for each in tallies:
        _add(total, each)
    for name in (*_COUNTS, 'best'):
        total[name] = dict(sorted(total[name].items()))
    for name, value in _RANKED.items():
        total[name] = _first(total[name], value, index.settings.examples)
    return total


def _add(total: Tally, each: Tally) -> None:
    for name in _SUMS:
        total[name] += each[name]
    for name in _COUNTS:
        total[name].update(each[name])
    for name in _RANKED:
        total[name] += each[name]
    for key, rate in each['best'].items():
        total['best'][key] = max(rate, total['best'].get(key, 0.0))


def table(total: Tally, index: Index) -> list[dict[str, Any]]:
    """By match rate what is dropped, and how many problems have a function that is like theirs.

    Rows have `tau`, the `documents` and `functions` that have it, the share of documents, the
    documents that are dropped for it or for words (`either`), and by benchmark how many problems
    are `similar` and how many `other`: the two parts of table 3 of phi-1 (arXiv:2306.11644).
    """
    rows = []
    for tau in sorted(index.settings.sweep, reverse=True):
        name, parts = f'{tau:g}', split(total, index, tau)
        documents = total['documents_at'].get(name, 0)
        rows.append(
            {
                'tau': tau,
                'documents': documents,
                'share': documents / max(total['documents'], 1),
                'functions': total['functions_at'].get(name, 0),
                'either': total['either_at'].get(name, 0),
                'problems': {
                    benchmark: {part: len(parts[part][benchmark]) for part in ('similar', 'other')}
                    for benchmark in parts['other']
                },
            }
        )
    return rows


def split(total: Tally, index: Index, tau: float) -> dict[str, Any]:
    """The ids of items in two, by benchmark: with a function that is like theirs, and the others.

    `quoted` are those, of all benchmarks, with words in a document. Only problems whose solution
    could be read are in `similar` or `other`.

    Raises:
        InputError: if the sweep has no such match rate.
    """
    if tau not in index.settings.sweep:
        raise InputError(f'tau is {tau}; it must be one of the sweep {index.settings.sweep}.')
    keys = [*index.solutions.compared, *index.solutions.small]
    similar = {key for key in keys if total['best'].get(key, 0.0) >= tau}
    return {
        'tau': tau,
        'items': index.digest,
        'similar': _by_benchmark(keys, similar, index),
        'other': _by_benchmark(keys, set(keys) - similar, index),
        'quoted': _by_benchmark(index.items, set(total['quoted']), index),
    }


def write_splits(path: Path, total: Tally, index: Index) -> None:
    """Writes the splits of all match rates, by match rate: an evaluation can be split by one."""
    taus = index.settings.sweep
    write_json(path, {f'{tau:g}': split(total, index, tau) for tau in taus})


def _count(finding: Finding, path: str, index: Index) -> Tally:
    """The tally of one document."""
    return {
        'documents': 1,
        'quoting': int(finding.quote is not None),
        'functions': finding.functions,
        'small': finding.small,
        'dropped': _named(finding.reason),
        'unparsed': _named(finding.unparsed),
        'quoted': dict.fromkeys(finding.quote.items if finding.quote else (), 1),
        **_at_rates(finding, index.settings.sweep),
        'best': _highest((pair.item, pair.similarity) for pair in finding.pairs),
        **_to_read(finding, path, index),
    }


def _to_read(finding: Finding, path: str, index: Index) -> dict[str, list[dict[str, Any]]]:
    pairs = [_beside(pair, path, index) for pair in finding.pairs]
    tau = index.settings.tau
    return {
        'above': [pair for pair in pairs if pair['similarity'] >= tau],
        'below': [pair for pair in pairs if pair['similarity'] < tau],
        'quotes': [_read(finding.quote, path, index)] if finding.quote else [],
    }


def _at_rates(finding: Finding, sweep: Sequence[float]) -> dict[str, dict[str, int]]:
    rates = _highest(((pair.function, pair.line), pair.similarity) for pair in finding.pairs)
    at: dict[str, dict[str, int]] = {'functions_at': {}, 'documents_at': {}, 'either_at': {}}
    for tau in sweep:
        count = sum(rate >= tau for rate in rates.values())
        found = (count, int(count > 0), int(count > 0 or finding.quote is not None))
        for counts, value in zip(at.values(), found, strict=True):
            counts[f'{tau:g}'] = value
    return at


def _highest(pairs: Iterable[tuple[Key, float]]) -> dict[Key, float]:
    best: dict[Key, float] = {}
    for key, value in pairs:
        best[key] = max(value, best.get(key, 0.0))
    return best


def _named(reason: str) -> dict[str, int]:
    return {reason: 1} if reason else {}


def _read(quote: Quote, path: str, index: Index) -> dict[str, Any]:
    """A run of words with what a person needs to judge it."""
    item = index.items[quote.item]
    return {
        'path': path,
        **quote._asdict(),
        'items': list(quote.items),
        'question': item.question,
        'answer': item.answer,
    }


def _beside(pair: Pair, path: str, index: Index) -> dict[str, Any]:
    """A pair with what a person needs to judge it."""
    kind = 'spelling' if pair.item in index.solutions.small else 'signature'
    solution = index.items[pair.item].code
    return {'path': path, **pair._asdict(), 'kind': kind, 'solution': solution}


def _first(rows: Sequence[dict[str, Any]], value: str, count: int) -> list[dict[str, Any]]:
    """The rows with the highest values, each text once; of equal values a fair sample."""
    ranked: dict[tuple[float, str], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: json.dumps(row, sort_keys=True)):
        text = row['source'] if 'source' in row else row['text']
        ranked.setdefault((-row[value], identify(f'{row["item"]}\n{text}')), row)
    return [row for _, row in sorted(ranked.items(), key=lambda pair: pair[0])[:count]]


def _by_benchmark(keys: Iterable[str], chosen: set[str], index: Index) -> dict[str, list[str]]:
    """The ids of the chosen keys by benchmark; every benchmark of the keys has a list."""
    lists: Mapping[str, list[str]] = defaultdict(list)
    for key in keys:
        item = index.items[key]
        ids = lists[item.benchmark]
        if key in chosen:
            ids.append(item.id)
    return {name: sorted(ids) for name, ids in sorted(lists.items())}
