"""Other places that a run's numbers can go to: TensorBoard and Weights & Biases."""

import importlib.util
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from phijax.errors import InputError


class Tracker(Protocol):
    """A place for numbers by step."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Takes the numbers of one step; their names are like `train/loss`."""

    def close(self) -> None:
        """Returns when the numbers are written."""


class TensorBoard:
    """Event files, through tensorboardX, which is imported at the first number."""

    def __init__(self, directory: pathlib.Path, start_step: int) -> None:
        """Events of an earlier session after `start_step` are hidden by TensorBoard."""
        self._directory = directory
        self._start_step = start_step
        self._writer: Any = None

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Adds one event of each number."""
        if self._writer is None:
            import tensorboardX

            # The suffix keeps a session from writing over one that began in the same second.
            self._writer = tensorboardX.SummaryWriter(
                str(self._directory),
                purge_step=self._start_step and self._start_step + 1,
                filename_suffix=f'.{uuid.uuid4().hex[:8]}',
            )
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Returns when the events are in their file."""
        if self._writer is not None:
            self._writer.close()


class Wandb:
    """A run of Weights & Biases; a resumed run goes on where it was."""

    def __init__(self, workdir: pathlib.Path, options: Mapping[str, Any]) -> None:
        """Starts or goes on with the run whose id `workdir` keeps.

        Args:
            options: arguments of `wandb.init`, which win over ours.
        """
        import wandb

        path = workdir / 'wandb_id'
        if not path.exists():
            path.write_text(uuid.uuid4().hex[:12])
        ours = {'id': path.read_text(), 'resume': 'allow', 'dir': str(workdir)}
        self._run = wandb.init(**{**ours, **options})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Sends the numbers; those of a step that the run already has are ignored there."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Returns when the run is marked as finished."""
        self._run.finish()


def check_wandb() -> None:
    """Returns when wandb is installed.

    Raises:
        InputError: it is not.
    """
    if not importlib.util.find_spec('wandb'):
        raise InputError('wandb is asked for but not installed; `pip install wandb` installs it')


def start(
    workdir: pathlib.Path, start_step: int, *, tensorboard: bool, wandb: Mapping[str, Any] | None
) -> list[Tracker]:
    """The trackers that are asked for; TensorBoard only if tensorboardX is installed.

    Raises:
        InputError: wandb is asked for and not installed.
    """
    trackers: list[Tracker] = []
    if tensorboard and importlib.util.find_spec('tensorboardX'):
        trackers.append(TensorBoard(workdir / 'tensorboard', start_step))
    if wandb is None:
        return trackers
    check_wandb()
    return [*trackers, Wandb(workdir, wandb)]
