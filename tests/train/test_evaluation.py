"""Held-out loss and bits per byte against sums over all held-out tokens by hand."""

import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from phijax import models
from phijax.train import evaluation, losses, recipe
from tests.train import tiny


@pytest.fixture(scope='module')
def params() -> Any:
    shapes = jax.eval_shape(lambda: models.init(tiny.make().model, jax.random.key(0)))
    draw = np.random.default_rng(0)
    return jax.tree.map(lambda x: np.float32(draw.normal(0, 0.2, x.shape)), shapes)


@pytest.fixture
def heldout(tokens: pathlib.Path, params: Any) -> Callable[..., dict[str, float]]:
    """`heldout(recipe, rows)`: the evaluation in batches of so many rows."""

    def run(run: recipe.Recipe, rows: int, check: Callable[[], None] = int) -> dict[str, float]:
        @jax.jit
        def evaluate(params: Any, batch: losses.Batch) -> Any:
            return losses.pretraining(run.model, params, batch)

        return evaluation.heldout(run, tokens, params, evaluate, lambda x: x, rows, check)

    return run


def nats(tokens: pathlib.Path, params: Any, source: str) -> tuple[np.ndarray, int]:
    """The loss of each held-out token but the first, in rows of 16; and the bytes of the text."""
    manifest = json.loads((tokens / 'manifest.json').read_text())
    split = manifest['sources'][source]['splits']['heldout']
    flat = np.fromfile(tokens / split['shards'][0]['file'], manifest['dtype']).astype(np.int32)
    rows = -(-(len(flat) - 1) // 16)
    padded = np.pad(flat, (0, rows * 16 + 1 - len(flat)))
    inputs, targets = padded[:-1].reshape(rows, 16), padded[1:].reshape(rows, 16)
    logits, _ = jax.jit(models.apply, static_argnums=0)(tiny.make().model, params, inputs)
    scores = jax.nn.log_softmax(np.asarray(logits, np.float64))
    taken = -np.take_along_axis(np.asarray(scores), targets[..., None], -1).ravel()
    return taken[: len(flat) - 1], split['bytes']


@pytest.mark.parametrize('rows', [7, 64])
def test_losses_are_over_every_heldout_token(
    tokens: pathlib.Path, params: Any, heldout: Callable, rows: int
) -> None:
    found = heldout(tiny.make(evaluate_rows=0), rows)
    sums = {source: nats(tokens, params, source) for source in ('argparse', 'textwrap')}
    expected = {}
    for source, (each, size) in sums.items():
        expected[f'loss/{source}'] = each.mean()
        expected[f'bits_per_byte/{source}'] = each.sum() / math.log(2) / size
    total = np.concatenate([each for each, _ in sums.values()])
    size = sum(size for _, size in sums.values())
    expected |= {'loss': total.mean(), 'bits_per_byte': total.sum() / math.log(2) / size}
    assert found == pytest.approx(expected, rel=1e-5)


def test_few_rows_stand_for_their_share_of_the_text(
    tokens: pathlib.Path, params: Any, heldout: Callable
) -> None:
    found = heldout(tiny.make(evaluate_rows=5), 4)
    each, size = nats(tokens, params, 'argparse')
    share = size * 80 / len(each)
    assert found['loss/argparse'] == pytest.approx(each[:80].mean(), rel=1e-5)
    bits = each[:80].sum() / math.log(2) / share
    assert found['bits_per_byte/argparse'] == pytest.approx(bits, rel=1e-5)


def test_check_between_batches_can_end_it(heldout: Callable) -> None:
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        heldout(tiny.make(evaluate_rows=0), 4, check)


def test_source_with_nothing_held_out_is_left_out(
    tokens: pathlib.Path, heldout: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = json.loads((tokens / 'manifest.json').read_text())
    manifest['sources']['textwrap']['splits']['heldout']['tokens'] = 1
    monkeypatch.setattr(evaluation.packing, 'manifest', lambda directory: manifest)
    found = heldout(tiny.make(evaluate_rows=4), 4)
    assert set(found) == {'loss', 'bits_per_byte', 'loss/argparse', 'bits_per_byte/argparse'}
    assert found['loss'] == found['loss/argparse']
    manifest['sources']['argparse']['splits']['heldout']['tokens'] = 0
    assert heldout(tiny.make(evaluate_rows=4), 4) == {}
