"""A real model on real benchmarks: phijax beside lm-evaluation-harness with transformers.

    pip install -e '.[hf,eval]'
    python experiments/evaluation/run.py --workdir=runs/evaluation            # all items, hours
    python experiments/evaluation/run.py --workdir=runs/evaluation --limit=100

Both score the same texts with the same float32 weights, in turns of a hundred items, so that what
else the machine does falls on both. A run that was interrupted goes on where it was.
"""

import argparse
import json
import pathlib
import sys
import time

import jax
import numpy as np
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from phijax import assets, interop
from phijax.evaluate import encoding, likelihood, statistics, tasks
from phijax.interop import huggingface

MODEL = 'SmolLM2-135M-Instruct.Q4_1.gguf'
LIMITS = {
    'arc_easy': 0,
    'arc_challenge': 0,
    'piqa': 0,
    'hellaswag': 500,
    'winogrande': 0,
    'openbookqa': 0,
}
# Figures of others for the unquantised model, zero-shot with lm-evaluation-harness; third-party.
REPORTED = {
    'arc_challenge': ('accuracy_per_character', 27.7),
    'arc_easy': ('accuracy', 54.1),
    'hellaswag': ('accuracy_per_character', 43.0),
    'piqa': ('accuracy_per_character', 66.9),
}
TURN = 100


class Ours:
    """phijax's scores."""

    def __init__(self, model: tuple) -> None:
        config, params, self.tokenizer = model
        self.config, self.params = config, jax.device_put(params)

    def score(self, pairs: list[tuple[str, str]]) -> list[tuple[float, bool]]:
        requests = encoding.encode_pairs(pairs, self.tokenizer)
        scores = likelihood.score(self.config, self.params, requests)
        return [(score.log_likelihood, score.greedy) for score in scores]


class Theirs:
    """The scores of the harness's own model of transformers."""

    def __init__(self, directory: pathlib.Path, batch_size: int) -> None:
        self.model = HFLM(
            pretrained=str(directory), device='cpu', dtype='float32', batch_size=batch_size
        )

    def score(self, pairs: list[tuple[str, str]]) -> list[tuple[float, bool]]:
        instances = [
            Instance(request_type='loglikelihood', doc={}, arguments=pair, idx=number)
            for number, pair in enumerate(pairs)
        ]
        return self.model.loglikelihood(instances, disable_tqdm=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--workdir', type=pathlib.Path, default='runs/evaluation')
    parser.add_argument('--limit', type=int, default=0)
    parser.add_argument('--tasks', default=','.join(LIMITS))
    parser.add_argument('--batch_size', type=int, default=16)
    flags = parser.parse_args()
    flags.workdir.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(len(__import__('os').sched_getaffinity(0)))
    model = interop.open(assets.fetch('smollm2-135m') / MODEL)
    directory = flags.workdir / 'huggingface'
    if not directory.exists():
        huggingface.save(*model[:2], directory, tokenizer=model[2])
    sides = {'phijax': Ours(model), 'transformers': Theirs(directory, flags.batch_size)}
    results = {}
    for name in flags.tasks.split(','):
        limit = flags.limit or LIMITS[name]
        lines = list(turns(name, limit, sides, flags.workdir / f'{name}.{limit}.jsonl'))
        results[name] = compare(name, limit, lines)
        print(json.dumps({name: results[name]}, indent=1), flush=True)
    target = flags.workdir / 'results.json'
    target.write_text(json.dumps(results, indent=1) + '\n')


def turns(name: str, limit: int, sides: dict, path: pathlib.Path):
    """The scores of all items, a hundred at a time, the sides taking turns at going first."""
    items = tasks.task(name).items(0)[: limit or None]
    done = path.read_text().splitlines() if path.exists() else []
    yield from map(json.loads, done)
    for start in range(len(done) * TURN, len(items), TURN):
        part = items[start : start + TURN]
        pairs = [pair for item in part for pair in encoding.pairs(item)]
        line = {'first': start, 'items': len(part), 'warm': bool(start)}
        order = list(sides) if start // TURN % 2 else list(sides)[::-1]
        for side in order:
            if not start:  # compiles, and lets both touch their memory
                sides[side].score(pairs)
            began = time.perf_counter()
            line[side] = [(float(nats), bool(greedy)) for nats, greedy in sides[side].score(pairs)]
            line[f'{side}_seconds'] = time.perf_counter() - began
        with path.open('a') as file:
            file.write(json.dumps(line) + '\n')
        print(f'{name} {start + len(part)}/{len(items)}', file=sys.stderr, flush=True)
        yield line


def compare(name: str, limit: int, lines: list[dict]) -> dict:
    """Agreement, scores and speed."""
    items = tasks.task(name).items(0)[: limit or None]
    both = {side: [score for line in lines for score in line[side]] for side in SIDES}
    nats = {side: np.array([score[0] for score in scores]) for side, scores in both.items()}
    difference = np.abs(nats['phijax'] - nats['transformers'])
    greedy = sum(a[1] != b[1] for a, b in zip(*both.values(), strict=True))
    seconds = {side: sum(line[f'{side}_seconds'] for line in lines) for side in SIDES}
    found = {
        'items': len(items),
        'continuations': len(difference),
        'largest difference of log-likelihoods, nats': float(difference.max()),
        'median difference': float(np.median(difference)),
        'above 1e-4': int((difference > 1e-4).sum()),
        'largest log-likelihood, nats': float(np.abs(nats['phijax']).max()),
        'greedy differs': greedy,
        'items per second': {side: len(items) / seconds[side] for side in SIDES},
        'times as fast': seconds['transformers'] / seconds['phijax'],
    }
    for metric in ('accuracy', 'accuracy_per_character'):
        right = {side: correct(items, nats[side], metric) for side in SIDES}
        share = statistics.share(sum(right['phijax']), len(items))
        found[metric] = {
            'phijax': 100 * share.value,
            'transformers': 100 * sum(right['transformers']) / len(items),
            '95 %': [100 * share.low, 100 * share.high],
            'items chosen otherwise': sum(a != b for a, b in zip(*right.values(), strict=True)),
        }
    if name in REPORTED:
        found['reported by others'] = dict([REPORTED[name]])
    return found


def correct(items: list, nats: np.ndarray, metric: str) -> list[bool]:
    """Which items are right."""
    values, start = [], 0
    for item in items:
        own = nats[start : start + len(item.answers)]
        start += len(item.answers)
        if metric == 'accuracy_per_character':
            own = own / np.array([len(answer) for answer in item.answers])
        values.append(int(own.argmax()) == item.gold)
    return values


SIDES = ('phijax', 'transformers')

if __name__ == '__main__':
    main()
