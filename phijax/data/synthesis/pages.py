"""The report of a run: what was asked, what came back, how alike it is; a page and JSON."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from phijax import report
from phijax.data import stage
from phijax.data.document import Document
from phijax.data.files import write_json
from phijax.data.stage import Account, Step
from phijax.data.synthesis import diversity, records
from phijax.data.synthesis.asking import COPIED, DUPLICATE
from phijax.data.synthesis.config import GROUPS, Config, said
from phijax.data.synthesis.diversity import Written
from phijax.report import web

# Factors with too many levels to list.
MAIN = ('topic', 'object', 'function')
SHOWN, SHOWN_REJECTED, EXCERPT = 30, 20, 6000
TREE_LINES = 2500
LIMITS = (
    'Nothing here says whether a text is true, or whether its programs do what it says they do.',
    'The check of the topic finds texts about something else altogether, and no more.',
    'Measures of diversity count words. Two texts that say the same in other words are different '
    'for all of them.',
    'The comparison is of texts from the same teacher with and without factors, as many of each; '
    'tokens are not exactly as many.',
)


def write(config: Config, workdir: Path, done: Mapping[str, Step]) -> str:
    """A few lines for people, after report.json and report.html are written."""
    found = gather(config, done) | {'environment': report.environment()}
    write_json(workdir / 'report.json', found)
    (workdir / 'report.html').write_text(_page(config, found, done), 'utf-8')
    lines = [
        f'{row["stage"]}: {row["given"]:,} given, {row["kept"]:,} kept'
        + ''.join(f', {count:,} {reason}' for reason, count in row['dropped'].items())
        for row in found['funnel']
    ]
    tokens = found['tokens']
    lines.append(f'{tokens["charged"]:,} tokens, {found["acceptance"]:.1%} of the texts are kept')
    return '\n'.join([*lines, str(done['texts'].directory), f'{workdir}/report.html'])


def gather(config: Config, done: Mapping[str, Step]) -> dict[str, Any]:
    """All that the stages have to tell, as plain values."""
    accounts = {name: step.accounts()[0] for name, step in done.items()}
    facts = {name: account.facts for name, account in accounts.items()}
    texts = accounts['texts']
    return {
        'funnel': [_row(name, account) for name, account in accounts.items()],
        'acceptance': texts.kept / max(texts.given, 1),
        'topics': {k: v for k, v in facts['topics'].items() if k != 'spent'},
        'windows': facts['texts']['windows'],
        'limits': diversity.limits(config.diversity),
        'comparison': _comparison(config, done),
        'levels': _levels(done['texts']),
        'tokens': _tokens(facts),
        'seconds': {name: round(step.seconds(), 1) for name, step in done.items()},
        'digests': {name: stage.manifest(step)['digest'] for name, step in done.items()},
    }


def _row(name: str, account: Account) -> dict[str, Any]:
    return {
        'stage': name,
        'given': account.given,
        'kept': account.kept,
        'dropped': dict(account.dropped),
        'bytes': account.num_bytes,
    }


def _tokens(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What was spent, by the books of the stage that closed them last."""
    spent: Mapping[str, Any] = max(
        (each.get('spent') or {} for each in facts.values()),
        key=lambda each: each.get('requests', 0),
    )
    names = ('prompt_tokens', 'completion_tokens', 'unknown_tokens')
    return dict(spent) | {'charged': sum(spent.get(name, 0) for name in names)}


def _comparison(config: Config, done: Mapping[str, Step]) -> list[dict[str, Any]]:
    """The measures of as many texts with factors and without."""
    plain = written(done['plain'], config.plain.samples, str)
    if not plain:
        return []
    own = written(done['texts'], len(plain), said(config.texts.kind))
    both = [diversity.judge(each[: len(own)], config.diversity)[0] for each in (own, plain)]
    return [
        {
            'measure': name,
            'texts': len(own),
            'with factors': both[0][name],
            'without': both[1][name],
        }
        for name in both[0]
    ]


def written(step: Step, count: int, speech: Callable[[str], str]) -> list[Written]:
    """The first texts of a step by index, copies among them too."""
    found: list[tuple[int, Written]] = []
    for item, row in itertools.islice(records.read(step), count):
        found.append((row['index'], Written(speech(item.text), '', {})))
    for path in records.parts(step, records.REJECTED):
        for row in records.rows_of(path):
            if row['reason'] in (COPIED, DUPLICATE):
                found.append((row['index'], Written(speech(row['text']), '', {})))
    return [each for _, each in sorted(found, key=lambda pair: pair[0])][:count]


