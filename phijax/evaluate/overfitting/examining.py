"""Every detector on one model, and the report of what they found."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phijax import report
from phijax.data import files
from phijax.errors import InputError
from phijax.evaluate import measuring, running, samples, statistics, tasks
from phijax.evaluate.measuring import Model
from phijax.evaluate.overfitting import canaries, gain, membership, overlap, page
from phijax.evaluate.overfitting.order import order_test
from phijax.evaluate.overfitting.plan import Plan
from phijax.evaluate.overfitting.sets import SETS, Pair, matching
from phijax.evaluate.overfitting.texts import Reader
from phijax.evaluate.overfitting.tokens import TokenScores
from phijax.evaluate.tasks import Execution, Problem

RESULTS = 'overfitting.json'
REPORT = 'overfitting.md'


def run(plan: Plan, checkpoint: str | os.PathLike[str], workdir: str | os.PathLike[str]) -> str:
    """Examines the model at `checkpoint` and returns the table of its tests.

    The workdir gets overfitting.json and overfitting.md.

    Raises:
        FileNotFoundError: there is no model at `checkpoint`.
        InputError: the model, the tokens, the canaries or the evaluation cannot be used.
        SandboxError: the model is to write programs, and the system cannot contain them.
    """
    model, identity = running.load(checkpoint, plan.dtype)
    into = Path(workdir)
    tokens = _tokens(plan, Path(checkpoint))
    with files.lock(into):
        found: dict[str, Any] = {
            'checkpoint': str(checkpoint),
            'identity': identity,
            'settings': dataclasses.asdict(plan),
            'tokens': str(tokens or ''),
            'environment': report.environment(),
            'sets': {name: _examine(plan, name, model, tokens) for name in plan.sets},
            'canaries': _canaries(plan, _reader(plan, model)),
        }
        found['tests'] = page.tests(found)
        files.write_json(into / RESULTS, found)
        (into / REPORT).write_text(page.write(found), 'utf-8')
    return report.table(found['tests'])


def _examine(plan: Plan, name: str, model: Model, tokens: Path | None) -> dict[str, Any]:
    """What the detectors say of one published set."""
    pairs = SETS[name](plan.seed)[: plan.limit or None]
    reader = _reader(plan, model)
    public = [pair.text for pair in pairs]
    scores = reader.scores(public)
    twins = [place for place, pair in enumerate(pairs) if pair.twin is not None]
    members, others = [public[i] for i in twins], [str(pairs[i].twin) for i in twins]
    own, theirs = [scores[i] for i in twins], reader.scores(others)
    likelihoods = membership.per_character(members, own), membership.per_character(others, theirs)
    sides = _model_scores(reader, members, own), _model_scores(reader, others, theirs)
    both = {detector: (first, sides[1][detector]) for detector, first in sides[0].items()}
    order = order_test(
        public,
        reader.log_likelihoods,
        shards=plan.shards,
        permutations=plan.permutations,
        seed=plan.seed,
    )
    return {
        'items': len(pairs),
        'twins': len(twins),
        'matching': matching(pairs),
        'nats per character': [float(side.mean()) for side in likelihoods],
        'likelihood gap': statistics.difference(*likelihoods)._asdict(),
        'detectors': {
            detector: {**each.auroc._asdict(), 'blind': each.blind}
            for detector, each in membership.detectors(members, others, both).items()
        },
        'order': order._asdict(),
        'accuracy gap': _accuracies(plan, name, model, pairs),
        'training': _training(plan, name, model, pairs, tokens),
    }


def _model_scores(
    reader: Reader, texts: Sequence[str], scores: Sequence[TokenScores]
) -> dict[str, np.ndarray]:
    lowered = reader.scores([text.lower() for text in texts])
    return membership.model_scores(texts, scores, lowered)


def _accuracies(
    plan: Plan, name: str, model: Model, pairs: Sequence[Pair]
) -> dict[str, Any] | None:
    """How much better items are answered than their twins; None where none are asked."""
    asked = [pair.problems for pair in pairs if pair.problems][: plan.answered]
    if not asked:
        return None
    settings = measuring.Settings(
        rows_at_once=plan.rows_at_once,
        max_new_tokens=plan.max_new_tokens,
        execution=Execution(workers=os.cpu_count() or 1),
    )
    problems: list[Problem] = [problem for both in asked for problem in both]
    right = {
        record['id']: bool(record['correct'])
        for record in measuring.measure(model, tasks.task(name), problems, settings)
    }
    sides = [[right[both[side].id] for both in asked] for side in (0, 1)]
    return {
        'items': len(asked),
        'accuracy': [sum(side) / len(side) for side in sides],
        **statistics.difference(*sides)._asdict(),
        'p': statistics.mcnemar(*sides),
    }


def _training(
    plan: Plan, name: str, model: Model, pairs: Sequence[Pair], tokens: Path | None
) -> dict[str, Any] | None:
    """What of the set stands in the training tokens; None without them."""
    if tokens is None:
        return None
    items = [model.tokenizer.encode(pair.text) for pair in pairs]
    matches = overlap.matches(items, tokens)
    found: dict[str, Any] = {
        'items with a match': sum(match.longest > 0 for match in matches),
        'longest match, tokens': max(match.longest for match in matches),
        'items covered by half': sum(match.score > 1 / 2 for match in matches),
        'most matched': [
            {'id': pairs[i].id, 'longest': matches[i].longest, 'tokens': matches[i].tokens}
            for i in sorted(range(len(pairs)), key=lambda i: -matches[i].score)[:5]
        ],
    }
    if plan.evaluation:
        right = _right(Path(plan.evaluation) / 'samples' / f'{name}.jsonl')
        found['gain'] = _gain(pairs, matches, right)
    return found


def _gain(
    pairs: Sequence[Pair], matches: Sequence[overlap.Match], right: dict[str, bool]
) -> dict[str, Any]:
    """How much of the accuracy on the items that were answered is due to matches."""
    known = [place for place, pair in enumerate(pairs) if pair.id in right]
    own = [matches[i] for i in known], [right[pairs[i].id] for i in known]
    gained = gain.performance_gain(*own)
    return {
        'accuracy': gained.accuracy,
        'p': gained.p_value,
        'curve': [point._asdict() for point in gained.curve],
        'chosen': gained.chosen and gained.chosen._asdict(),
    }


def _right(path: Path) -> dict[str, bool]:
    if not path.is_file():
        raise InputError(f'there are no answers at {path}: evaluate that task first')
    return {record['id']: bool(record['correct']) for record in samples.read(path)}


def _canaries(plan: Plan, reader: Reader) -> list[dict[str, Any]]:
    """The exposure of each canary."""
    return list(_exposed(plan, reader)) if plan.canaries else []


def _exposed(plan: Plan, reader: Reader) -> Iterator[dict[str, Any]]:
    planted = canaries.planted(plan.canaries)
    exposed = canaries.exposures(planted, reader.log_likelihoods, plan.references, plan.seed)
    for canary, one in zip(planted, exposed, strict=True):
        yield {'text': canary.text, 'copies': canary.copies, **one._asdict(), 'p': one.p_value}


def _reader(plan: Plan, model: Model) -> Reader:
    return Reader(model.config, model.params, model.tokenizer, plan.rows_at_once)


def _tokens(plan: Plan, checkpoint: Path) -> Path | None:
    """The directory of the training tokens, where there is one."""
    if plan.tokens:
        return Path(plan.tokens)
    workdir = checkpoint.parent.parent if checkpoint.parent.name == 'checkpoints' else checkpoint
    own = workdir / 'data'
    return own if (own / 'manifest.json').is_file() else None
