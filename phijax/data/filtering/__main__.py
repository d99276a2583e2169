"""Filters a pile: `python -m phijax.data.filtering --config=configs/filter/code.py --workdir=…`.

Exit codes: 0 done; 2 wrong input; 3 too many unusable grades; 4 the budget is spent; 75 the
endpoint does not answer. After 4 and 75 the same command goes on where it was, as after a kill.
"""

import logging

from absl import flags

from phijax import command
from phijax.data import engines, filtering
from phijax.errors import InputError

_CONFIG = command.define_config()
_WORKDIR = flags.DEFINE_string('workdir', 'runs/filter', 'Where all that is made is kept.')
_STAGE = flags.DEFINE_string('stage', '', 'Make only this stage, of inputs that are there.')
_ENGINE = flags.DEFINE_string('engine', 'local', 'Where shards are made: local or ray.')
_WORKERS = flags.DEFINE_integer('workers', 0, 'Processes at once; 0 is one for each core.')
_RANK = flags.DEFINE_integer('rank', 0, 'Which of the processes of a scheduler this is.')
_WORLD_SIZE = flags.DEFINE_integer('world_size', 1, 'How many processes a scheduler started.')


def main() -> None:
    """Prints what came of it."""
    logging.getLogger('phijax.data').setLevel(logging.INFO)
    config = filtering.from_dict(command.plain(_CONFIG.value))
    engine = engines.make(_ENGINE.value, _WORKERS.value, _RANK.value, _WORLD_SIZE.value)
    try:
        print(filtering.run(config, _WORKDIR.value, engine, _STAGE.value))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f'{_WORKDIR.value}: {error}') from error


if __name__ == '__main__':
    command.main(main)
