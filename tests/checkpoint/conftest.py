"""Directories with checkpoints of a small training state."""

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from phijax import checkpoint
from tests.checkpoint.states import abstract, make_state


@pytest.fixture(scope='session')
def _template(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp('template') / 'checkpoints'
    with checkpoint.Checkpointer(directory) as checkpointer:
        for step in (5, 10):
            checkpointer.save(step, make_state(step), {'step': step, 'metric': 1 / step})
    return directory


@pytest.fixture
def saved(_template: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with good checkpoints of `make_state` at steps 5 and 10."""
    return pathlib.Path(shutil.copytree(_template, tmp_path / 'run' / 'checkpoints'))


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where checkpoints may be written."""
    return tmp_path / 'checkpoints'


@pytest.fixture
def told() -> list[str]:
    """Collects warnings: pass `told.append` as `warn`."""
    return []


@pytest.fixture
def restore(told: list[str]) -> Callable[..., Any]:
    """`restore(directory)`: what a run that starts there restores; warnings go to `told`."""

    def run(directory: pathlib.Path, like: Any = None, step: int | None = None) -> Any:
        with checkpoint.Checkpointer(directory, warn=told.append) as checkpointer:
            return checkpointer.restore(abstract(like or make_state(0)), step)

    return run
