"""Plots and one-page reports for any command; the only door to matplotlib."""

import dataclasses
import datetime
import importlib.metadata
import json
import lzma
import math
import os
import pathlib
import platform
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]

# Source: Okabe and Ito, "Color Universal Design", 2008: told apart by every kind of colour vision.
_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
_STYLE: Any = {
    'axes.edgecolor': '#888888',
    'axes.grid': True,
    'axes.labelcolor': '#333333',
    'axes.spines.right': False,
    'axes.spines.top': False,
    'figure.facecolor': 'white',
    'font.size': 10,
    'grid.color': '#e6e6e6',
    'legend.edgecolor': 'none',
    'legend.framealpha': 0.85,
    'xtick.color': '#555555',
    'ytick.color': '#555555',
}
_LOOKS: Mapping[str, Mapping[str, Any]] = {
    'line': {'linewidth': 1.8},
    'faint': {'linewidth': 0.7, 'alpha': 0.3},
    'points': {'linewidth': 1.0, 'marker': 'o', 'markersize': 5, 'markeredgecolor': 'white'},
    'level': {'linewidth': 1.2, 'linestyle': '--', 'alpha': 0.8},
}
_BAND: Mapping[str, Any] = {'alpha': 0.15, 'linewidth': 0}
_PACKAGES = ('phijax', 'jax', 'jaxlib', 'flax', 'optax', 'numpy', 'tokenizers')

LIMITS = (
    'The held-out text comes from the same sources as the training text; other text will do worse.',
    'xz and zlib start from nothing, while the model has read the training text and is itself '
    'larger than what it saves: they are a yardstick for the number, not rivals.',
    'It is one run with one seed, so there is no spread: small differences may be chance.',
    'The samples are text that looks like the sources. Nobody ran or checked them.',
    'Times and rates are those of this machine on that day, with whatever else it was doing.',
)
"""What a report of a training run does not show."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """Numbers to draw.

    Attributes:
        label: its name in the legend; empty leaves it out.
        colour: which of the palette's; curves that belong together share one.
        look: `line`, `faint`, `points`, or `level` for a dashed line at the one number `y`.
        low, high: the edges of a band around the curve; empty draws none.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    look: str = 'line'
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclasses.dataclass(frozen=True)
class Panel:
    """Curves that share a vertical axis; `height` is relative to the other panels."""

    ylabel: str
    curves: Sequence[Curve]
    height: float = 1.0


def plot(path: pathlib.Path, panels: Sequence[Panel], *, title: str, xlabel: str) -> pathlib.Path:
    """Draws the panels above each other with one horizontal axis; returns `path`, a PNG."""
    import matplotlib
    from matplotlib.figure import Figure

    heights = [panel.height for panel in panels]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(8, 1.2 + 1.7 * sum(heights)), layout='constrained')
        grid = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)
        for axes, panel in zip(grid[:, 0], panels, strict=True):
            _draw(axes, panel)
        grid[-1, 0].set_xlabel(xlabel)
        figure.align_ylabels()
        figure.suptitle(title, x=0.01, ha='left', fontweight='bold')
        figure.savefig(path, dpi=150, metadata={'Title': title})
    return path


def _draw(axes: Any, panel: Panel) -> None:
    for curve in panel.curves:
        look = dict(_LOOKS[curve.look], color=_COLOURS[curve.colour % len(_COLOURS)])
        if curve.look == 'level':
            axes.axhline(curve.y[0], label=curve.label, **look)
        else:
            axes.plot(curve.x, curve.y, label=curve.label or '_', **look)
        if curve.low:
            axes.fill_between(curve.x, curve.low, curve.high, color=look['color'], **_BAND)
    axes.set_ylabel(panel.ylabel)
    axes.margins(x=0.01)
    if any(curve.label for curve in panel.curves):
        axes.legend(loc='upper right')


def plot_losses(
    runs: Mapping[str, Sequence[Record]],
    path: pathlib.Path,
    *,
    title: str = 'Training',
    baselines: Mapping[str, float] | None = None,
) -> pathlib.Path:
    """Draws the losses, held-out bits per byte and learning rates of runs; returns `path`, a PNG.

    Args:
        runs: what `records` gives, by the name to show; one run needs no name.
        baselines: bits per byte of other ways to say the held-out text, drawn as levels.

    Raises:
        ValueError: there is no run, or one without a training step.
    """
    if not runs:
        raise ValueError('there are no runs to plot')
    losses, bits, rates = [], [], []
    for colour, (name, run) in enumerate(runs.items()):
        losses += _loss_curves(name if len(runs) > 1 else '', run, colour)
        bits += _bits_curves(name if len(runs) > 1 else '', run, colour)
        rates.append(_curve('', _of_kind(run, 'train'), 'learning_rate', colour))
    panels = [Panel(f'loss (nats per {_term(runs)})', losses, 2.0)]
    if bits:
        levels = enumerate((baselines or {}).items(), start=len(runs) + 1)
        bits += [Curve(f'{n} {v:.2f}', (), (v,), colour, 'level') for colour, (n, v) in levels]
        panels.append(Panel('held-out\nbits per byte', bits, 1.3))
    return plot(path, [*panels, Panel('learning rate', rates, 0.8)], title=title, xlabel='step')


