"""Looks for leaked test sets: `python -m phijax.evaluate.overfitting --config=… --checkpoint=…`.

`--plant=DIRECTORY` writes canaries instead: documents for a source of `phijax.data.tokenize`, and
the file that `--config.canaries` names after training.
"""

from absl import flags

from phijax import command
from phijax.errors import InputError
from phijax.evaluate.overfitting import canaries, plan

_CONFIG = command.define_config()
_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'A workdir, a Hugging Face directory, or a GGUF file.'
)
_WORKDIR = flags.DEFINE_string('workdir', 'runs/overfitting', 'Where the report is written.')
_PLANT = flags.DEFINE_string('plant', None, 'Write canaries into this directory, and end.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the canaries.')


def main() -> None:
    """Prints the table of the tests, or where the canaries are."""
    if _PLANT.value is not None:
        print(canaries.plant(canaries.draw(_SEED.value), _PLANT.value))
        return
    chosen = plan.from_dict(command.plain(_CONFIG.value))
    if _CHECKPOINT.value is None:
        raise InputError('--checkpoint=PATH is needed: a workdir, a directory or a GGUF file')
    from phijax.evaluate.overfitting import examining

    try:
        print(examining.run(chosen, _CHECKPOINT.value, _WORKDIR.value))
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error


if __name__ == '__main__':
    command.main(main, instead_of_config=('plant',))
