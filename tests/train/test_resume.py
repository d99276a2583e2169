"""A run that is killed or stopped, wherever it is, ends as if it had never been.

Every run here is a process of its own, and signals hit it at exact steps.
"""

import json
import pathlib
import subprocess
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from phijax import checkpoint
from phijax.train import step
from tests.train import tiny

ENDS = {'SIGKILL': -9, 'SIGTERM': 143, 'SIGINT': 130}
Start = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def start(run_command: Start, tokens: pathlib.Path) -> Start:
    """`start(workdir, 'step:7', 'SIGKILL')`: the end of a run that a signal hits there."""

    def run(
        workdir: pathlib.Path, moment: str = 'step:0', signals: str = 'SIGKILL', *flags: str
    ) -> subprocess.CompletedProcess:
        return run_command(
            'tests.train.interrupted',
            moment,
            signals,
            '--config=tests/train/tiny.py',
            f'--config.data.directory={tokens}',
            f'--workdir={workdir}',
            *flags,
        )

    return run


def state(workdir: pathlib.Path) -> tuple[int, list[bytes]]:
    """The newest step that is on the disk, and the bits of every array of its state."""
    abstract = step.abstract_state(tiny.make())
    with checkpoint.Checkpointer(workdir / 'checkpoints') as checkpointer:
        found, _ = checkpointer.restore(abstract)
        return checkpointer.steps()[-1], [np.asarray(x).tobytes() for x in jax.tree.leaves(found)]


def records(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """What was measured at each step, without what belongs to the moment."""
    lines = (workdir / 'metrics.jsonl').read_text().splitlines()
    measured = [r for r in map(json.loads, lines) if r['kind'] in ('train', 'evaluate')]
    return [{k: v for k, v in record.items() if k != 'timing'} for record in measured]


@pytest.fixture(scope='module')
def whole(tmp_path_factory: pytest.TempPathFactory) -> list:
    """The state and the records of a run that nothing interrupts; filled by the first test."""
    return []


def expected(whole: list, start: Start, workdir: pathlib.Path) -> tuple[Any, Any]:
    if not whole:
        done = start(workdir)
        assert done.returncode == 0, done.stderr
        whole += [state(workdir), records(workdir)]
        assert whole[0][0] == 20
        assert [r['step'] for r in whole[1] if r['kind'] == 'train'] == list(range(1, 21))
        assert [r['step'] for r in whole[1] if r['kind'] == 'evaluate'] == [5, 10, 15, 20]
    return whole[0], whole[1]


# Where a signal hits, the step that is on the disk afterwards; a 20th step ends each.
KILLS = [('step:7', 'SIGKILL', 5), ('save:10', 'SIGKILL', 5), ('step:13', 'SIGKILL', 10)]
STOPS = [
    ('compile:2', 'SIGINT', 0),
    ('evaluate:2', 'SIGTERM', 5),
    ('data:3', 'SIGTERM', 8),
    ('step:12', 'SIGINT', 13),
    ('save:20', 'SIGTERM', 20),
]


@pytest.mark.parametrize('interruptions', [KILLS, STOPS], ids=['kills', 'stops'])
def test_interrupted_run_is_bit_identical(
    start: Start, whole: list, tmp_path: pathlib.Path, interruptions: list
) -> None:
    final, measured = expected(whole, start, tmp_path / 'whole')
    workdir = tmp_path / 'run'
    for moment, name, step_on_disk in interruptions:
        done = start(workdir, moment, name)
        assert done.returncode == ENDS[name], done.stderr
        assert 'Traceback' not in done.stderr
        assert state(workdir)[0] == step_on_disk, moment
    done = start(workdir)
    assert done.returncode == 0, done.stderr
    assert f'from step {step_on_disk} in {workdir}' in done.stdout
    assert records(workdir) == measured
    assert state(workdir) == final
    assert (workdir / 'report.md').exists()


def test_second_signal_forces(start: Start, tmp_path: pathlib.Path) -> None:
    done = start(tmp_path, 'step:7', 'SIGTERM,SIGINT')
    assert done.returncode == 130
    assert state(tmp_path)[0] == 5
    assert 'Traceback' not in done.stderr
