"""Trains a recipe, or a sweep of it, or compares two runs.

python -m phijax.train --config=configs/phi2.py --workdir=runs/phi2
python -m phijax.train --sweep=experiments/quickstart/sweep.py --workdir=runs/rates
python -m phijax.train --compare=runs/one,runs/other
"""

import pathlib

from absl import flags

from phijax import command
from phijax.errors import InputError
from phijax.train import recipe

_CONFIG = command.define_config()
_WORKDIR = flags.DEFINE_string(
    'workdir', '', 'Where the run or sweep is kept, which goes on; where --compare draws.'
)
_SWEEP = flags.DEFINE_string(
    'sweep',
    None,
    'FILE.py[:variant] with get_sweep(): trains its runs one by one, and skips what is done.',
)
_SWEEP_INDEX = flags.DEFINE_integer(
    'sweep_index',
    None,
    'Train only this run of the sweep, from 0; in a job array, such as $SLURM_ARRAY_TASK_ID.',
)
_COMPARE = flags.DEFINE_string(
    'compare', None, 'A,B: two workdirs, or two directories of seeds, beside each other.'
)
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

_OF_ONE_RUN = (_PLAN, _PROFILE, _WANDB, _COORDINATOR, _NUM_PROCESSES, _PROCESS_ID)


def main() -> int:
    """Returns the exit code of what the flags ask for."""
    if _SWEEP_INDEX.present and not _SWEEP.present:
        raise InputError('--sweep_index also needs --sweep=FILE.py')
    if _CONFIG.value is None:
        return _many()
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


def _many() -> int:
    """Returns the exit code of a sweep or a comparison."""
    misplaced = [f'--{flag.name}' for flag in _OF_ONE_RUN if flag.present]
    if misplaced:
        raise InputError(f'{misplaced[0]} needs --config: it is for one run')
    from phijax.train import sweep

    if _SWEEP.value is not None:
        return sweep.run_file(_SWEEP.value, _WORKDIR.value, _SWEEP_INDEX.value)
    return sweep.print_comparison(str(_COMPARE.value), _WORKDIR.value)


if __name__ == '__main__':
    command.main(main, instead_of_config=('sweep', 'compare'))
