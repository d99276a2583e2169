"""The workdir of a run as a model: config.json, a checkpoint of its parameters, its tokenizer."""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phijax import checkpoint, models
from phijax.errors import InputError
from phijax.interop import layout
from phijax.interop.fields import Fields, read_json

if TYPE_CHECKING:
    from phijax.data.tokenizer import Tokenizer

CONFIG = 'config.json'
CHECKPOINTS = 'checkpoints'
TOKENIZER = 'tokenizer'


def load(directory: Path, step: int | None = None) -> tuple[models.Config, models.Params]:
    """The configuration and the parameters of a run, as float32 arrays of the host.

    Args:
        step: which checkpoint; by default the one that the run's `checkpoints.select` names.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        InputError: no checkpoint is good, or config.json is not that of a run.
    """
    fields = Fields(read_json(directory / CONFIG))
    try:
        config = models.from_dict(fields.group('model').values)
    except ValueError as error:
        raise InputError(f'{directory / CONFIG}: model: {error}') from error
    if step is None:
        select = fields.group('checkpoints').values.get('select') or 'last'
        step = _selected(directory / CHECKPOINTS, str(select))
    params, _ = checkpoint.restore_params(directory / CHECKPOINTS, _abstract(config), step)
    return config, params


def write(
    directory: Path,
    config: models.Config,
    params: models.Params,
    tokenizer: 'Tokenizer | None',
    *,
    source: str,
) -> None:
    """Fills an empty directory as a workdir whose checkpoint of step 0 holds `params`.

    Args:
        source: where the model is from, for the record.
    """
    fields = {'model': models.to_dict(config), 'checkpoints': {'select': 'last'}, 'source': source}
    with checkpoint.Checkpointer(directory / CHECKPOINTS) as checkpointer:
        checkpointer.save(0, {'params': params}, {'config': fields})
    if tokenizer is not None:
        tokenizer.save(directory / TOKENIZER)
    (directory / CONFIG).write_text(json.dumps(fields, indent=1) + '\n', encoding='utf-8')


def _abstract(config: models.Config) -> Any:
    """Arrays that have the shapes of the parameters and take no memory."""
    shapes = layout.shapes(config).items()
    zero = np.float32(0)
    return layout.unflatten({path: np.broadcast_to(zero, shape) for path, shape in shapes})


def _selected(directory: Path, select: str) -> int | None:
    """The step that `checkpoints.select` names; None for the newest that is good."""
    if select.isdecimal():
        return int(select)
    return _best(directory) if select == 'best' else None


def _best(directory: Path) -> int | None:
    """The step of the lowest held-out loss, the latest of equals; None when none is known."""
    losses: dict[int, float] = {}
    for step in checkpoint.steps(directory):
        with contextlib.suppress(checkpoint.CheckpointError):  # told when no other is good
            metric = checkpoint.read_metadata(directory, step).get('metric')
            losses |= {} if metric is None else {step: metric}
    return min(losses, key=lambda step: (losses[step], -step), default=None)
