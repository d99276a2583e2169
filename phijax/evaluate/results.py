"""The table of an evaluation beside the published figures, as Markdown and as one HTML page."""

import html
import random
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phijax import report
from phijax.evaluate import published
from phijax.evaluate.plan import Plan
from phijax.evaluate.samples import read

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
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0;width:100%}td,th{padding:.3rem .6rem;text-align:left}
th{border-bottom:2px solid #888}td{border-bottom:1px solid #ddd;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.bar{position:relative;height:.8rem;width:14rem;background:#eee}
.bar i{position:absolute;height:100%}
.bar .range{background:#56B4E9}.bar .at{width:2px;background:#003f66}
.bar .chance{width:1px;background:#D55E00}
pre{background:#f6f6f6;padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere}
"""


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
    bars = [_bar(task) for task in found['tasks'].values()]
    parts = [
        f'<h1>{html.escape(title)}</h1>',
        _table([{**row, '0 to 100': ''} for row in rows], bars),
        '<p>Light blue: the 95 % interval. Red: chance.</p>',
        _listed('What stands beside', notes),
        _listed('What went wrong', _failures(found)),
        '<h2>All figures</h2>',
        _table(_metrics(found)),
        _listed('Examples', _examples(found, into)),
        _listed('What this does not show', LIMITS),
        f'<h2>Again</h2><pre>{html.escape(_command(found, into))}</pre>',
        '<h2>Settings</h2>',
        _table([{'': name, 'value': str(value)} for name, value in _facts(found).items()]),
    ]
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def _table(rows: Sequence[Mapping[str, str]], last: Sequence[str] = ()) -> str:
    """A table of HTML; `last` are the ready-made cells of the last column."""
    head = ''.join(f'<th>{html.escape(name)}</th>' for name in rows[0])
    body = []
    for number, row in enumerate(rows):
        cells = [html.escape(str(value)) for value in row.values()]
        if last:
            cells[-1] = last[number]
        body.append('<tr>' + ''.join(f'<td>{cell}</td>' for cell in cells) + '</tr>')
    return f'<table><tr>{head}</tr>{"".join(body)}</table>'


def _bar(task: Mapping[str, Any]) -> str:
    metric = task['metrics'][task['primary']]
    low, high, value = (100 * metric[key] for key in ('low', 'high', 'value'))
    return (
        f'<div class="bar"><i class="range" style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<i class="at" style="left:{value:.1f}%"></i>'
        f'<i class="chance" style="left:{100 * task["chance"]:.1f}%"></i></div>'
    )


def _listed(heading: str, lines: Sequence[str]) -> str:
    items = ''.join(f'<li>{html.escape(line)}</li>' for line in lines if line)
    return f'<h2>{heading}</h2><ul>{items}</ul>' if items else ''
