"""The report of a run: what went in, what came out and why, on one page and as JSON."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from phijax import report
from phijax.data import document, stage
from phijax.data.files import write_json
from phijax.data.filtering import chain, embed, leaks
from phijax.data.filtering.config import Config
from phijax.data.stage import Step
from phijax.report import web

EXCERPT = 1200
PAIRS = 25
CURVE = ('threshold', 'documents', 'bytes', 'graded', 'mean_level', 'valuable', 'low', 'high')
LIMITS = (
    'A grade of the heuristic grader sees form and no meaning; one of a language model is an '
    'opinion of that model. What a filter is worth shows in a model that is trained on what it '
    'kept: experiments/filtering.',
    'The curve is of the graded documents that the forest did not learn from; with few of them its '
    'right end is noise, which the intervals show.',
    'The search for leaks finds shared word sequences and functions of the same shape. A problem '
    'that is told in other words, or solved in another way, passes.',
)


def write(
    config: Config, workdir: Path, done: Mapping[str, Step], tokens: Mapping[str, Any]
) -> str:
    """A few lines for people, after report.json and report.html are written."""
    found = gather(done) | {'tokens': _tokens(tokens), 'environment': report.environment()}
    write_json(workdir / 'report.json', found)
    (workdir / 'report.html').write_text(_page(config, found, done), 'utf-8')
    lines = [
        f'{row["stage"]}: {row["given"]} given, {row["kept"]} kept'
        + ''.join(f', {count} {reason}' for reason, count in row['dropped'].items())
        for row in found['funnel']
    ]
    lines += [f'{name}: {count:,} tokens' for name, count in found['tokens'].items()]
    return '\n'.join([*lines, f'{workdir}/report.html'])


def gather(done: Mapping[str, Step]) -> dict[str, Any]:
    """All that the stages have to tell, as plain values."""
    facts = {name: step.accounts()[0].facts for name, step in done.items()}
    funnel = [
        {
            'stage': name,
            'given': account.given,
            'kept': account.kept,
            'dropped': dict(account.dropped),
            'bytes': account.num_bytes,
        }
        for name, account in chain.ledger(done)
    ]
    return {
        'funnel': funnel,
        'grades': facts.get('annotate', {}),
        'forest': facts.get('forest', {}),
        'selection': facts.get('select', {}),
        'duplicates': facts['near'],
        'leaks': leaks.found(done['decontaminate'], embed.embedder(done['embed']).embed),
        'seconds': {name: round(step.seconds(), 1) for name, step in done.items()},
        'digests': {name: stage.manifest(step)['digest'] for name, step in done.items()},
    }


def _page(config: Config, found: Mapping[str, Any], done: Mapping[str, Step]) -> str:
    parts = [
        web.section('What was kept, and why the rest was not', _funnel(found['funnel'])),
        *(_graded(found, done) if 'select' in done else ()),
        web.section('Near-duplicates', *_duplicates(found['duplicates'])),
        web.section('Benchmark leaks', *_leaks(found['leaks'])),
        web.section('Time', _times(found)),
        web.section('What this does not show', web.listed(LIMITS)),
        web.section('Settings', web.table(_flat(_settings(config)))),
    ]
    return web.page('A filtered pile', parts)


def _graded(found: Mapping[str, Any], done: Mapping[str, Step]) -> Iterable[str]:
    yield web.section('What the grader said', *_grades(found['grades']))
    yield web.section('What the forest learned', *_forest(found['forest']))
    yield web.section('What the score keeps', *_selection(found['selection']))
    yield web.section('Kept and dropped, by tenths of the score', *_examples(found, done))


def _funnel(rows: Sequence[Mapping[str, Any]]) -> str:
    first = max(rows[0]['given'], 1)
    lines = [
        {
            'stage': row['stage'],
            'given': row['given'],
            'kept': row['kept'],
            'MB kept': row['bytes'] / 1e6,
            'dropped': ', '.join(f'{n:,} {reason}' for reason, n in row['dropped'].items()),
            'of all': web.bar(
                ('lost', row['kept'] / first, row['given'] / first),
                ('range', 0, row['kept'] / first),
            ),
        }
        for row in rows
    ]
    return web.table(lines)


def _grades(facts: Mapping[str, Any]) -> Iterable[str]:
    whole = max(sum(facts['levels'].values()), 1)
    yield web.paragraph(f'Grader: {facts["grader"]}.')
    yield web.table(
        [
            {'level': level, 'documents': n, '': web.bar(('range', 0, n / whole))}
            for level, n in facts['levels'].items()
        ]
    )
    yield web.table(_flat(facts['agreement']))
    yield web.table(_flat({'answers': facts['statuses'], **facts.get('spent', {})}))


def _forest(facts: Mapping[str, Any]) -> Iterable[str]:
    measured = {'trees that did not see it': facts['out_of_bag'], 'held out': facts['held_out']}
    sides = {name: side for name, side in measured.items() if side}
    names = ('samples', 'valuable', 'auc', 'average_precision', 'brier', 'calibration_error')
    yield web.table([{'': name, **{n: side[n] for n in names}} for name, side in sides.items()])
    for name, side in sides.items():
        rows = _ordered(side['calibration'], ('from', 'samples', 'predicted', 'observed'))
        yield web.folded(f'Said and seen, {name}', web.table(rows))
    first = _ordered(facts['importances']['first'], ('feature', 'share'))
    yield web.folded('The features that decide most', web.table(first))


def _ordered(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows with these columns, in this order."""
    return [{name: row[name] for name in names} for row in rows]


