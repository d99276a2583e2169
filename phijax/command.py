"""The door of every command that runs a recipe: flags in, exit code out, no traceback for a typo."""

import difflib
import logging
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import ml_collections
from absl import flags
from ml_collections import config_flags

from phijax.errors import InputError

WRONG_INPUT = 2


def define_config() -> flags.FlagHolder:
    """The flag `--config=FILE.py[:variant]`, with an override `--config.<field>=` per field."""
    return config_flags.DEFINE_config_file(
        'config', None, 'The recipe: a file of configs/, with :VARIANT for a variant of it.'
    )


def main(run: Callable[[], int | None]) -> NoReturn:
    """Parses the flags, runs, and exits with what `run` returns.

    Exit code 2 and one message on the standard error, before any device work, answer whatever the
    user can mend: an unknown flag or key (with the nearest one), a wrong type, a missing file, and
    any `InputError`.
    """
    logging.basicConfig(format='%(levelname)s %(message)s', level=logging.WARNING)
    try:
        _check_config_file(sys.argv)
        rest = flags.FLAGS(sys.argv)[1:]
    except (flags.Error, AttributeError, KeyError, FileNotFoundError) as error:
        _refuse(_explain(error, sys.argv))
    if rest:
        _refuse(f'unexpected argument {rest[0]!r}: flags are written --name=value')
    if 'config' in flags.FLAGS and flags.FLAGS.config is None:
        _refuse(f'--config is needed: {_available()}')
    try:
        sys.exit(run())
    except InputError as error:
        _refuse(str(error))


def plain(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """A config as nested plain values, with what refers to other fields resolved."""
    return config.copy_and_resolve_references().to_dict()


def _check_config_file(argv: list[str]) -> None:
    for argument in argv[1:]:
        name, _, value = argument.partition('=')
        if name in ('--config', '-config') and not pathlib.Path(value.partition(':')[0]).is_file():
            raise FileNotFoundError(f'no config file {value.partition(":")[0]!r}: {_available()}')


def _available() -> str:
    files = sorted(str(path) for path in pathlib.Path('configs').rglob('*.py'))
    if not files:
        return 'there is no configs/ here; run from the root of the checkout, or give a full path'
    return f'there are {", ".join(files)}'


def _explain(error: Exception, argv: list[str]) -> str:
    if isinstance(error, flags.IllegalFlagValueError) and 'Traceback' in str(error):
        return f'{str(error).splitlines()[0].split(": Error")[0]}: {str(error).splitlines()[-1]}'
    if isinstance(error, AttributeError | KeyError):
        return _explain_key(error, argv)
    return str(error)


def _explain_key(error: Exception, argv: list[str]) -> str:
    """Which override names no field, and the nearest field there is."""
    known = [f'--config.{key}' for key in _keys(flags.FLAGS['config'].value)]
    for argument in argv[1:]:
        name = argument.partition('=')[0]
        if name.startswith('--config.') and name not in known:
            last = name.rpartition('.')[2]
            same = [key for key in known if key.rpartition('.')[2] == last]
            near = same or difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f'; did you mean {near[0]}?' if near else f'; known: {", ".join(known)}'
            return f'unknown key {name}{hint}'
    return str(error)


def _keys(config: Any, prefix: str = '') -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            yield from _keys(value, f'{prefix}{key}.')
        else:
            yield prefix + key


def _refuse(message: str) -> NoReturn:
    print(f'error: {message}', file=sys.stderr)
    sys.exit(WRONG_INPUT)
