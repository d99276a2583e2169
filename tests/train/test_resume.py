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


# Where signals hit one session after the other, how it ends, and what is on the disk then.
SESSIONS = [
    ('compile:2', 'SIGINT', 130, 0),
    ('step:7', 'SIGKILL', -9, 5),
    ('save:10', 'SIGKILL', -9, 5),
    ('evaluate:2', 'SIGTERM', 143, 10),
    ('step:12', 'SIGTERM,SIGINT', 130, 10),
    ('data:3', 'SIGTERM', 143, 13),
    ('step:17', 'SIGKILL', -9, 15),
    ('save:20', 'SIGTERM', 143, 20),
]


def test_interrupted_run_is_bit_identical(start: Start, tmp_path: pathlib.Path) -> None:
    """With one that nothing interrupts; a second signal saves nothing."""
    done = start(tmp_path / 'whole')
    assert done.returncode == 0, done.stderr
    workdir = tmp_path / 'run'
    for moment, signals, code, step_on_disk in SESSIONS:
        done = start(workdir, moment, signals)
        assert done.returncode == code, (moment, done.stderr)
        assert 'Traceback' not in done.stderr
        assert state(workdir)[0] == step_on_disk, moment
    done = start(workdir)
    assert done.returncode == 0, done.stderr
    assert f'from step 20 in {workdir}' in done.stdout
    assert (workdir / 'report.md').exists()

    measured = records(workdir)
    assert measured == records(tmp_path / 'whole')
    assert [r['step'] for r in measured if r['kind'] == 'train'] == list(range(1, 21))
    assert [r['step'] for r in measured if r['kind'] == 'evaluate'] == [5, 10, 15, 20]
    assert state(workdir) == state(tmp_path / 'whole')
