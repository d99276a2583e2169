"""Held-out loss of each source while a run goes on."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from phijax import evaluate, models, partitioning
from phijax.data import conversations, mixture, packing, tokenizer
from phijax.train import losses
from phijax.train.losses import Batch
from phijax.train.recipe import Recipe

Evaluate = Callable[[Any, Batch], tuple[jax.Array, ...]]


def heldout(
    recipe: Recipe,
    directory: pathlib.Path,
    weights: Any,
    evaluate: Evaluate,
    place: Callable[[dict[str, np.ndarray]], Batch],
    rows: int,
    check: Callable[[], None],
) -> dict[str, float]:
    """Loss in nats per token and bits per byte of the text, over all sources and for each.

    Bits per byte compare models across tokenizers: the sum of the loss in bits over the UTF-8
    bytes of the documents; the text's share is counted when only some rows are evaluated. In a
    chat both are of what the assistant says. A preference has a loss per pair, and its measures
    instead of bits. Sources that have not the objective's form are left out.

    Args:
        weights: what `step.weights` gives.
        place: puts a process's part of a batch onto the mesh.
        rows: rows per batch, over all processes.
        check: called between batches; it may raise to end the evaluation.
    """
    manifest = packing.manifest(directory)
    values: dict[str, float] = {}
    totals = np.zeros(3 + len(losses.MEASURES[recipe.objective.kind]))
    for source, entry in manifest['sources'].items():
        split = entry['splits']['heldout']
        if split['tokens'] < 2 or not conversations.fits(recipe.objective.form, entry):
            continue
        sums = np.zeros(len(totals) - 1)
        for batch in _batches(recipe, directory, source, rows):
            check()
            sums += np.array(evaluate(weights, place(batch)), float)
        num_bytes = _num_bytes(recipe, split, sums[1])
        totals += (num_bytes, *sums)
        values |= _means(recipe, num_bytes, *sums, suffix=f'/{source}')
    return _means(recipe, *totals) | values if totals[2] else {}


def benchmarks(
    recipe: Recipe,
    directory: pathlib.Path,
    params: models.Params,
    mesh: jax.sharding.Mesh,
    check: Callable[[], None],
) -> dict[str, float]:
    """What the recipe's benchmarks come to: `benchmark/TASK`, and the same with `_low`, `_high`.

    The last two are the ends of the 95 % interval over the items.

    Args:
        check: called between items; it may raise to end the evaluation.
    """
    config = dataclasses.replace(recipe.model, attention='blocked')
    model = evaluate.Model(config, params, tokenizer.load(directory / 'tokenizer'))
    settings = evaluate.Settings(style=recipe.benchmarks.style, seed=recipe.seed)
    values = {}
    with partitioning.activations(mesh):
        for task in recipe.benchmarks.chosen():
            items = evaluate.first(task.items(task.shots), recipe.benchmarks.limit)
            records = []
            for record in evaluate.measure(model, task, items, settings):
                check()
                records.append(record)
            summary = evaluate.summarise(task, records)
            figure = summary['metrics'][summary['primary']]
            name = f'benchmark/{task.name}'
            values[name] = figure['value']
            values |= {f'{name}_{end}': figure[end] for end in ('low', 'high')}
    return values


def _num_bytes(recipe: Recipe, split: dict[str, Any], count: float) -> float:
    """The share of the text that so many predicted tokens are."""
    if recipe.objective.form == 'chat' and 'learned' in split:
        return split['learned_bytes'] * count / split['learned']
    return split['bytes'] * count / (split['tokens'] - 1)


def _means(
    recipe: Recipe,
    num_bytes: float,
    loss: float,
    count: float,
    *measures: float,
    suffix: str = '',
) -> dict[str, float]:
    """The numbers to report, from sums over the terms of the loss."""
    names = losses.MEASURES[recipe.objective.kind]
    means = {'loss': loss / count}
    if not recipe.objective.has_pairs:
        means['bits_per_byte'] = loss / math.log(2) / num_bytes
    means |= {name: total / count for name, total in zip(names, measures, strict=True)}
    return {name + suffix: float(value) for name, value in means.items()}


def _batches(
    recipe: Recipe, directory: pathlib.Path, source: str, rows: int
) -> Iterator[dict[str, np.ndarray]]:
    """This process's rows of each batch."""
    part = rows // jax.process_count()
    own = slice(jax.process_index() * part, (jax.process_index() + 1) * part)
    batches = mixture.heldout(
        directory,
        source,
        length=recipe.data.length,
        batch_size=rows,
        form=recipe.objective.form,
        max_rows=recipe.evaluate_rows or None,
    )
    for batch in batches:
        yield {name: value[own] for name, value in batch.items()}
