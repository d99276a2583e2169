"""Directories that are there whole or not at all."""

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
        raise InputError(f'{directory} is there already; give a new name, or remove it first')
    partial = directory.absolute().with_name(f'.{directory.name}.partial-{os.getpid()}')
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.replace(directory)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
