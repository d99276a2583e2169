"""What the runs of a sweep came to: read from their workdirs, put together over seeds, written."""

import contextlib
import fcntl
import json
import os
import pathlib
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from phijax import report
from phijax.train.sweep import specification
from phijax.train.sweep.specification import Sweep, safe_name

EXIT_CODE = 'exit_code.txt'

LIMITS = (
    'Runs are compared at equal numbers of updates; what a run cost is under minutes, which are '
    'those of this machine on that day.',
    'The spread is that of the seeds: it says nothing of other data, sizes or lengths.',
    'The best of many runs looks better than it is: what won by less than the spread may have '
    'won by chance.',
)
"""What a report of a sweep does not show."""

_MEANS = {
    'held-out loss': 'loss',
    'bits per byte': 'bits_per_byte',
    'training loss': 'training_loss',
    'tokens': 'tokens',
    'minutes': 'minutes',
}
_SPREADS = ('held-out loss', 'bits per byte')


def collect(root: pathlib.Path) -> list[dict[str, Any]]:
    """What every run below `root` measured so far, by name and seed.

    Of each: `name` (that of its directory), `seed`, `workdir`, `finished`, `exit_code` (None while
    it has none), `curve` with an entry (step, tokens, held-out loss, bits per byte) for each
    evaluation, and at its last step `step`, `tokens`, `loss`, `bits_per_byte`, `training_loss`
    (smoothed), `tokens_per_second`, and `minutes` over all sessions. `loss` and `bits_per_byte`
    are None where the last step was not evaluated, all values are None before the first step.
    """
    runs = [read(path.parent) for path in root.glob('*/seed*/config.json')]
    return sorted(runs, key=lambda run: (run['name'], run['seed']))


def read(workdir: pathlib.Path) -> dict[str, Any]:
    """What the run of a workdir measured so far, as `collect` tells it."""
    config, records = _config(workdir), _records(workdir)
    trained = [record for record in records if record['kind'] == 'train']
    tokens_per_step = config['batch_size'] * config['data']['length']
    curve = _curve(records, tokens_per_step)
    step = trained[-1]['step'] if trained else 0
    return {
        'name': workdir.parent.name,
        'seed': config['seed'],
        'workdir': str(workdir),
        'finished': step == config['num_steps'] and (workdir / 'selected.json').exists(),
        'exit_code': _exit_code(workdir),
        'curve': curve,
        'step': step,
        **_last(trained, curve, tokens_per_step),
    }


def summarise(sweep: Sweep, root: pathlib.Path) -> list[dict[str, Any]]:
    """The rows of the sweep's table, one for each name, after all of its files are written.

    These are `table.md`, `results.json`, `curves.png` and `report.md`. Several processes may write
    them: each waits for the other, and what the last one writes has all that was measured.
    """
    with exclusive(root / '.summary.lock'):
        runs = [read(specification.workdir(root, run)) for run in sweep.runs]
        by_name = {name: [r for r in runs if r['name'] == safe_name(name)] for name in sweep.names}
        rows = [row(name, measured) for name, measured in by_name.items()]
        content = {'sweep': sweep.path, 'config': sweep.config, 'table': rows, 'runs': runs}
        _write(root / 'results.json', json.dumps(content, indent=1) + '\n')
        _write(root / 'table.md', report.table(rows) + '\n')
        drawn = draw(root / 'curves.png', by_name, title=sweep.path)
        _write(root / 'report.md', _page(sweep, rows, drawn))
    return rows


