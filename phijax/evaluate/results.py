"""The table of an evaluation beside the published figures, as Markdown and as one HTML page."""

import random
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phijax import report
from phijax.evaluate import published
from phijax.evaluate.plan import Plan
from phijax.evaluate.samples import read
from phijax.report import web

_SHOWN = 5
_METRICS = {
    'accuracy': 'accuracy',
    'accuracy_per_character': 'accuracy, per character',
    'accuracy_per_byte': 'accuracy, per byte',
}
LIMITS = (
    'The intervals are of the items: another draw of questions of the same kind would score within '
    'them 95 times in 100. They say nothing of other prompts, which can move a score by more.',
    'A model that met these items, or rewordings of them, in its training scores too high: '
    '`python -m phijax.evaluate.overfitting` looks for it.',
    'Of many tasks one in twenty is outside its interval by chance alone.',
)


def write(found: Mapping[str, Any], plan: Plan, into: Path) -> str:
    """The table as text, after report.md and report.html are written."""
    rows, notes = compare(found, plan)
    title = f'Evaluation of {found["checkpoint"]}'
    sections = [
        ('', report.table(rows)),
        ('What stands beside', _list(notes)),
        ('What went wrong', _list(_failures(found))),
        ('All figures', report.table(_metrics(found))),
        ('Examples', _list(_examples(found, into))),
        ('What this does not show', _list(LIMITS)),
        ('Again', report.fenced(_command(found, into), 'bash')),
        ('Settings', report.pairs(_facts(found))),
    ]
    (into / 'report.md').write_text(report.page(title, sections), 'utf-8')
    (into / 'report.html').write_text(_page(title, found, rows, notes, into), 'utf-8')
    return report.table(rows)


def compare(found: Mapping[str, Any], plan: Plan) -> tuple[list[dict[str, str]], list[str]]:
    """A row for each task, published figures beside it, and a note on each: is it comparable?"""
    rows, notes = [], []
    for name, task in found['tasks'].items():
        metric = task['metrics'][task['primary']]
        row = {
            'task': task['title'],
            'n': f'{task["n"]:,}',
            'shots': str(task['shots']),
            'metric': _METRICS.get(task['primary'], task['primary']),
            'score': f'{100 * metric["value"]:.1f}',
            '95 %': f'{100 * metric["low"]:.1f} to {100 * metric["high"]:.1f}',
            'chance': f'{100 * task["chance"]:.0f}',
        }
        for model in plan.beside:
            figures = published.published(name, model)
            row[model] = ', '.join(f'{figure.score:.1f}' for figure in figures)
            notes += [
                f'{task["title"]}, {model} {figure.score:.1f}: '
                f'{published.comparable(figure, task)} Source: {figure.source}'
                for figure in figures
            ]
        rows.append(row)
    return rows, notes


def _metrics(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every metric of every task, with its standard error."""
    return [
        {
            'task': task['title'],
            'metric': name,
            'value': f'{value["value"]:.4f}',
            'standard error': f'{value["stderr"]:.4f}',
            '95 %': f'{value["low"]:.4f} to {value["high"]:.4f}',
        }
        for task in found['tasks'].values()
        for name, value in task['metrics'].items()
    ]


def _list(lines: Sequence[str]) -> str:
    return '\n'.join(f'- {line}' for line in lines)


def _failures(found: Mapping[str, Any]) -> list[str]:
    """A line for each task whose prompts were cut or whose answers were not to be read."""
    lines = []
    for task in found['tasks'].values():
        told = [f'{task["prompts_cut"]} prompts cut'] if task['prompts_cut'] else []
        if 'answers' in task:
            told.append(f'{task["extraction_failures"]} of {task["answers"]} answers not found')
            told.append(f'{task["unfinished"]} unfinished')
            told += [f'{count} {reason}' for reason, count in task['reasons'].items()]
        lines += [f'{task["title"]}: {", ".join(told)}'] if told else []
    return lines


def _examples(found: Mapping[str, Any], into: Path) -> list[str]:
    """Of each task a few items that were right and a few that were wrong, drawn at random."""
    parts = []
    for task in found['tasks'].values():
        records = read(into / task['samples'])
        for word, wanted in (('right', True), ('wrong', False)):
            own = [record for record in records if record['correct'] == wanted]
            own = random.Random(0).sample(own, min(_SHOWN, len(own)))
            told = '; '.join(_shown(record) for record in own)
            parts.append(f'{task["title"]}, {word}: {told or "none"}')
    return parts


def _shown(record: Mapping[str, Any]) -> str:
    if 'answers' in record:
        answer = record['answers'][0]
        return f'`{record["id"]}` {answer["reason"]}, found {answer["found"]!r:.60}'
    return f'`{record["id"]}` chose {record["chosen"]}, right {record["gold"]}'


def _facts(found: Mapping[str, Any]) -> dict[str, Any]:
    identity, settings = found['identity'], found['settings']
    told = {
        'parameters': identity['parameters'],
        'tokenizer': identity['tokenizer'],
        'sandbox': found['sandbox'] or 'not used',
        **{f'prompts of {name}': task['prompts'] for name, task in found['tasks'].items()},
        **{f'items of {name}': task['items'] for name, task in found['tasks'].items()},
    }
    return told | settings | found['environment']


def _command(found: Mapping[str, Any], into: Path) -> str:
    settings = found['settings']
    arguments = ['python', '-m', 'phijax.evaluate', '--config=CONFIG']
    arguments += [f'--checkpoint={found["checkpoint"]}', f'--workdir={into}']
    arguments += [f'--config.tasks={",".join(settings["tasks"])}']
    arguments += [f'--config.limit={settings["limit"]}', f'--config.style={settings["style"]}']
    return shlex.join(arguments)


def _page(
    title: str,
    found: Mapping[str, Any],
    rows: Sequence[Mapping[str, str]],
    notes: Sequence[str],
    into: Path,
) -> str:
    """One page that needs nothing else: no script, no picture, no network."""
    shown = [
        {**row, '0 to 100': _bar(task)}
        for row, task in zip(rows, found['tasks'].values(), strict=True)
    ]
    facts = [{'': name, 'value': str(value)} for name, value in _facts(found).items()]
    parts = [
        web.table(shown),
        web.paragraph('Light blue: the 95 % interval. Red: chance.'),
        web.section('What stands beside', web.listed(notes)),
        web.section('What went wrong', web.listed(_failures(found))),
        web.section('All figures', web.table(_metrics(found))),
        web.section('Examples', web.listed(_examples(found, into))),
        web.section('What this does not show', web.listed(LIMITS)),
        web.section('Again', web.code(_command(found, into))),
        web.section('Settings', web.table(facts)),
    ]
    return web.page(title, parts)


def _bar(task: Mapping[str, Any]) -> str:
    metric = task['metrics'][task['primary']]
    marks = {'at': metric['value'], 'chance': task['chance']}
    return web.bar(('range', metric['low'], metric['high']), marks=marks)
