"""Evaluates a model: `python -m phijax.evaluate --config=configs/eval/phi2.py --checkpoint=…`."""

import logging

from absl import flags

from phijax import command, evaluate
from phijax.errors import InputError

_CONFIG = command.define_config()
_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'A workdir, a Hugging Face directory, or a GGUF file.'
)
_WORKDIR = flags.DEFINE_string('workdir', 'runs/evaluation', 'Where answers are kept; it goes on.')


def main() -> None:
    """Prints the table of what came of it."""
    logging.getLogger('phijax.evaluate').setLevel(logging.INFO)
    plan = evaluate.from_dict(command.plain(_CONFIG.value))
    if _CHECKPOINT.value is None:
        raise InputError('--checkpoint=PATH is needed: a workdir, a directory or a GGUF file')
    try:
        print(evaluate.run(plan, _CHECKPOINT.value, _WORKDIR.value))
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error


if __name__ == '__main__':
    command.main(main)
