"""What was found in many documents: counts by match rate, items that leaked, pairs to be read.

A tally is a plain value, ready for JSON. Those of shards are merged in any order to the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from phijax.data.document import identify
from phijax.data.files import write_json
from phijax.data.filtering.decontaminate.index import Finding, Index, Pair
from phijax.errors import InputError

Tally = dict[str, Any]

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
    quotes = [finding.quote for finding in findings if finding.quote]
    found: Tally = {
        'documents': len(findings),
        'quoting': len(quotes),
        'functions': sum(finding.functions for finding in findings),
        'small': sum(finding.small for finding in findings),
        'dropped': Counter(finding.reason for finding in findings if finding.reason),
        'unparsed': Counter(finding.unparsed for finding in findings if finding.unparsed),
        'quoted': Counter(key for quote in quotes for key in quote.items),
        **_by_rate(findings, index.settings.sweep),
        'best': _highest((pair.item, pair.similarity) for f in findings for pair in f.pairs),
        **_to_read(findings, paths, index),
    }
    return _plain(found, index.settings.examples)


def merge(tallies: Iterable[Tally], index: Index) -> Tally:
    """The tally of all documents that were counted."""
    tallies = [tally([], [], index), *tallies]
    total: Tally = {name: sum(each[name] for each in tallies) for name in _SUMS}
    for name in _COUNTS:
        total[name] = sum((Counter(each[name]) for each in tallies), Counter())
    total['best'] = _highest(pair for each in tallies for pair in each['best'].items())
    total |= {name: [row for each in tallies for row in each[name]] for name in _RANKED}
    return _plain(total, index.settings.examples)


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


def _by_rate(findings: Sequence[Finding], sweep: Sequence[float]) -> dict[str, Counter[str]]:
    names = ('documents_at', 'either_at', 'functions_at')
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for finding in findings:
        rates: dict[tuple[str, int], float] = defaultdict(float)
        for pair in finding.pairs:
            place = (pair.function, pair.line)
            rates[place] = max(rates[place], pair.similarity)
        for tau in sweep:
            functions = sum(rate >= tau for rate in rates.values())
            counts['functions_at'][f'{tau:g}'] += functions
            counts['documents_at'][f'{tau:g}'] += functions > 0
            counts['either_at'][f'{tau:g}'] += functions > 0 or finding.quote is not None
    return counts


def _to_read(
    findings: Sequence[Finding], paths: Sequence[str], index: Index
) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _RANKED}
    for path, finding in zip(paths, findings, strict=True):
        for pair in finding.pairs:
            name = 'above' if pair.similarity >= index.settings.tau else 'below'
            rows[name].append(_beside(pair, path, index))
        if finding.quote:
            quote = finding.quote._asdict()
            quote['items'] = list(quote['items'])
            item = index.items[finding.quote.item]
            rows['quotes'].append(
                {'path': path, **quote, 'question': item.question, 'answer': item.answer}
            )
    return rows


def _beside(pair: Pair, path: str, index: Index) -> dict[str, Any]:
    """A pair with what a person needs to judge it."""
    kind = 'spelling' if pair.item in index.solutions.small else 'signature'
    solution = index.items[pair.item].code
    return {'path': path, **pair._asdict(), 'kind': kind, 'solution': solution}


def _highest(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    best: dict[str, float] = {}
    for key, value in pairs:
        best[key] = max(value, best.get(key, 0.0))
    return best


def _plain(found: Tally, examples: int) -> Tally:
    """A tally without what a shard's order decides, and with no more to read than is asked for."""
    for name in (*_COUNTS, 'best'):
        found[name] = dict(sorted(found[name].items()))
    for name, value in _RANKED.items():
        found[name] = _first(found[name], value, examples)
    return found


def _first(rows: Sequence[dict[str, Any]], value: str, count: int) -> list[dict[str, Any]]:
    """The rows with the highest values, each text once; of equal values a fair sample."""
    ranked: dict[tuple[float, str], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row['path'], row.get('line', 0))):
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