def _term(runs: Mapping[str, Sequence[Record]]) -> str:
    """What the losses are means over."""
    pairs = any('accuracy' in record for run in runs.values() for record in run)
    return 'pair' if pairs else 'token'


def _loss_curves(name: str, run: Sequence[Record], colour: int) -> list[Curve]:
    trained, evaluated = _of_kind(run, 'train'), _evaluated(run)
    if not trained:
        raise ValueError(f'the run {name or "to plot"} has no training step in its records')
    prefix = f'{name}: ' if name else ''
    curves = [
        _curve('' if name else 'each step', trained, 'loss', colour, 'faint'),
        _curve(f'{prefix}smoothed', trained, 'loss_ema', colour),
    ]
    heldout = _curve(f'{prefix}held-out', evaluated, 'loss', colour if name else 1, 'points')
    return [*curves, heldout] if evaluated else curves


def _bits_curves(name: str, run: Sequence[Record], colour: int) -> list[Curve]:
    evaluated = [record for record in _evaluated(run) if 'bits_per_byte' in record]
    if not evaluated:
        return []
    last = float(evaluated[-1]['bits_per_byte'])
    label = f'{name or "model"} {last:.2f}'
    return [_curve(label, evaluated, 'bits_per_byte', colour if name else 1, 'points')]


def _curve(label: str, run: Sequence[Record], field: str, colour: int, look: str = 'line') -> Curve:
    steps = [record['step'] for record in run]
    return Curve(label, steps, [_number(record.get(field)) for record in run], colour, look)


def _evaluated(run: Sequence[Record]) -> list[Record]:
    """The evaluations with a held-out loss; one of benchmarks alone has none."""
    return [record for record in _of_kind(run, 'evaluate') if 'loss' in record]


def _of_kind(run: Sequence[Record], kind: str) -> list[Record]:
    return [record for record in run if record['kind'] == kind]


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def records(path: pathlib.Path) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl, also of a run that still writes it.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if not path.exists():
        raise FileNotFoundError(f'{path}: no metrics here; the workdir of a run has metrics.jsonl')
    whole, _, _ = path.read_text('utf-8').rpartition('\n')
    return [json.loads(line) for line in whole.splitlines()]


def compression_baselines(text: bytes) -> dict[str, float]:
    """The bits per byte in which xz and zlib, at their best, say the text.

    It takes about a second a megabyte and leaves other threads free to run.

    Raises:
        ValueError: the text is empty.
    """
    if not text:
        raise ValueError('compression_baselines: the text is empty, so it has no bits per byte')
    sizes = {
        'xz': len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)),
        'zlib': len(zlib.compress(text, level=9)),
    }
    return {name: 8 * size / len(text) for name, size in sizes.items()}


def environment() -> dict[str, str]:
    """The versions and the machine a result belongs to; what device, the caller knows."""
    versions = {name: version for name in _PACKAGES if (version := _version(name))}
    machine = f'{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs'
    return {'python': platform.python_version(), **versions, 'machine': machine}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ''


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table; the first row's keys are the columns, numbers stand on the right."""
    columns = list(rows[0])
    numeric = [all(isinstance(row.get(c), int | float) for row in rows) for c in columns]
    lines = [columns, ['---:' if n else '---' for n in numeric]]
    lines += [[_cell(row.get(column, '')) for column in columns] for row in rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.4g}'
    text = f'{value:,}' if isinstance(value, int) else str(value)
    return text.replace('|', '\\|').replace('\n', ' ')


def fenced(text: str, language: str = '') -> str:
    """The text as a Markdown code block, whatever backticks it has in it."""
    longest = max((len(run) for run in re.findall('`+', text)), default=0)
    fence = '`' * max(3, longest + 1)
    return f'{fence}{language}\n{text.rstrip()}\n{fence}'


def page(title: str, sections: Iterable[tuple[str, str]]) -> str:
    """A Markdown page of the sections (heading, text) that have a text."""
    parts = [f'## {heading}\n\n{text}' if heading else text for heading, text in sections if text]
    return '\n\n'.join([f'# {title}', *parts]) + '\n'


