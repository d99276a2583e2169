"""Directories and files that are there whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from phijax.errors import InputError


@contextlib.contextmanager
def appearing(directory: Path) -> Iterator[Path]:
    """A new directory to fill, which gets its name when the block ends well, or is removed.

    A process that is killed leaves a hidden directory beside it and nothing under the name.

    Raises:
        InputError: there is something at `directory` already.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise _taken(directory)
    partial = _beside(directory)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.replace(directory)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextlib.contextmanager
def appearing_file(path: Path) -> Iterator[Path]:
    """The path of a new file to write, which gets its name when the block ends well, or is removed.

    Raises:
        InputError: there is something at `path` already.
    """
    if path.exists():
        raise _taken(path)
    partial = _beside(path)
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _beside(path: Path) -> Path:
    return path.absolute().with_name(f'.{path.name}.partial-{os.getpid()}')


def _taken(path: Path) -> InputError:
    return InputError(f'{path} is there already; give a new name, or remove it first')
