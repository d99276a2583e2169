"""The study's figures over all models: power at each dose, false alarms where nothing leaked."""

import pathlib
from typing import Any

import jax

from phijax import report
from phijax.evaluate import statistics
from phijax.evaluate.overfitting.membership import BLIND

LEVEL = 0.05
ASKED = (
    *('accuracy', 'per character', 'loss', 'loss / zlib size', 'loss / lower case'),
    *('Min-K%', 'Min-K%++', 'longest n-gram'),
)
DOSES = (0, 4, 16)
WHOLE = 0.8
CURVES = ('accuracy', 'loss', 'Min-K%++', 'longest n-gram', 'words')


def summarise(models: list[dict[str, Any]]) -> dict[str, Any]:
    """Plain values: a row a detector and dose, of canaries, and all that was measured."""
    rows = [detector(models, name, dose) for name in (*ASKED, *BLIND) for dose in DOSES]
    environment = report.environment() | {'device': jax.devices()[0].device_kind}
    return {
        'environment': environment,
        'models': len(models),
        'level': LEVEL,
        'detectors': rows,
        'order': order(models),
        'canaries': [canary(models, copies) for copies in (0, 1, 4, 16)],
        'measured': models,
    }


def detector(models: list[dict[str, Any]], name: str, dose: int) -> dict[str, Any]:
    """A detector's figures over the splits of one dose; intervals are over models."""
    found = [(m['seed'], s[name]) for m in models for s in m['splits'] if s['dose'] == dose]
    seeds = [seed for seed, _ in found]
    return {
        'detector': name,
        'dose': dose,
        'splits': len(found),
        'gap': statistics.mean([each['gap'] for _, each in found], seeds),
        'auroc': statistics.mean([each['auroc'] for _, each in found], seeds),
        **alarms([each['p_value'] for _, each in found], seeds),
    }


def order(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How often the order test finds something, by what leaked and in what order."""
    kinds = [(dose, ordered) for dose in DOSES for ordered in (False, True) if dose or not ordered]
    splits = [(m['seed'], split) for m in models for split in m['splits']]
    rows = []
    for dose, ordered in kinds:
        own = [(s, x) for s, x in splits if (x['dose'], x['ordered']) == (dose, ordered)]
        name = 'in order' if ordered else 'shuffled' if dose else 'never leaked'
        rows.append(order_row(dose, name, [(s, x['order']) for s, x in own]))
    twins = [(seed, split['order of the twin']) for seed, split in splits]
    return [*rows, order_row(0, 'twins of all', twins)]


def order_row(dose: int, name: str, found: list[tuple[int, Any]]) -> dict[str, Any]:
    """The order test's figures over some test sets."""
    seeds = [seed for seed, _ in found]
    return {
        'leaked': name,
        'dose': dose,
        'splits': len(found),
        'gap': statistics.mean([each['gap'] for _, each in found], seeds),
        **alarms([each['p_value'] for _, each in found], seeds),
    }


def alarms(p_values: list[float], seeds: list[int]) -> dict[str, Any]:
    """The share of p-values below the level, with an interval over models and one over tests.

    That over models is too narrow where few or none are below.
    """
    below = [p < LEVEL for p in p_values]
    return {
        'found': statistics.mean(below, seeds),
        'found, by tests': statistics.share(sum(below), len(below)),
    }


def canary(models: list[dict[str, Any]], copies: int) -> dict[str, Any]:
    """Exposure of the canaries that were planted so often."""
    found = [(m['seed'], c) for m in models for c in m['canaries'] if c['copies'] == copies]
    seeds = [seed for seed, _ in found]
    return {
        'copies': copies,
        'canaries': len(found),
        'exposure': statistics.mean([each['exposure'] for _, each in found], seeds),
        **alarms([each['p_value'] for _, each in found], seeds),
    }


def page(results: dict[str, Any]) -> str:
    """The tables, in Markdown."""
    gains = [
        {'model': each['seed'], 'accuracy': each['gain'][0], 'p': each['gain'][2]}
        | whole(each['gain'][1])
        for each in results['measured']
    ]
    sections = [
        ('Public half against twin', report.table(said(results['detectors']))),
        ('Order', report.table(said(results['order']))),
        ('Canaries', report.table(said(results['canaries']))),
        ('Estimated performance gain', report.table(gains)),
    ]
    return report.page('Detectors on a known truth', sections)


def whole(curve: list[dict[str, Any]]) -> dict[str, Any]:
    """The gain where items count as contaminated that stand in the training text nearly whole."""
    points = [point for point in curve if point['threshold'] == WHOLE]
    names = ('contaminated', 'clean_accuracy', 'gain', 'low', 'high')
    return {name: point[name] for point in points for name in names}


def said(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with their estimates as text."""
    return [
        {
            name: shown(each) if isinstance(each, tuple | list) else each
            for name, each in row.items()
        }
        for row in rows
    ]


def shown(estimate: Any) -> str:
    """An estimate with its interval."""
    value, low, high = estimate
    return f'{value:.3f} ({low:.3f} to {high:.3f})'


def draw(results: dict[str, Any], path: pathlib.Path) -> None:
    """AUROC and the share found against the dose; bands are over models."""
    panels = []
    for field, label in (
        ('auroc', 'AUROC, public half\nagainst twin'),
        ('found', 'share with\np < 0.05'),
    ):
        curves = []
        for colour, name in enumerate(CURVES):
            rows = [row for row in results['detectors'] if row['detector'] == name]
            columns = list(zip(*(row[field] for row in rows), strict=True))
            curves.append(report.Curve(name, DOSES, columns[0], colour, 'points', *columns[1:]))
        panels.append(report.Panel(label, curves, 2.0))
    report.plot(path, panels, title='Detectors on a known truth', xlabel='times leaked')