def write_report(
    workdir: pathlib.Path,
    *,
    title: str,
    config: Mapping[str, Any],
    metrics_path: pathlib.Path,
    evaluations: Mapping[str, Mapping[str, float]],
    samples: Sequence[Mapping[str, str]],
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    next_commands: Sequence[str],
    environment: Mapping[str, str],
    limits: Sequence[str] = LIMITS,
) -> pathlib.Path:
    """Writes `report.md`, and the `loss.png` it shows, into `workdir`; returns the report's path.

    Args:
        evaluations: of each held-out source, bits per byte: first the model's, then those of
            others, such as {'python': {'phijax': 1.63, 'xz': 1.68, 'zlib': 2.02}}.
        samples: each with `prompt` and `completion`.
        tables: more results, by heading.
        next_commands: what to run now.
        limits: what the report does not show.

    Raises:
        FileNotFoundError: there are no metrics at `metrics_path`.
        ValueError: they have no training step.
    """
    run = records(metrics_path)
    baselines = dict(list(next(iter(evaluations.values())).items())[1:]) if evaluations else {}
    plot_losses({title: run}, workdir / 'loss.png', title=title, baselines=baselines)
    sections = [
        ('', _headline(evaluations)),
        ('Result', _results(evaluations)),
        *((heading, table(rows)) for heading, rows in tables.items() if rows),
        ('Training', f'![losses, and the learning rate](loss.png)\n\n{_run_table(run)}'),
        ('Samples', '\n\n'.join(_sample(sample) for sample in samples)),
        ('Next', fenced('\n'.join(next_commands), 'bash') if next_commands else ''),
        ('What this does not show', '\n'.join(f'- {limit}' for limit in limits)),
        ('Environment', pairs(environment)),
        ('Configuration', fenced('\n'.join(_flat(config)), 'yaml')),
    ]
    path = workdir / 'report.md'
    path.write_text(page(title, sections), 'utf-8')
    return path


def _headline(evaluations: Mapping[str, Mapping[str, float]]) -> str:
    """A sentence for each source: the model's number against the others'."""
    sentences = []
    for source, bits in evaluations.items():
        (name, own), *others = bits.items()
        beside = [f'{_against(own, other)} than {label} ({other:.3f})' for label, other in others]
        text = f'On held-out `{source}`, {name} needs **{own:.3f} bits per byte**'
        sentences.append(f'{text}: {" and ".join(beside)}.' if beside else f'{text}.')
    return '\n'.join(sentences)


def _against(own: float, other: float) -> str:
    share = 100 * (own / other - 1)
    return f'{abs(share):.1f} % {"less" if share < 0 else "more"}'


def _results(evaluations: Mapping[str, Mapping[str, float]]) -> str:
    if not evaluations:
        return ''
    rows = [{'bits per byte of held-out text': s, **bits} for s, bits in evaluations.items()]
    return table(rows)


def _run_table(run: Sequence[Record]) -> str:
    trained, evaluated = _of_kind(run, 'train'), _evaluated(run)
    last, ends = trained[-1], session_ends(trained)
    seconds, tokens = (sum(end[name] for end in ends) for name in ('seconds', 'tokens'))
    smooth, clock = _number(last.get('loss_ema')), datetime.timedelta(seconds=round(seconds))
    best = min(evaluated, key=lambda record: float(record['loss']), default=None)
    warnings = _of_kind(run, 'warn')
    return pairs(
        {
            'steps': last['step'],
            'tokens': tokens,
            'wall time': f'{clock} in {_many(len(ends), "session")}',
            'tokens per second': round(tokens / seconds) if seconds else 'n/a',
            'last loss (smoothed)': f'{_number(last["loss"]):.4f} ({smooth:.4f})',
            'best held-out loss': f'{best["loss"]:.4f} at step {best["step"]}' if best else 'none',
            'updates skipped': int(last.get('skipped', 0)),
            'warnings': '; '.join(record['message'] for record in warnings[-3:]) or 'none',
        }
    )


def session_ends(trained: Sequence[Record]) -> list[Record]:
    """The timing at the last step of each session, of the records of a run's steps.

    A session's clock starts at nought.
    """
    timings = [record['timing'] for record in trained]
    followers = [*timings[1:], {'seconds': -1.0}]
    return [
        t for t, after in zip(timings, followers, strict=True) if after['seconds'] < t['seconds']
    ]


def _sample(sample: Mapping[str, str]) -> str:
    prompt, lines = sample['prompt'], sample['prompt'].splitlines() or ['']
    end = (
        f'the first {_many(len(lines), "line")}'
        if prompt.endswith('\n')
        else f'up to `{lines[-1].strip()}`'
    )
    return f'Prompt: {end}\n\n{fenced(prompt + sample["completion"], "python")}'


def _many(number: int, noun: str) -> str:
    return f'{number} {noun}' + ('' if number == 1 else 's')


def pairs(values: Mapping[str, Any]) -> str:
    """A Markdown table of names and values."""
    return table([{'': name, 'value': value} for name, value in values.items()])


def _flat(config: Mapping[str, Any], prefix: str = '') -> list[str]:
    """The config's fields, one on a line, with dotted names."""
    lines = []
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            lines += _flat(value, f'{prefix}{name}.')
        else:
            lines.append(f'{prefix}{name}: {json.dumps(value, default=str)}')
    return lines
