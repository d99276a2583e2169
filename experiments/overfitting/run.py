"""Detectors on models whose contamination is known.

    python experiments/overfitting/run.py --seeds=3 --workdir=runs/overfitting

Trains a small phi for each seed on text with leaked test sets, asks every detector, and writes
results.json and doses.png beside this file (with --smoke: into the workdir). What is done already
is not done again.
"""

import argparse
import json
import pathlib
import runpy
import sys
import time
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import data  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import summary  # noqa: E402

from phijax import command, interop  # noqa: E402
from phijax.data import packing  # noqa: E402
from phijax.evaluate import statistics  # noqa: E402
from phijax.evaluate.overfitting import canaries, gain, membership, overlap  # noqa: E402
from phijax.evaluate.overfitting.order import order_test  # noqa: E402
from phijax.evaluate.overfitting.texts import Reader  # noqa: E402
from phijax.evaluate.overfitting.twins import questions  # noqa: E402
from phijax.train import recipe, start  # noqa: E402

FULL = data.Sizes(
    items=40,
    background=600,
    num_bytes=1_200_000,
    canaries=3,
    references=255,
    shards=10,
    permutations=8,
)
SMOKE = data.Sizes(
    items=8,
    background=40,
    num_bytes=100_000,
    canaries=1,
    references=31,
    shards=4,
    permutations=2,
)
BATCH, LENGTH = 8, 256


def main() -> None:
    """Everything, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--workdir', type=pathlib.Path, default=pathlib.Path('runs/overfitting'))
    parser.add_argument('--smoke', action='store_true')
    flags = parser.parse_args()
    start.keep_memory()
    sizes = SMOKE if flags.smoke else FULL
    models = [study(seed, sizes, flags.workdir / f'seed{seed}') for seed in range(flags.seeds)]
    target = flags.workdir if flags.smoke else HERE
    results = summary.summarise(models)
    (target / 'results.json').write_text(json.dumps(results, indent=1) + '\n')
    summary.draw(results, target / 'doses.png')
    print(summary.page(results))


def study(seed: int, sizes: data.Sizes, workdir: pathlib.Path) -> dict[str, Any]:
    """What all detectors said of one model, measured once."""
    path = workdir / 'measured.json'
    if not path.exists():
        tokens = data.make(seed, sizes, workdir)
        began = time.monotonic()
        train(seed, tokens, workdir / 'model')
        trained = time.monotonic()
        measured = {'seed': seed, **measure(seed, sizes, workdir)}
        seconds = {'train': trained - began, 'measure': time.monotonic() - trained}
        path.write_text(json.dumps(measured | {'seconds': seconds}) + '\n')
    return json.loads(path.read_text())


def train(seed: int, tokens: pathlib.Path, workdir: pathlib.Path) -> None:
    """Quickstart's model, once over the tokens."""
    make = runpy.run_path(str(HERE.parents[1] / 'configs' / 'quickstart.py'))['get_config']
    fields = command.plain(make())
    windows = len(packing.Windows(tokens, 'text', 'train', LENGTH))
    steps = windows // BATCH
    fields |= {'num_steps': steps, 'batch_size': BATCH, 'seed': seed, 'evaluate_every': 0}
    fields['data'] |= {'directory': str(tokens), 'prepare': {}}
    fields['optimizer']['warmup_steps'] = steps // 10
    fields['checkpoints']['every'] = steps
    code = start.train(recipe.from_dict(fields), workdir)
    if code:
        raise SystemExit(f'training ended with {code}')


def measure(seed: int, sizes: data.Sizes, workdir: pathlib.Path) -> dict[str, Any]:
    """What the detectors say of each split, and of the model as a whole."""
    config, params, tokenizer = interop.open(workdir / 'model')
    if tokenizer is None:
        raise SystemExit(f'{workdir} has no tokenizer')
    reader = Reader(config, jax.device_put(params), tokenizer, 64)
    splits, _ = data.splits(seed, sizes)
    texts = [[data.text(question) for question in each.public + each.twin] for each in splits]
    items = [tokenizer.encode(text) for own in texts for text in own]
    matches = overlap.matches(items, workdir / 'tokens')
    rows, right = [], []
    for number, split in enumerate(splits):
        own = matches[2 * sizes.items * number :][: 2 * sizes.items]
        row, correct = measure_split(split, texts[number], own, reader, sizes, seed)
        rows.append({'dose': split.dose, 'ordered': split.ordered, **row})
        right += correct
    found = gain.performance_gain(matches, right)
    planted = canaries.planted(workdir / 'canaries' / canaries.PLANTED)
    exposed = canaries.exposures(planted, reader.log_likelihoods, sizes.references)
    return {
        'splits': rows,
        'gain': [found.accuracy, [point._asdict() for point in found.curve], found.p_value],
        'canaries': [
            {'copies': each.copies, 'exposure': one.exposure, 'p_value': one.p_value}
            for each, one in zip(planted, exposed, strict=True)
        ],
    }


def measure_split(
    split: data.Split,
    texts: list[str],
    matches: list[overlap.Match],
    reader: Reader,
    sizes: data.Sizes,
    seed: int,
) -> tuple[dict[str, Any], list[bool]]:
    """The detectors' figures of one split, and which of its items are answered rightly."""
    scores = reader.scores(texts)
    lowered = reader.scores([text.lower() for text in texts])
    found = membership.model_scores(texts, scores, lowered)
    found['per character'] = membership.per_character(texts, scores)
    right = answers(split.public + split.twin, reader, seed)
    found['accuracy'] = np.array(right, float)
    found['longest n-gram'] = np.array([match.score for match in matches])
    half = sizes.items
    both = {name: (values[:half], values[half:]) for name, values in found.items()}
    both |= membership.blind_scores(texts[:half], texts[half:])
    row: dict[str, Any] = {name: compared(*values) for name, values in both.items()}
    for name, own in (('order', texts[:half]), ('order of the twin', texts[half:])):
        tested = order_test(
            own,
            reader.log_likelihoods,
            shards=sizes.shards,
            permutations=sizes.permutations,
            seed=seed,
        )
        row[name] = {'p_value': tested.p_value, 'gap': tested.preference}
    return row, right


def compared(public: np.ndarray, twin: np.ndarray) -> dict[str, float]:
    """How far the public half is above its twin."""
    return {
        'auroc': statistics.auroc(public, twin).value,
        'p_value': statistics.rank_test(public, twin),
        'gap': float(public.mean() - twin.mean()),
    }


def answers(own: list[questions.Question], reader: Reader, seed: int) -> list[bool]:
    """Whether the right one of four answers is the likeliest, for each question."""
    given = [questions.choices(question, seed) for question in own]
    texts = [
        data.text(question, value)
        for question, (values, _) in zip(own, given, strict=True)
        for value in values
    ]
    likely = np.reshape(reader.log_likelihoods(texts), (len(own), -1)).argmax(axis=1)
    return [bool(place == gold) for place, (_, gold) in zip(likely, given, strict=True)]


if __name__ == '__main__':
    main()