def row(name: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The line of one name: means over the seeds that are finished, and what is missing.

    A standard deviation has n - 1 below; of fewer than two seeds there is none.
    """
    done = _finished(runs)
    cells: dict[str, Any] = {'run': name, 'seeds': f'{len(done)} of {len(runs)}'}
    for label, field in _MEANS.items():
        values = [run[field] for run in done if run[field] is not None]
        cells[label] = _mean(values)
        if label in _SPREADS:
            cells[f'sd of {label}'] = _deviation(values)
    missing = [f'seed {run["seed"]} {state(run)}' for run in runs if run not in done]
    return cells | {'missing': ', '.join(missing) or 'none'}


def state(run: Mapping[str, Any]) -> str:
    """Where a run is, in words."""
    if run['finished']:
        return 'done'
    if run['exit_code']:
        return f'failed at step {run["step"]} (exit code {run["exit_code"]})'
    return f'at step {run["step"]}' if run['step'] else 'not run'


def mean_curve(runs: Sequence[Mapping[str, Any]]) -> list[tuple[int, float, float, float]]:
    """Tokens, and mean, lowest and highest held-out loss, where every one of the runs has one."""
    by_tokens: dict[int, list[float]] = {}
    for run in runs:
        for _, tokens, loss, _ in run['curve']:
            by_tokens.setdefault(tokens, []).append(loss)
    shared = sorted(item for item in by_tokens.items() if len(item[1]) == len(runs))
    return [(tokens, statistics.fmean(v), min(v), max(v)) for tokens, v in shared]


def draw(
    path: pathlib.Path, by_name: Mapping[str, Sequence[Mapping[str, Any]]], *, title: str
) -> bool:
    """Whether there was a curve to draw: the mean over the finished seeds, and their range."""
    done = {name: _finished(runs) for name, runs in by_name.items()}
    curves = [mean_band(name, runs, colour) for colour, (name, runs) in enumerate(done.items())]
    curves = [curve for curve in curves if curve.x]
    if curves:
        panel = report.Panel('held-out loss (nats per token)', curves, 2.5)
        _replace(path, lambda draft: report.plot(draft, [panel], title=title, xlabel='tokens'))
    return bool(curves)


def mean_band(name: str, runs: Sequence[Mapping[str, Any]], colour: int) -> report.Curve:
    """The mean held-out loss against tokens; of several runs with a band over their range."""
    tokens, mean, low, high = list(zip(*mean_curve(runs), strict=True)) or [()] * 4
    label = f'{name} ({len(runs)} seed{"" if len(runs) == 1 else "s"})'
    if len(runs) < 2:
        return report.Curve(label, tokens, mean, colour, 'points')
    return report.Curve(label, tokens, mean, colour, 'points', low, high)


@contextlib.contextmanager
def exclusive(path: pathlib.Path) -> Iterator[None]:
    """A context that one process has at a time; others wait. It ends with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _mean(values: Sequence[float]) -> float | str:
    """The mean; whole, as the numbers are, where they are all the same."""
    if not values:
        return 'n/a'
    return values[0] if len(set(values)) == 1 else statistics.fmean(values)


def _finished(runs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [run for run in runs if run['finished']]


def _deviation(values: Sequence[float]) -> float | str:
    return statistics.stdev(values) if len(values) > 1 else 'n/a'


def _last(
    trained: Sequence[Mapping[str, Any]], curve: Sequence[tuple], tokens_per_step: int
) -> dict[str, Any]:
    """The values at a run's last step."""
    names = ('tokens', 'loss', 'bits_per_byte', 'training_loss', 'tokens_per_second', 'minutes')
    if not trained:
        return dict.fromkeys(names)
    last = trained[-1]
    evaluated = [entry for entry in curve if entry[0] == last['step']]
    loss, bits = evaluated[-1][2:] if evaluated else (None, None)
    seconds = sum(end['seconds'] for end in report.session_ends(trained))
    rate, tokens = last['timing']['tokens_per_second'], last['step'] * tokens_per_step
    values = (tokens, loss, bits, last['loss_ema'], rate, seconds / 60)
    return dict(zip(names, values, strict=True))


def _config(workdir: pathlib.Path) -> dict[str, Any]:
    """The config that a run has left; before it has, what its directory says."""
    path = workdir / 'config.json'
    if path.exists():
        return json.loads(path.read_text())
    seed = int(workdir.name.removeprefix('seed'))
    return {'seed': seed, 'num_steps': None, 'batch_size': 0, 'data': {'length': 0}}


def _exit_code(workdir: pathlib.Path) -> int | None:
    path = workdir / EXIT_CODE
    return int(path.read_text()) if path.exists() else None


def _curve(
    records: Sequence[Mapping[str, Any]], tokens_per_step: int
) -> list[tuple[int, int, float, float]]:
    return [
        (r['step'], r['step'] * tokens_per_step, float(r['loss']), float(r['bits_per_byte']))
        for r in records
        if r['kind'] == 'evaluate' and 'loss' in r
    ]


def _records(workdir: pathlib.Path) -> list[dict[str, Any]]:
    path = workdir / 'metrics.jsonl'
    return report.records(path) if path.exists() else []


def _page(sweep: Sweep, rows: Sequence[Mapping[str, Any]], drawn: bool) -> str:
    shown = 'Mean over the finished seeds; the band reaches from the lowest to the highest.'
    plot = f'![held-out loss against tokens](curves.png)\n\n{shown}'
    sections = [
        ('', f'Runs of `{sweep.config}`, by `{sweep.path}`.'),
        ('Result', f'{report.table(rows)}\n\nMeans over the finished seeds; sd has n - 1 below.'),
        ('Runs', report.table([_overrides(sweep, name) for name in sweep.names])),
        ('Curves', plot if drawn else 'No finished run has an evaluation on held-out text.'),
        ('What this does not show', '\n'.join(f'- {limit}' for limit in LIMITS)),
        ('Environment', report.table([report.environment()])),
    ]
    return report.page(f'Sweep {pathlib.Path(sweep.path).parent.name}', sections)


def _overrides(sweep: Sweep, name: str) -> dict[str, str]:
    """What a name stands for; a text may still have the first seed in it."""
    overrides = next(run.overrides for run in sweep.runs if run.name == name)
    shown = [f'{field}={value}' for field, value in overrides.items() if field != 'seed']
    return {'run': name, 'overrides': ', '.join(shown) or 'none'}


def _write(path: pathlib.Path, text: str) -> None:
    _replace(path, lambda draft: draft.write_text(text, 'utf-8'))


def _replace(path: pathlib.Path, write: Callable[[pathlib.Path], Any]) -> None:
    """Writes a file beside its place and renames it, so that a reader sees all of it."""
    draft = path.with_name(f'.{os.getpid()}.{path.name}')
    write(draft)
    draft.replace(path)
