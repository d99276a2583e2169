"""The workdir of a run as a model: config.json, a checkpoint of its parameters, its tokenizer."""

import contextlib
import json
import os
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


def moments(directory: Path, step: int | None = None) -> dict[str, Any] | None:
    """Adam's `mu`, `nu` and `count` of a checkpoint, on the host; None if it has none.

    Those that `write` left for a new run stand in its state under `moments`; a run's own are in its
    optimizer's state.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        CheckpointError: it is damaged.
    """
    return _adam(checkpoint.restore_rest(directory / CHECKPOINTS, step))


def carried_moments(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The moments that the workdir at `path` holds for a new run to start with; None if none."""
    directory = Path(path)
    # Only `write` leaves a workdir with nothing but step 0; a run's own moments are not read in.
    if not (directory / CHECKPOINTS).is_dir() or checkpoint.steps(directory / CHECKPOINTS) != [0]:
        return None
    return checkpoint.restore_rest(directory / CHECKPOINTS, 0).get('moments')


def write(
    directory: Path,
    config: models.Config,
    params: models.Params,
    tokenizer: 'Tokenizer | None',
    *,
    source: str,
    moments: dict[str, Any] | None = None,
) -> None:
    """Fills an empty directory as a workdir whose checkpoint of step 0 holds `params`.

    Args:
        source: where the model is from, for the record.
        moments: `mu`, `nu` and `count` of Adam, for the run that starts from it.
    """
    state = {'params': params} | ({'moments': moments} if moments else {})
    fields = {'model': models.to_dict(config), 'checkpoints': {'select': 'last'}, 'source': source}
    with checkpoint.Checkpointer(directory / CHECKPOINTS) as checkpointer:
        checkpointer.save(0, state, {'config': fields})
    if tokenizer is not None:
        tokenizer.save(directory / TOKENIZER)
    (directory / CONFIG).write_text(json.dumps(fields, indent=1) + '\n', encoding='utf-8')


def _abstract(config: models.Config) -> Any:
    """Arrays that have the shapes of the parameters and take no memory."""
    shapes = layout.shapes(config).items()
    zero = np.float32(0)
    return layout.unflatten({path: np.broadcast_to(zero, shape) for path, shape in shapes})


def _adam(state: Any) -> dict[str, Any] | None:
    """The part of a state that is Adam's."""
    if not isinstance(state, dict):
        return None
    if {'mu', 'nu', 'count'} <= state.keys():
        return {name: state[name] for name in ('mu', 'nu', 'count')}
    return next(filter(None, map(_adam, state.values())), None)


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
