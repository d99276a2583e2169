"""Sweeps: many runs of one recipe, one after the other, then their table, curves and report."""

import pathlib

from phijax.errors import InputError
from phijax.train.sweep.compare import Comparison, compare, describe, draw, tokens_to_reach
from phijax.train.sweep.results import collect, summarise
from phijax.train.sweep.running import run
from phijax.train.sweep.specification import Sweep, SweepRun, load, workdir

__all__ = [
    'Comparison',
    'Sweep',
    'SweepRun',
    'collect',
    'compare',
    'describe',
    'draw',
    'load',
    'print_comparison',
    'run',
    'run_file',
    'summarise',
    'tokens_to_reach',
    'workdir',
]


def run_file(path: str, root: str, index: int | None = None) -> int:
    """The exit code of `run` for the sweep of a file.

    Raises:
        InputError: as `load` and `run`, or there is no root.
    """
    if not root:
        raise InputError('--sweep also needs --workdir=DIRECTORY, where its runs are kept')
    return run(load(path), pathlib.Path(root), index)


def print_comparison(pair: str, directory: str = '') -> int:
    """0, after the comparison of `A,B` is on the terminal, and its plot in a directory, if given.

    Raises:
        InputError: as `compare`.
    """
    comparison = compare(pair)
    print(describe(comparison))
    if directory:
        print(f'\nfile  {draw(comparison, pathlib.Path(directory) / "compare.png")}')
    return 0