def _selection(facts: Mapping[str, Any]) -> Iterable[str]:
    names = ('phase', 'documents', 'bytes', 'lowest_score', 'bits_to_remember')
    yield web.table(_ordered(facts['phases'], names))
    histogram = facts['histogram']
    edges = histogram['edges']
    yield web.columns(histogram['counts'], edges[0], edges[-1], 'score, documents in each column')
    curve = facts['curve']
    kept = [point['documents'] for point in curve]
    shown = {
        'share of valuable among kept': [point['valuable'] for point in curve],
        'low': [point['low'] for point in curve],
        'high': [point['high'] for point in curve],
    }
    yield web.lines(kept, shown, 'share of documents kept')
    yield web.folded('The curve as a table', web.table(_ordered(curve, CURVE)))
    yield web.paragraph('Rank correlation of the score with what a lazy filter would look at:')
    yield web.table(_flat(facts['leans_on']))


def _examples(found: Mapping[str, Any], done: Mapping[str, Step]) -> Iterable[str]:
    rows = found['selection']['deciles']
    names = ('decile', 'scores', 'kept', 'graded', 'mean_level', 'median_bytes', 'comments')
    shown = [{**row, 'scores': _said(row['scores'])} for row in rows]
    yield web.table(_ordered(shown, names))
    wanted = [tuple(place) for row in rows for place in row['places']]
    texts = _texts(done['ingest'], wanted)
    for row in rows:
        shown = [texts[tuple(place)] for place in row['places']]
        body = ''.join(web.paragraph(path) + web.code(text[:EXCERPT]) for path, text in shown)
        yield web.folded(f'Tenth {row["decile"]}, {row["kept"]:.0%} kept', body)


def _duplicates(facts: Mapping[str, Any]) -> Iterable[str]:
    names = ('documents', 'clusters', 'dropped', 'pairs', 'recall')
    yield web.table(_flat({name: facts[name] for name in names}))
    pairs = facts['similarity']['pairs']
    yield web.columns(pairs, 0, 1, 'similarity (Jaccard) of the pairs that were compared')
    yield web.table([{'cluster of': size, 'how many': n} for size, n in facts['sizes'].items()])
    yield web.folded('The largest clusters', web.code(json.dumps(facts['largest'], indent=1)))


def _leaks(facts: Mapping[str, Any]) -> Iterable[str]:
    total, coverage = facts['total'], facts['coverage']
    names = ('documents', 'quoting', 'functions', 'small', 'dropped', 'unparsed')
    yield web.table(_flat({name: total[name] for name in names}))
    yield web.paragraph(
        'By match rate: what is dropped for it, and how many problems have a function like theirs.'
    )
    yield web.table([{**row, 'problems': _problems(row['problems'])} for row in facts['sweep']])
    yield web.folded(
        'The pairs below once more: alike by syntax, and near by embedding too',
        web.table(_ordered(facts['distances'], ('tau', 'distance', 'pairs', 'both'))),
    )
    yield web.folded('What is protected', web.table(_named(coverage['benchmarks'])))
    for name, title in _SHOWN.items():
        shown = ''.join(_pair(row) for row in total[name][:PAIRS])
        yield web.folded(f'{title}: {len(total[name])}', shown)


_SHOWN = {
    'above': 'Functions that are like solutions',
    'below': 'Just below the match rate: they stay',
    'quotes': 'Words of questions and answers',
}


def _pair(row: Mapping[str, Any]) -> str:
    if 'words' in row:
        title = f'{row["words"]} words: {row["path"]} and {row["item"]}'
        return web.folded(title, web.beside(web.code(row['text']), web.code(row['question'])))
    title = f'{row["similarity"]:.3f} ({row["kind"]}): {row["path"]}:{row["line"]}, {row["item"]}'
    return web.folded(title, web.beside(web.code(row['source']), web.code(row['solution'])))


def _problems(counts: Mapping[str, Mapping[str, int]]) -> str:
    return ', '.join(f'{name} {n["similar"]} of {sum(n.values())}' for name, n in counts.items())


def _named(rows: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{'': name, **row} for name, row in rows.items()]


def _times(found: Mapping[str, Any]) -> str:
    given = {row['stage']: row for row in found['funnel']}
    whole = found['funnel'][0]['bytes'] / 1e6
    return web.table(
        [
            {
                'stage': name,
                'seconds, all workers': seconds,
                'MB of the pile a second': whole / seconds if seconds else None,
                'documents': given.get(name, {}).get('given'),
            }
            for name, seconds in found['seconds'].items()
        ]
    )


def _texts(ingest: Step, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Any]:
    by_shard: dict[int, set[int]] = defaultdict(set)
    for shard, row in wanted:
        by_shard[shard].add(row)
    texts = {}
    for shard, rows in by_shard.items():
        groups = document.read(ingest.part('documents', shard))
        for row, item in enumerate(itertools.chain.from_iterable(groups)):
            if row in rows:
                texts[shard, row] = (item.path, item.text)
    return texts


def _tokens(manifest: Mapping[str, Any]) -> dict[str, int]:
    return {
        name: sum(split['tokens'] for split in source['splits'].values())
        for name, source in manifest.get('sources', {}).items()
    }


def _settings(config: Config) -> dict[str, Any]:
    groups = ('sources', *chain.GROUPS, 'endpoint', 'budget', 'tokenize')
    return {name: config.group(name) for name in groups}


def _flat(values: Mapping[str, Any], prefix: str = '') -> list[dict[str, str]]:
    rows = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f'{prefix}{key}.')
        else:
            rows.append({'': f'{prefix}{key}'.replace('_', ' '), 'value': _said(value)})
    return rows


def _said(value: Any) -> Any:
    if isinstance(value, float):
        return f'{value:.4g}'
    if isinstance(value, list):
        return ' to '.join(map(str, map(_said, value)))
    return value
