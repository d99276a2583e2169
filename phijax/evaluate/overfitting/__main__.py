"""Looks for overfitting and contamination, or plants canaries to measure memory with.

python -m phijax.evaluate.overfitting --config=configs/eval/overfitting.py --checkpoint=…
python -m phijax.evaluate.overfitting --plant=canaries --seed=0
"""

import logging

from absl import flags

from phijax import command
from phijax.errors import InputError
from phijax.evaluate import overfitting

_CONFIG = command.define_config()
_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'A workdir, a Hugging Face directory, or a GGUF file.'
)
_WORKDIR = flags.DEFINE_string('workdir', 'runs/overfitting', 'Where the report is written.')
_PLANT = flags.DEFINE_string(
    'plant', None, 'A directory for canaries.jsonl, a source of kind files, and canaries.json.'
)
_SEED = flags.DEFINE_integer('seed', 0, 'Of the canaries.')


def main() -> None:
    """Prints the report, or the path of the canaries."""
    logging.getLogger('phijax.evaluate').setLevel(logging.INFO)
    if _PLANT.value is not None:
        print(overfitting.write(_PLANT.value, _SEED.value))
        return
    plan = overfitting.from_dict(command.plain(_CONFIG.value))
    if _CHECKPOINT.value is None:
        raise InputError('--checkpoint=PATH is needed: a workdir, a directory or a GGUF file')
    try:
        print(overfitting.run(plan, _CHECKPOINT.value, _WORKDIR.value))
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error


if __name__ == '__main__':
    command.main(main, instead_of_config=('plant',))
