"""Writes texts: `python -m phijax.data.synthesis --config=configs/synth/textbooks.py --workdir=…`.

Exit codes: 0 done; 2 wrong input; 3 too many answers are no use; 4 the budget is spent; 75 the
endpoint does not answer. After 4 and 75 the same command goes on where it was, as after a kill.
"""

import logging

from absl import flags

from phijax import command
from phijax.data import engines, synthesis
from phijax.errors import InputError

_CONFIG = command.define_config()
_WORKDIR = flags.DEFINE_string('workdir', 'runs/synth', 'Where answers and texts are kept.')
_STAGE = flags.DEFINE_string('stage', '', 'Make only this stage, of inputs that are there.')


def main() -> None:
    """Prints what came of it."""
    logging.getLogger('phijax.data').setLevel(logging.INFO)
    config = synthesis.from_dict(command.plain(_CONFIG.value))
    try:
        # One process asks one endpoint: more would share its limits and nothing else.
        print(synthesis.run(config, _WORKDIR.value, engines.make('local', 1), _STAGE.value))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f'{_WORKDIR.value}: {error}') from error


if __name__ == '__main__':
    command.main(main)
