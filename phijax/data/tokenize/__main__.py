"""Tokenises: `python -m phijax.data.tokenize --config=configs/tokenize/… --workdir=…`."""

import logging

from absl import flags

from phijax import command
from phijax.data import tokenize
from phijax.errors import InputError

_CONFIG = command.define_config()
_WORKDIR = flags.DEFINE_string(
    'workdir', 'data', 'Where the documents, tokenizer and shards are kept.'
)


def main() -> None:
    """Prints what came of it."""
    logging.getLogger('phijax.data').setLevel(logging.INFO)
    config = tokenize.from_dict(command.plain(_CONFIG.value))
    try:
        print(tokenize.summary(tokenize.run(config, _WORKDIR.value)))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f'{_WORKDIR.value}: {error}') from error


if __name__ == '__main__':
    command.main(main)
