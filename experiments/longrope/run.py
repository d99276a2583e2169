"""Searched factors against published ones: `python experiments/longrope/run.py [smoke|cpu|gpu]`.

Trains a small model on short rows, searches, trains on with the factors, and writes results.json
and position.png beside this file (smoke: into its runs). What is done already is not done again.
"""

import itertools
import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

import jax
import numpy as np

from phijax import interop, longrope, models, report
from phijax.longrope import baselines, files, results
from phijax.longrope import plan as planning
from phijax.train import start

HERE = pathlib.Path(__file__).resolve().parent
ROOTS = {
    'smoke': 'runs/longrope_study_smoke',
    'cpu': 'runs/longrope_study',
    'gpu': 'runs/longrope_gpu',
}
LENGTH = 128
STRETCHES = (4, 8)
SEEDS = {'smoke': (0,), 'cpu': (0, 1, 2), 'gpu': (0, 1, 2)}
STEPS = {'smoke': 20, 'cpu': 1000, 'gpu': 6000}
TUNED = {'smoke': 4, 'cpu': 60, 'gpu': 400}
TEXTS = {
    'smoke': {'directory': '', 'search': 2, 'selection': 2, 'report': 4},
    'cpu': {'directory': '', 'search': 5, 'selection': 8, 'report': 40},
    'gpu': {'directory': '', 'search': 5, 'selection': 8, 'report': 40},
}
SEARCH = {
    'smoke': {'population': 6, 'parents': 3, 'mutations': 2, 'crossovers': 2},
    'cpu': {'population': 32, 'parents': 16, 'mutations': 8, 'crossovers': 8},
    'gpu': {'population': 64, 'parents': 32, 'mutations': 16, 'crossovers': 16},
}
ROUNDS = {'smoke': {4: 2, 8: 2}, 'cpu': {4: 16, 8: 6}, 'gpu': {4: 40, 8: 40}}
MAGNITUDE = 'none'
TURNS = (32.0, 16.0, 8.0, 4.0, 2.0, 1.5), (1.0, 0.5, 0.25)
WIDTHS = {'embed_dim': 192, 'mlp_dim': 768, 'rotary_dim': 32}
SIZES = WIDTHS | {'num_heads': 6, 'num_kv_heads': 6}
# Shared by training and fine-tuning.
RUN = {'evaluate_every': 500, 'evaluate_rows': 512}


def main(variant: str) -> None:
    """Everything, in order."""
    start.keep_memory()
    train(variant)
    searched = {stretch: search(variant, stretch) for stretch in STRETCHES}
    tuned = finetune(variant)
    target = pathlib.Path(ROOTS[variant]) if variant == 'smoke' else HERE
    measured = {
        'variant': variant,
        'environment': report.environment(),
        'stretches': {
            stretch: measure(variant, stretch, found) for stretch, found in searched.items()
        },
        'finetuned': tuned,
    }
    (target / 'results.json').write_text(json.dumps(measured, indent=1) + '\n')
    draw(measured, target / 'position.png')
    for stretch, each in measured['stretches'].items():
        print(f'\n{stretch} times\n{report.table(each["table"])}')
    print(f'\nafter training on longer rows\n{report.table(tuned["table"])}')


def train(variant: str) -> None:
    """The model, on rows of `LENGTH` tokens; a quarter of the standard library is held out."""
    fields = RUN | {f'model.{name}': value for name, value in SIZES.items()}
    fields |= {'num_steps': STEPS[variant], 'batch_size': 16, 'data.length': LENGTH}
    fields |= {'model.max_length': LENGTH, 'data.prepare.heldout_fraction': 0.25}
    command('configs/quickstart.py', f'{ROOTS[variant]}/small', fields)


def search(variant: str, stretch: int) -> list[dict[str, Any]]:
    """What each seed found."""
    found = []
    for seed in SEEDS[variant]:
        target = place(variant, stretch, seed)
        if not (target / 'result.json').exists():
            longrope.run(plan(variant, stretch, seed), target)
        found.append(json.loads((target / 'result.json').read_text()))
    return found


def place(variant: str, stretch: int, seed: int) -> pathlib.Path:
    """The workdir of a search."""
    return pathlib.Path(ROOTS[variant]) / f'x{stretch}' / f'seed{seed}'


def plan(variant: str, stretch: int, seed: int) -> longrope.Plan:
    """The search of one seed."""
    amounts = {'probability': 0.3, 'ceiling': 1.25, 'budget': 2000, 'finalists': 8}
    amounts |= {'rounds': ROUNDS[variant][stretch]}
    fields = {
        'source': f'{ROOTS[variant]}/small',
        'target_length': stretch * LENGTH,
        'magnitude': MAGNITUDE,
        'seed': seed,
        'rows_at_once': 5,
        'texts': TEXTS[variant],
        'search': SEARCH[variant] | amounts,
    }
    return longrope.from_dict(fields)


