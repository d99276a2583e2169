"""Grown against scratch: `python experiments/upscaling/run.py [smoke|full]`.

Trains the small models, grows them, trains the large ones, and writes results.json and curves.png
beside this file (smoke and full: into their runs). What is done already is not done again.
"""

import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import methods  # noqa: E402

from phijax import models, report, upscale  # noqa: E402
from phijax.models import arithmetic  # noqa: E402
from phijax.train import sweep  # noqa: E402

NAMES = {
    'scratch': 'scratch',
    'reuse': 'reuse, centred',
    'tile': 'tiled from the edge',
    'tile-centre': 'tiled from the centre',
    'tile-divided': 'tiled from the centre, divided',
    'clone': 'cloned, identity layers',
}


def main(variant: str) -> None:
    """Everything, in order."""
    train('small', variant)
    grow(variant)
    train('large', variant)
    target = HERE if variant == 'cpu' else pathlib.Path(methods.ROOTS[variant])
    results = measure(variant)
    (target / 'results.json').write_text(json.dumps(results, indent=1) + '\n')
    draw(results, target / 'curves.png')
    for geometry, rows in results['geometries'].items():
        print(f'\n{geometry}\n{report.table(rows["table"])}')


def train(name: str, variant: str) -> None:
    """Runs one of the two sweeps to its end."""
    command = [sys.executable, '-m', 'phijax.train', f'--sweep={HERE}/{name}.py:{variant}']
    subprocess.run([*command, f'--workdir={methods.ROOTS[variant]}/{name}'], check=True)


def grow(variant: str) -> None:
    """The starts of the large runs that are not there yet."""
    for geometry, arms in methods.ARMS.items():
        fields = {'model': models.to_dict(methods.configuration(variant, 'large', geometry))}
        for arm in arms[1:]:
            plan = upscale.from_dict(fields | methods.METHODS[arm])
            for seed in methods.SEEDS[variant]:
                target = methods.start(variant, geometry, arm).format(seed=seed)
                source = f'{methods.ROOTS[variant]}/small/{geometry}/seed{seed}'
                if not pathlib.Path(target).exists():
                    upscale.run(plan, source, target)


def measure(variant: str) -> dict[str, Any]:
    """The table and the mean curves of each geometry."""
    root = pathlib.Path(methods.ROOTS[variant]) / 'large'
    runs = [run for run in sweep.collect(root) if run['finished']]
    return {
        'variant': variant,
        'tokens': max(run['tokens'] for run in runs),
        'environment': report.environment(),
        'geometries': {
            geometry: {
                'cost_of_the_small_model': (cost := small_share(variant, geometry)),
                'table': [
                    row(
                        arm,
                        by_seed(runs, f'{geometry}-{arm}'),
                        by_seed(runs, f'{geometry}-scratch'),
                        cost,
                    )
                    for arm in arms
                ],
                'curves': {
                    arm: [run['curve'] for run in by_seed(runs, f'{geometry}-{arm}').values()]
                    for arm in arms
                },
            }
            for geometry, arms in methods.ARMS.items()
        },
    }


def by_seed(runs: list[dict[str, Any]], name: str) -> dict[int, dict[str, Any]]:
    """The finished runs of one name."""
    return {run['seed']: run for run in runs if run['name'] == name}


def small_share(variant: str, geometry: str) -> float:
    """What a token costs in training the small model, as a share of the large one's cost."""
    configs = (methods.configuration(variant, size, geometry) for size in ('small', 'large'))
    small, large = (arithmetic.flops(config, 1, config.max_length) for config in configs)
    return small / large


def row(
    arm: str, runs: dict[int, dict[str, Any]], scratch: dict[int, dict[str, Any]], cost: float
) -> dict[str, Any]:
    """Means and standard deviations over seeds; the comparisons with scratch are seed by seed.

    Equal compute gives the grown model fewer tokens, by what the small one cost.
    """
    final = [run['bits_per_byte'] for run in runs.values()]
    tokens = next(iter(runs.values()))['tokens']
    paid = 0.0 if arm == 'scratch' else cost
    equal = [at(run['curve'], tokens * (1 - paid)) for run in runs.values()]
    pairs = [(run, scratch[seed]) for seed, run in runs.items() if seed in scratch]
    better = sum(run['bits_per_byte'] < other['bits_per_byte'] for run, other in pairs)
    reached = [
        sweep.tokens_to_reach([point[1:3] for point in run['curve']], other['loss'])
        for run, other in pairs
    ]
    known = [value for value in reached if value is not None]
    whole = len(known) == len(reached) > 0
    return {
        'start': NAMES[arm],
        'seeds': len(runs),
        'bits per byte': statistics.fmean(final),
        'sd': spread(final),
        'better than scratch': f'{better} of {len(pairs)}',
        'at equal compute': statistics.fmean(equal),
        'sd at equal compute': spread(equal),
        "tokens to scratch's loss": statistics.fmean(known) if whole else 'not reached',
        'share of tokens saved': 1 - statistics.fmean(known) / tokens if whole else 'n/a',
        'share of compute saved': 1 - paid - statistics.fmean(known) / tokens if whole else 'n/a',
    }


def at(curve: list[tuple[int, int, float, float]], tokens: float) -> float:
    """Bits per byte after so many tokens, on the straight line between two evaluations."""
    before = [point for point in curve if point[1] <= tokens][-1]
    after = next((point for point in curve if point[1] >= tokens), before)
    share = (tokens - before[1]) / (after[1] - before[1]) if after != before else 0.0
    return before[3] + share * (after[3] - before[3])


def spread(values: list[float]) -> float | str:
    """The standard deviation; of one value there is none."""
    return statistics.stdev(values) if len(values) > 1 else 'n/a'


def draw(results: dict[str, Any], path: pathlib.Path) -> None:
    """Mean held-out bits per byte of each arm, with the range over seeds."""
    panels = []
    for geometry, measured in results['geometries'].items():
        curves = []
        for colour, (arm, runs) in enumerate(measured['curves'].items()):
            tokens = [point[1] for point in runs[0]]
            values = list(zip(*([point[3] for point in run] for run in runs), strict=True))
            mean = [statistics.fmean(v) for v in values]
            low, high = [min(v) for v in values], [max(v) for v in values]
            curves.append(
                report.Curve(NAMES[arm], tokens, mean, colour, 'line', low=low, high=high)
            )
        panels.append(report.Panel(f'{geometry}:\nheld-out bits per byte', curves, 2.5))
    report.plot(path, panels, title='Grown against scratch', xlabel='tokens of the large model')


if __name__ == '__main__':
    main(sys.argv[1] if len(sys.argv) > 1 else 'cpu')
