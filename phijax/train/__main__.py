"""Trains a recipe: `python -m phijax.train --config=configs/phi2.py --workdir=runs/phi2`."""

import pathlib

from absl import flags

from phijax import command
from phijax.train import recipe

_CONFIG = command.define_config()
_WORKDIR = flags.DEFINE_string('workdir', '', 'Where the run is kept; a run there goes on.')
_PLAN = flags.DEFINE_string(
    'plan', '', 'Compile for absent hardware and report, such as v5e:2x4, v5p:2x2x2 or cpu:8.'
)
_PROFILE = flags.DEFINE_bool('profile', False, 'Trace a few steps into the workdir.')
_WANDB = flags.DEFINE_string('wandb', '', 'Project of Weights & Biases to log to as well.')
_COORDINATOR = flags.DEFINE_string(
    'coordinator', '', 'HOST:PORT of the first of several processes, or auto on a cluster.'
)
_NUM_PROCESSES = flags.DEFINE_integer('num_processes', None, 'Processes of the run.')
_PROCESS_ID = flags.DEFINE_integer('process_id', None, 'Number of this process, from 0.')


def main() -> int:
    """Returns the exit code of what the flags ask for."""
    run = recipe.from_dict(command.plain(_CONFIG.value))
    from phijax.train import start

    if _PLAN.value:
        return start.plan(run, _PLAN.value)
    return start.train(
        run,
        pathlib.Path(_WORKDIR.value or f'runs/{run.name}'),
        profile=_PROFILE.value,
        wandb=_WANDB.value,
        coordinator=_COORDINATOR.value,
        num_processes=_NUM_PROCESSES.value,
        process_id=_PROCESS_ID.value,
    )


if __name__ == '__main__':
    command.main(main)
