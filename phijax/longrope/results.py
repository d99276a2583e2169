"""What a search came to, on texts that it never saw: tables, curves and a page."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from phijax import models, report
from phijax.evaluate import statistics
from phijax.longrope.baselines import Method
from phijax.train import door

FOUND = 'longrope'
BINS = 32

LIMITS = (
    'The texts come from the sources that the model was trained on, one row of each document.',
    'It is one search with one seed. The interval is over texts, not over searches.',
    'The loss says how well the next token is predicted, not whether what stands far back is used.',
    'Nothing was trained on longer rows here; fine-tuning changes the order of the methods.',
)


def summarise(methods: Mapping[str, Method], losses: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Plain values, ready for JSON: the table, means by text, and perplexity by position.

    Args:
        losses: `(texts, length)` of each method, in nats.
    """
    ends, _ = by_position(losses[FOUND])
    return {
        'methods': {name: dataclasses.asdict(method) for name, method in methods.items()},
        'table': compare(losses, FOUND),
        'nats_by_text': {name: each.mean(axis=1).tolist() for name, each in losses.items()},
        'positions': ends,
        'perplexity': {name: by_position(each)[1] for name, each in losses.items()},
    }


def compare(losses: Mapping[str, np.ndarray], name: str) -> list[dict[str, Any]]:
    """A row a method: its loss, and how much more of it than `name` has, text by text."""
    return [_row(method, own, name, losses[name]) for method, own in losses.items()]


def _row(method: str, own: np.ndarray, name: str, reference: np.ndarray) -> dict[str, Any]:
    row = {
        'method': method,
        'nats per token': float(own.mean()),
        'perplexity': math.exp(own.mean()),
    }
    columns = (f'more than {name}', '95 % interval', f'texts on which {name} is better')
    if method == name:
        return row | dict.fromkeys(columns, '')
    more = own.mean(axis=1) - reference.mean(axis=1)
    average, low, high = statistics.mean(more)
    better = f'{(more > 0).sum()} of {len(more)}'
    values = (f'{average:+.4f}', f'{low:+.4f} to {high:+.4f}', better)
    return row | dict(zip(columns, values, strict=True))


def by_position(losses: np.ndarray, bins: int = BINS) -> tuple[list[int], list[float]]:
    """The last position of each stretch of a row, and the perplexity in it over all texts."""
    parts = np.array_split(losses, min(bins, losses.shape[1]), axis=1)
    ends = np.cumsum([part.shape[1] for part in parts])
    return ends.tolist(), [float(np.exp(part.mean())) for part in parts]


def draw(summary: Mapping[str, Any], path: Path, title: str) -> Path:
    """Perplexity against position, a curve a method; returns `path`, a PNG."""
    curves = [
        report.Curve(name, summary['positions'], values, colour)
        for colour, (name, values) in enumerate(summary['perplexity'].items())
    ]
    panel = report.Panel('perplexity', curves, 2.5)
    return report.plot(path, [panel], title=title, xlabel='position in the row')


def page(title: str, facts: Mapping[str, Any], summary: Mapping[str, Any], next_: str) -> str:
    """The report, in Markdown; its plot is position.png beside it."""
    count = len(summary['nats_by_text'][FOUND])
    environment = report.environment() | {'device': jax.devices()[0].device_kind}
    sections = [
        ('', report.pairs(facts)),
        (
            'Held-out texts of the report',
            f'{report.table(summary["table"])}\n\nDifferences are paired, text by text, and the '
            f'interval is a bootstrap over the {count} texts.\n\n'
            '![perplexity against position](position.png)',
        ),
        ('Next', report.fenced(next_, 'bash')),
        ('What this does not show', '\n'.join(f'- {limit}' for limit in LIMITS)),
        ('Environment', report.pairs(environment)),
    ]
    return report.page(title, sections)


def next_commands(larger: models.Config, model: Path) -> Sequence[str]:
    """What a user may want to run after a search."""
    fields = [
        f"--config.model.{name}='{getattr(larger, name)}'"
        for name in ('max_length', *door.LONGROPE)
    ]
    commands = [
        f"python -m phijax.generate --checkpoint={model} --prompt='def '",
        'python -m phijax.train --config=configs/longrope/finetune.py '
        f'--config.init_from={model} --config.data.length={larger.max_length} {" ".join(fields)}',
    ]
    if larger.long_magnitude == larger.short_magnitude:  # which is all that transformers has
        commands.append(f'python -m phijax.interop export --checkpoint={model} --target=exported')
    return commands