def measure(variant: str, stretch: int, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean over seeds, text by text, against the methods that have no seed."""
    names = [row['method'] for row in found[0]['table']]
    losses = {name: by_text(found, name) for name in names}
    losses |= yarns(variant, stretch)
    return {
        'table': results.compare(losses, results.FOUND),
        'rounds': ROUNDS[variant][stretch],
        'texts': len(losses[results.FOUND]),
        'seeds': [
            {
                'nats per token': statistics.fmean(each['nats_by_text'][results.FOUND]),
                'search loss': each['lowest search loss'],
                'vectors tried': each['vectors tried'],
                'factors': each['factors'],
            }
            for each in found
        ],
        'positions': found[0]['positions'],
        'perplexity': {name: [each['perplexity'][name] for each in found] for name in names},
    }


def yarns(variant: str, stretch: int) -> dict[str, np.ndarray]:
    """The losses, as one column, of YaRN with what the search has: no magnitude, a ramp that fits.

    The turns between which YaRN's ramp runs are Llama's; these are the best on the search's texts.
    """
    searching = plan(variant, stretch, 0)
    config, params, tokenizer = interop.open(searching.source)
    params = jax.device_put(params)
    rows = files.read_texts(searching, tokenizer)
    ramps = {
        turns: baselines.Method(
            baselines.yarn(config, stretch, beta_fast=turns[0], beta_slow=turns[1]).factors
        )
        for turns in itertools.product(*TURNS)
    }
    tried = files.measure(searching, config, params, rows['search'], ramps)
    best = min(ramps, key=lambda turns: tried[turns].mean())
    methods = {
        'yarn without its magnitude': ramps[32.0, 1.0],
        f'yarn so, from {best[0]:g} turns to {best[1]:g}': ramps[best],
    }
    losses = files.measure(searching, config, params, rows['report'], methods)
    return {name: each.mean(axis=1, keepdims=True) for name, each in losses.items()}


def by_text(found: list[dict[str, Any]], name: str) -> np.ndarray:
    """The loss of each text, the mean over seeds, as one column."""
    return np.mean([each['nats_by_text'][name] for each in found], axis=0)[:, None]


def finetune(variant: str) -> dict[str, Any]:
    """Linear, YaRN's and found factors after some training on rows of four times the length."""
    short, stretch, seed = f'{ROOTS[variant]}/small', STRETCHES[0], SEEDS[variant][0]
    config, _, tokenizer = interop.open(short)
    searching = plan(variant, stretch, seed)
    rows = files.read_texts(searching, tokenizer)['report']
    result = json.loads((place(variant, stretch, seed) / 'result.json').read_text())
    methods = {
        'linear': baselines.linear(config, stretch),
        'yarn': baselines.yarn(config, stretch),
        results.FOUND: baselines.Method(tuple(result['factors']), result['magnitude']),
    }
    losses: dict[str, np.ndarray] = {}
    for name, method in methods.items():
        workdir = f'{ROOTS[variant]}/tuned/{name}'
        longer = planning.extended(config, method, stretch * LENGTH)
        tune(variant, workdir, longer)
        params = jax.device_put(interop.open(workdir)[1])
        losses |= files.measure(searching, config, params, rows, {name: method})
    return {
        'steps': TUNED[variant],
        'tokens': TUNED[variant] * 8 * stretch * LENGTH,
        'texts': len(rows),
        'table': results.compare(losses, results.FOUND),
    }


def tune(variant: str, workdir: str, longer: models.Config) -> None:
    """Trains on from the model of short rows; no source has factors, so any may be given."""
    fields = {f'model.{name}': value for name, value in models.to_dict(longer).items()}
    fields |= {'num_steps': TUNED[variant], 'data.length': longer.max_length}
    fields |= {'init_from': f'{ROOTS[variant]}/small', 'checkpoints.every': TUNED[variant]}
    fields |= {'data.directory': f'{ROOTS[variant]}/small/data', 'evaluate_every': 0}
    command('configs/longrope/finetune.py', workdir, fields)


def command(config: str, workdir: str, fields: dict[str, Any]) -> None:
    """A run of training, to its end; one that has ended is not begun again."""
    if (pathlib.Path(workdir) / 'report.md').exists():
        return
    flags = [f'--config.{name}={value}' for name, value in fields.items()]
    train = [sys.executable, '-m', 'phijax.train', f'--config={config}', f'--workdir={workdir}']
    subprocess.run([*train, *flags], check=True)


def draw(measured: dict[str, Any], path: pathlib.Path) -> None:
    """Perplexity against position; a band is the range over seeds."""
    panels = []
    for stretch, each in measured['stretches'].items():
        curves = []
        for colour, (name, seeds) in enumerate(each['perplexity'].items()):
            columns = list(zip(*seeds, strict=True))
            low, high = ([pick(column) for column in columns] for pick in (min, max))
            mean = [statistics.fmean(column) for column in columns]
            curve = report.Curve(name, each['positions'], mean, colour, low=low, high=high)
            curves.append(curve)
        panels.append(report.Panel(f'{stretch} times:\nperplexity', curves, 2.5))
    report.plot(path, panels, title=f'Beyond {LENGTH} tokens', xlabel='position in the row')


if __name__ == '__main__':
    main(sys.argv[1] if len(sys.argv) > 1 else 'cpu')
