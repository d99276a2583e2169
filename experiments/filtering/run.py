"""Does the filter help? A small phi on what it kept, on a random part, and on the whole pile.

    python experiments/filtering/run.py --texts=runs/texts --workdir=runs/filtering

Filters the pile of configs/filter/code.py, trains the same model on three mixtures for each seed,
and writes results.json and losses.png beside this file (with --smoke: into the workdir). What is
done already is not done again.
"""

import argparse
import json
import pathlib
import runpy
import statistics
import sys
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import arms  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import texts  # noqa: E402

from phijax import command, interop, report  # noqa: E402
from phijax.evaluate.overfitting.texts import Reader  # noqa: E402
from phijax.report import Curve, Panel  # noqa: E402
from phijax.train import recipe, start  # noqa: E402

ROOT = HERE.parents[1]
SEEDS = (0, 1, 2)


def main() -> None:
    """Everything, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--texts', type=pathlib.Path, required=True)
    parser.add_argument('--workdir', type=pathlib.Path, default=pathlib.Path('runs/filtering'))
    parser.add_argument('--steps', type=int, default=300)
    parser.add_argument('--smoke', action='store_true')
    flags = parser.parse_args()
    start.keep_memory()
    judged = {'algorithms': texts.algorithms(flags.texts), 'tutorial': texts.tutorial(flags.texts)}
    tokens = arms.make(flags.workdir, [t for part in judged.values() for t in part], flags.smoke)
    runs = [
        {'arm': arm, 'seed': seed, **study(arm, seed, tokens, judged, flags)}
        for seed in (SEEDS[:1] if flags.smoke else SEEDS)
        for arm in arms.ARMS
    ]
    target = flags.workdir if flags.smoke else HERE
    results = {
        'steps': flags.steps,
        'arms': json.loads((flags.workdir / 'arms.json').read_text()),
        'runs': runs,
        'table': table(runs),
        'environment': report.environment(),
    }
    (target / 'results.json').write_text(json.dumps(results, indent=1) + '\n')
    draw(runs, target / 'losses.png')
    print(report.table(results['table']))


def study(
    arm: str,
    seed: int,
    tokens: pathlib.Path,
    judged: dict[str, list[str]],
    flags: argparse.Namespace,
) -> dict[str, Any]:
    """The bits per byte of the judged texts after training on one arm, measured once."""
    workdir = flags.workdir / f'{arm}-seed{seed}'
    path = workdir / 'measured.json'
    if not path.exists():
        train(arm, seed, tokens, workdir, 20 if flags.smoke else flags.steps)
        path.write_text(json.dumps(measure(workdir, judged)) + '\n')
    return json.loads(path.read_text())


def train(arm: str, seed: int, tokens: pathlib.Path, workdir: pathlib.Path, steps: int) -> None:
    """Quickstart's model on the tokens of one arm."""
    make = runpy.run_path(str(ROOT / 'configs' / 'quickstart.py'))['get_config']
    fields = command.plain(make())
    fields |= {'num_steps': steps, 'seed': seed, 'evaluate_every': 0}
    fields['data'] |= {'directory': str(tokens), 'prepare': {}, 'weights': {arm: 1.0}}
    fields['optimizer']['warmup_steps'] = steps // 10
    fields['checkpoints']['every'] = steps
    code = start.train(recipe.from_dict(fields), workdir)
    if code:
        raise SystemExit(f'training ended with {code}')


def measure(workdir: pathlib.Path, judged: dict[str, list[str]]) -> dict[str, float]:
    """Bits per byte of each set of texts."""
    config, params, tokenizer = interop.open(workdir)
    if tokenizer is None:
        raise SystemExit(f'{workdir} has no tokenizer')
    reader = Reader(config, jax.device_put(params), tokenizer, 32)
    found = {}
    for name, own in judged.items():
        nats = -sum(reader.log_likelihoods(own))
        found[name] = nats / np.log(2) / sum(len(text.encode()) for text in own)
    return found


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means and deviations over seeds, and differences to the random part, seed by seed."""
    rows = []
    for arm in arms.ARMS:
        row: dict[str, Any] = {'trained on': arm}
        for name in ('algorithms', 'tutorial'):
            own = {run['seed']: run[name] for run in runs if run['arm'] == arm}
            other = {run['seed']: run[name] for run in runs if run['arm'] == 'random'}
            gaps = [own[seed] - other[seed] for seed in own]
            row |= {
                f'{name}, bits per byte': statistics.fmean(own.values()),
                f'{name}, sd': statistics.stdev(own.values()) if len(own) > 1 else 0.0,
                f'{name}, against random': statistics.fmean(gaps),
                f'{name}, seeds better': sum(gap < 0 for gap in gaps),
            }
        rows.append(row)
    return rows


def draw(runs: list[dict[str, Any]], path: pathlib.Path) -> None:
    """A panel for each set of texts, a point for each seed."""
    panels = [
        Panel(
            f'{name}\nbits per byte',
            [
                Curve(
                    arm if name == 'algorithms' else '',
                    [arms.ARMS.index(arm)] * len(own),
                    own,
                    number,
                    'points',
                )
                for number, arm in enumerate(arms.ARMS)
                for own in [[run[name] for run in runs if run['arm'] == arm]]
            ],
        )
        for name in ('algorithms', 'tutorial')
    ]
    xlabel = ', '.join(f'{number}: {arm}' for number, arm in enumerate(arms.ARMS))
    report.plot(path, panels, title='What a small phi learns from', xlabel=xlabel)


if __name__ == '__main__':
    main()