def _levels(step: Step) -> dict[str, dict[str, int]]:
    """How often each level was kept, of factors with few."""
    counts: dict[str, Counter[str]] = {}
    for _, row in records.read(step):
        for name, level in json.loads(row['factors']).items():
            counts.setdefault(name, Counter())[level] += 1
    return {name: dict(each) for name, each in counts.items() if name not in MAIN}


def _page(config: Config, found: Mapping[str, Any], done: Mapping[str, Step]) -> str:
    parts = [
        web.section('What was asked, and what was kept', _funnel(found['funnel'])),
        web.section('What it cost', web.table(_flat(found['tokens'])), _times(found)),
        web.section('Topics', *_topics(found['topics'], done['topics'])),
        web.section('Diversity, window by window', *_windows(found)),
        web.section('With factors and without', web.table(found['comparison'])),
        web.section('How often each level was kept', *_shares(found['levels'])),
        web.section('Texts to read, drawn at random', *_texts(done['texts'])),
        web.section('Texts that were rejected', *_rejected(done['texts'])),
        web.section('What this does not show', web.listed(LIMITS)),
        web.section('Settings', web.table(_flat({n: config.group(n) for n in GROUPS}))),
    ]
    return web.page(f'Synthesis: {config.texts.kind}', parts)


def _funnel(rows: Sequence[Mapping[str, Any]]) -> str:
    return web.table(
        [
            {
                'stage': row['stage'],
                'given': row['given'],
                'kept': row['kept'],
                'MB kept': row['bytes'] / 1e6,
                'dropped': ', '.join(f'{n:,} {reason}' for reason, n in row['dropped'].items()),
                'kept of given': web.bar(('range', 0, row['kept'] / max(row['given'], 1))),
            }
            for row in rows
        ]
    )


def _times(found: Mapping[str, Any]) -> str:
    return web.table([{'stage': name, 'seconds': took} for name, took in found['seconds'].items()])


def _topics(facts: Mapping[str, Any], step: Step) -> Iterable[str]:
    yield web.table(_flat(facts))
    lines = step.part('tree', 0, '.txt').read_text('utf-8').splitlines()
    more = [f'... and {len(lines) - TREE_LINES:,} lines more'] if len(lines) > TREE_LINES else []
    yield web.folded(
        'The tree, with the number of leaves', web.code('\n'.join(lines[:TREE_LINES] + more))
    )


def _windows(found: Mapping[str, Any]) -> Iterable[str]:
    columns = ('window', 'asked', 'kept', 'asked_again', 'saved', 'retired')
    yield web.table(
        [{name: row[name] for name in columns} | row['values'] for row in found['windows']]
    )
    yield web.paragraph('Limits: ' + ', '.join(f'{n} {v:g}' for n, v in found['limits'].items()))
    yield web.table(
        [{'window': row['window'], **each} for row in found['windows'] for each in row['breaches']]
    )


def _shares(levels: Mapping[str, Mapping[str, int]]) -> Iterable[str]:
    for name, counts in levels.items():
        most = max(counts.values())
        rows = [
            {name: level, 'texts': n, '': web.bar(('range', 0, n / most))}
            for level, n in sorted(counts.items())
        ]
        yield web.folded(f'{name}: {min(counts.values())} to {most} texts', web.table(rows))


def _texts(step: Step) -> Iterable[str]:
    chosen: list[tuple[str, Document, dict[str, Any]]] = []
    for item, row in records.read(step):
        place = hashlib.blake2b(item.id.encode()).hexdigest()
        chosen = sorted([*chosen, (place, item, row)], key=lambda each: each[0])[:SHOWN]
    for _, item, row in chosen:
        factors = ', '.join(f'{n} {level}' for n, level in json.loads(row['factors']).items())
        title = f'{row["template"]}, sample {row["index"]}: {factors}'
        yield web.folded(title, web.code(item.text[:EXCERPT]))


def _rejected(step: Step) -> Iterable[str]:
    rows = itertools.chain.from_iterable(
        map(records.rows_of, records.parts(step, records.REJECTED))
    )
    for row in itertools.islice(rows, SHOWN_REJECTED):
        title = f'{row["reason"]}: {row["said"]} ({row["template"]}, sample {row["index"]})'
        yield web.folded(title, web.code(row['text'][:EXCERPT]))


def _flat(values: Mapping[str, Any], prefix: str = '') -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f'{prefix}{key}.')
        else:
            said = ', '.join(map(str, value)) if isinstance(value, list | tuple) else value
            rows.append({'': f'{prefix}{key}'.replace('_', ' '), 'value': str(said)})
    return rows
