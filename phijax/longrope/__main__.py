"""Lengthens a context: `python -m phijax.longrope --config=configs/longrope/… --workdir=…`."""

import logging

from absl import flags

from phijax import command, longrope
from phijax.errors import InputError

_CONFIG = command.define_config()
_WORKDIR = flags.DEFINE_string('workdir', 'runs/longrope', 'Where the search is kept; it goes on.')


def main() -> None:
    """Prints what came of it."""
    logging.getLogger('phijax.longrope').setLevel(logging.INFO)
    plan = longrope.from_dict(command.plain(_CONFIG.value))
    try:
        print(longrope.run(plan, _WORKDIR.value))
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from error


if __name__ == '__main__':
    command.main(main)
