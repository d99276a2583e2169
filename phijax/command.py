"""The door of every command: flags in, exit code out, and no traceback for a typo."""

import difflib
import itertools
import logging
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import ml_collections
from absl import flags
from ml_collections import config_flags

from phijax.errors import InputError

WRONG_INPUT = InputError.exit_code

# What a config file or an override raises when it is wrong.
_MENDABLE = (AttributeError, KeyError, FileNotFoundError, ImportError, SyntaxError)

# What Python says of a value of the wrong type, and what a person is told.
_WANTED = {
    'invalid literal for int()': 'it must be a whole number',
    'could not convert string to float': 'it must be a number',
}


def define_config() -> flags.FlagHolder:
    """The flag `--config=FILE.py[:variant]`, with an override `--config.<field>=` per field."""
    return config_flags.DEFINE_config_file(
        'config', None, 'The recipe: a file of configs/, with :VARIANT for a variant of it.'
    )


def main(run: Callable[[], int | None], instead_of_config: Sequence[str] = ()) -> NoReturn:
    """Parses the flags, runs, and exits with what `run` returns.

    A command that takes a config needs it, or one of the flags `instead_of_config`. `--help` shows
    the command's docstring and its flags.

    Exit code 2 and one message on the standard error, before any device work, answer whatever the
    user can mend: an unknown flag or key (with the nearest one), a wrong type, a missing file, and
    any `InputError`; some of those have an exit code of their own.
    """
    if '--help' in sys.argv[1:]:
        sys.exit(_print_help())
    logging.basicConfig(format='%(levelname)s %(message)s', level=logging.WARNING)
    try:
        _check_config_file(sys.argv)
        rest = flags.FLAGS(sys.argv)[1:]
    except (flags.Error, *_MENDABLE) as error:
        _refuse(_explain(error, sys.argv))
    if rest:
        _refuse(f'unexpected argument {rest[0]!r}: flags are written --name=value')
    if 'config' in flags.FLAGS:
        _check_asked(['config', *instead_of_config])
        _check_kind(flags.FLAGS.config)
    try:
        sys.exit(run())
    except InputError as error:
        _refuse(str(error), error.exit_code)


def plain(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """A config as nested plain values, with what refers to other fields resolved."""
    return config.copy_and_resolve_references().to_dict()


def _print_help() -> int:
    """0, after the command's docstring and flags are on the terminal."""
    own = (flags.FLAGS.module_help(__name__), flags.FLAGS.main_module_help())
    texts = [text.partition(':\n')[2] for text in own]  # without the name of the module
    print('\n'.join([str(sys.modules['__main__'].__doc__), *filter(None, texts)]))
    return 0


def _check_asked(names: list[str]) -> None:
    """Returns when exactly one of the flags that say what to do is given."""
    given = [f'--{name}' for name in names if flags.FLAGS[name].value is not None]
    if not given:
        others = ''.join(f', or --{name}' for name in names[1:])
        _refuse(f'--config is needed{others}: {_available()}')
    if len(given) > 1:
        _refuse(f'{" and ".join(given)} cannot be given together')


def _check_kind(config: Any) -> None:
    if config is not None and not isinstance(config, ml_collections.ConfigDict):
        _refuse(
            f'{_config_path(sys.argv)}: get_config must return an ml_collections.ConfigDict, got '
            f'{type(config).__name__}'
        )


def _check_config_file(argv: list[str]) -> None:
    path = _config_path(argv)
    file = path and path.partition(':')[0]
    if file is not None and not pathlib.Path(file).is_file():
        raise FileNotFoundError(f'no config file {file!r}: {_available()}')


def _config_path(argv: list[str]) -> str | None:
    """The value of the flag, written `--config=FILE` or `--config FILE`; None without one."""
    for argument, after in itertools.pairwise([*argv[1:], '']):
        name, equals, value = argument.partition('=')
        if name in ('--config', '-config'):
            return value if equals else after
    return None


def _available() -> str:
    found = pathlib.Path('configs').rglob('*.py')
    files = [str(path) for path in sorted(found, key=lambda path: (len(path.parts), path))]
    if not files:
        return 'there is no configs/ here; run from the root of the checkout, or give a full path'
    return f'there are {", ".join(files)}'


def _explain(error: Exception, argv: list[str]) -> str:
    if isinstance(error, AttributeError | KeyError):
        return _explain_key(error, argv)
    text = str(error)
    if 'Traceback' in text:  # of an error in the config file: what it says is the last line
        return f'{text.splitlines()[0].split(": Error")[0]}: {text.splitlines()[-1]}'
    for raised, wanted in _WANTED.items():
        if raised in text:
            return f'{text.partition(f": {raised}")[0]}: {wanted}'
    return text


def _explain_key(error: Exception, argv: list[str]) -> str:
    """Which override names no field, and the nearest field there is."""
    path = str(_config_path(argv))
    file, _, variant = path.partition(':')
    try:
        config = flags.FLAGS['config'].parser.parse(path)
    except (AttributeError, KeyError) as cause:
        if cause.args == (variant,):
            return f'{file} has no variant {variant!r}'
        return f'{path} cannot be used: {type(cause).__name__}: {cause}'
    known = list(_keys(config))
    for argument in argv[1:]:
        flag, _, key = argument.partition('=')[0].partition('.')
        there = any(f'{name}.'.startswith(f'{key}.') for name in known)
        if flag == '--config' and key and not there:
            last = key.rpartition('.')[2]
            same = [name for name in known if name.rpartition('.')[2] == last]
            near = same or difflib.get_close_matches(key, known, n=1)
            hint = f'did you mean --config.{near[0]}?' if near else f'known: {", ".join(known)}'
            return f'unknown key --config.{key}; {hint}'
    return str(error)


def _keys(config: Any, prefix: str = '') -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            yield from _keys(value, f'{prefix}{key}.')
        else:
            yield prefix + key


def _refuse(message: str, code: int = WRONG_INPUT) -> NoReturn:
    print(f'error: {message}', file=sys.stderr)
    sys.exit(code)
