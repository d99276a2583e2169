"""From a trained model in files to one with a longer context, with a report on held-out texts."""

import dataclasses
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from phijax import interop, models, report
from phijax.data import files, packing
from phijax.errors import InputError
from phijax.interop import directory, workdir
from phijax.longrope import baselines, evaluation, results, search, texts
from phijax.longrope import plan as planning
from phijax.longrope.baselines import Method
from phijax.longrope.plan import Plan
from phijax.longrope.search import Scores, Vector
from phijax.train import door

SEARCHED = 'search.json'
RESULT = 'result.json'
MODEL = 'model'

log = logging.getLogger(__name__)


def run(plan: Plan, target: str | os.PathLike[str]) -> str:
    """Searches, writes what came of it into the workdir `target`, and returns a summary to print.

    search.json has every vector with its score and is written after each round: a search that was
    killed goes on from there and ends like one that was not. Then come `model`, a workdir for every
    other command, result.json, and report.md with position.png.

    Raises:
        FileNotFoundError: there is no model at `plan.source`.
        InputError: the model, the texts or what is in the workdir do not fit the plan.
    """
    config, params, tokenizer = interop.open(plan.source)
    planning.check(plan, config)
    rows = read_texts(plan, tokenizer)
    into = Path(target)
    into.mkdir(parents=True, exist_ok=True)
    with files.lock(into):
        on_device = jax.device_put(params)
        scores = _search(plan, config, on_device, rows['search'], into)
        found = choose(plan, config, on_device, scores, rows['selection'])
        larger = planning.extended(config, found, plan.target_length)
        if not (into / MODEL).exists():
            with directory.appearing(into / MODEL) as made:
                workdir.write(made, larger, params, tokenizer, source=plan.source)
        methods = baselines.every(config, plan.target_length) | {results.FOUND: found}
        losses = measure(plan, config, on_device, rows['report'], methods)
        return _tell(plan, larger, scores, results.summarise(methods, losses), into)


def read_texts(plan: Plan, tokenizer: Any) -> dict[str, np.ndarray]:
    """The rows of each set, of tokens that were made with the model's own tokenizer.

    Raises:
        InputError: they were not, they are not there, or too few are long enough.
    """
    place = Path(plan.texts.directory or Path(plan.source) / 'data')
    if not plan.texts.directory and not place.is_dir():
        raise InputError(
            f'texts.directory is empty and {place} is not there: say where the held-out tokens are'
        )
    stated = packing.manifest(place)['tokenizer']['digest']
    if tokenizer is not None and tokenizer.digest != stated:
        raise InputError(
            f'the tokens at {place} were made with another tokenizer than that of {plan.source}'
        )
    return texts.sets(place, plan.texts, plan.target_length)


def choose(
    plan: Plan, config: models.Config, params: Any, scores: Scores, rows: np.ndarray
) -> Method:
    """The finalist of the search that does best on the rows of the selection."""
    vectors = search.best(scores, plan.search.finalists)
    finalists = {vector: planning.method(plan, config, vector) for vector in vectors}
    losses = measure(plan, config, params, rows, finalists)
    return finalists[min(vectors, key=lambda vector: losses[vector].mean())]


def measure(
    plan: Plan, config: models.Config, params: Any, rows: np.ndarray, methods: Mapping[Any, Method]
) -> dict[Any, np.ndarray]:
    """The losses `(texts, length)` of each method, in nats."""
    return {
        name: evaluation.nats(config, params, rows, method, plan.rows_at_once)
        for name, method in methods.items()
    }


def _search(
    plan: Plan, config: models.Config, params: Any, rows: np.ndarray, target: Path
) -> Scores:
    """The scores of an earlier session, if there was one, and those of the rounds that lack."""
    identity: dict[str, Any] = {'plan': dataclasses.asdict(plan), 'model': models.to_dict(config)}
    fresh = identity | {'rounds_done': 0, 'scores': []}
    before = files.read_json(target / SEARCHED) or fresh
    _check_same(target, before, identity)

    def fitness(vector: Vector) -> float:
        method = planning.method(plan, config, vector)
        return float(evaluation.nats(config, params, rows, method, plan.rows_at_once).mean())

    def after_round(rounds_done: int, scores: Scores) -> None:
        state = {'rounds_done': rounds_done, 'scores': list(scores.items())}
        files.write_json(target / SEARCHED, identity | state)
        log.info(
            'round %d of %d: %d vectors tried, lowest loss %.4f nats per token',
            *(rounds_done - 1, plan.search.rounds, len(scores), min(scores.values())),
        )

    return search.search(
        planning.starts(plan, config),
        fitness,
        plan.search,
        ceiling=planning.ceiling(plan, config),
        seed=plan.seed,
        scores={tuple(vector): score for vector, score in before['scores']},
        rounds_done=before['rounds_done'],
        after_round=after_round,
    )


def _check_same(target: Path, before: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    changed = [
        f'{name}: {old} -> {new}'
        for key, value in json.loads(json.dumps(identity)).items()
        for name, old, new in door.differences(key, json.loads(json.dumps(before[key])), value)
    ]
    if changed:
        raise InputError(
            f'{target} holds another search. Changed: {"; ".join(changed)}. Use another workdir.'
        )


def _tell(
    plan: Plan, larger: models.Config, scores: Scores, summary: dict[str, Any], target: Path
) -> str:
    """The summary, after result.json and the report are written."""
    facts = {
        'source': plan.source,
        'original length': larger.original_length,
        'target length': plan.target_length,
        'factors': list(larger.long_factors),
        'magnitude': larger.long_magnitude,
        'seed': plan.seed,
        'vectors tried': len(scores),
        'lowest search loss': min(scores.values()),
    }
    files.write_json(target / RESULT, facts | summary)
    title = f'{plan.source} from {larger.original_length} to {plan.target_length} tokens'
    results.draw(summary, target / 'position.png', title)
    sizes = ', '.join(f'{getattr(plan.texts, name)} for {name}' for name in texts.SETS)
    commands = '\n'.join(results.next_commands(larger, target / MODEL))
    page = results.page(title, facts | {'texts': sizes}, summary, commands)
    (target / 'report.md').write_text(page, 'utf-8')
    return f'{report.table(summary["table"])}\n\n{commands}'
