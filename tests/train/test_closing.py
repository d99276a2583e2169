"""Which checkpoint is selected: the one that every other command opens."""

import json
import math
import pathlib
import types

import numpy as np
import pytest

from phijax import checkpoint
from phijax.interop import workdir as workdirs
from phijax.train import closing
from tests.train import tiny

NAN = math.nan


def selected(
    workdir: pathlib.Path, rule: str, metrics: dict[int, float | None], keep: int = 9
) -> int:
    """The step that is selected after checkpoints with these held-out losses."""
    with checkpoint.Checkpointer(workdir / 'checkpoints', keep=keep) as checkpointer:
        for step, metric in metrics.items():
            checkpointer.save(step, {'params': {'x': np.zeros(1)}}, {'metric': metric})
            checkpointer.wait()
        changes = {'checkpoints.select': rule, 'checkpoints.keep_every': 5}
        run = types.SimpleNamespace(recipe=tiny.make(**changes), checkpointer=checkpointer)
        step = closing.select(run, workdir)
    assert json.loads((workdir / 'selected.json').read_text()) == {'step': step, 'rule': rule}
    return step


@pytest.mark.parametrize(
    ('rule', 'metrics', 'step'),
    [
        ('last', {5: 1.0, 10: 2.0, 15: 3.0}, 15),
        ('10', {5: 1.0, 10: 2.0, 15: 3.0}, 10),
        ('best', {5: 3.0, 10: 1.0, 15: 2.0}, 10),
        ('best', {5: 1.0, 10: 2.0, 15: 3.0}, 5),
        ('best', {5: 3.0, 10: None, 15: 4.0}, 5),
        ('best', {5: NAN, 10: 3.0, 15: 4.0}, 10),
        ('best', {5: 3.0, 10: NAN, 15: 2.0}, 15),
        ('best', {5: 2.0, 10: 2.0, 15: 3.0}, 10),
        ('best', {5: None, 10: None}, 10),
    ],
)
def test_rule_selects(
    tmp_path: pathlib.Path, rule: str, metrics: dict[int, float | None], step: int
) -> None:
    assert selected(tmp_path, rule, metrics) == step


@pytest.mark.parametrize('metrics', [{5: 3.0, 10: 1.0, 15: 2.0}, {5: 2.0, 10: 2.0, 15: None}])
def test_selection_is_what_other_commands_open(
    tmp_path: pathlib.Path, metrics: dict[int, float | None]
) -> None:
    step = selected(tmp_path, 'best', metrics)
    assert workdirs._selected(tmp_path / 'checkpoints', 'best') == step == 10


def test_best_is_kept_for_selection(tmp_path: pathlib.Path) -> None:
    assert selected(tmp_path, 'best', {1: 2.0, 2: 1.0, 3: 4.0, 4: 3.0}, keep=1) == 2
