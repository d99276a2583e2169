"""Held-out loss of each source while a run goes on."""

import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from phijax.data import mixture, packing
from phijax.train.losses import Batch
from phijax.train.recipe import Recipe

Evaluate = Callable[[Any, Batch], tuple[jax.Array, jax.Array]]


def heldout(
    recipe: Recipe,
    directory: pathlib.Path,
    params: Any,
    evaluate: Evaluate,
    place: Callable[[dict[str, np.ndarray]], Batch],
    rows: int,
    check: Callable[[], None],
) -> dict[str, float]:
    """Loss in nats per token and bits per byte of the text, over all sources and for each.

    Bits per byte compare models across tokenizers: the sum of the loss in bits over the UTF-8
    bytes of the documents; the text's share is counted when only some rows are evaluated.

    Args:
        place: puts a process's part of a batch onto the mesh.
        rows: rows per batch, over all processes.
        check: called between batches; it may raise to end the evaluation.
    """
    manifest = packing.manifest(directory)
    values: dict[str, float] = {}
    totals = np.zeros(3)
    for source, entry in manifest['sources'].items():
        split = entry['splits']['heldout']
        if split['tokens'] < 2:
            continue
        nats, count = 0.0, 0.0
        for batch in _batches(recipe, directory, source, rows):
            check()
            batch_nats, batch_count = evaluate(params, place(batch))
            nats, count = nats + float(batch_nats), count + float(batch_count)
        size = split['bytes'] * count / (split['tokens'] - 1)
        totals += (nats, count, size)
        values[f'loss/{source}'] = nats / count
        values[f'bits_per_byte/{source}'] = nats / math.log(2) / size
    nats, count, size = totals
    if not count:
        return {}
    return {'loss': nats / count, 'bits_per_byte': nats / math.log(2) / size} | values


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
        max_rows=recipe.evaluate_rows or None,
    )
    for batch in batches:
        yield {name: value[own] for name, value in batch.items()}
