"""Programs that the tests of training share."""

import functools
import os
import pathlib
from collections.abc import Callable

import numpy as np
import pytest

from phijax.data import mixture
from tests.train import trial as trials

# The programs here are tiny and many: compiling them costs more than running them.
QUICK = '--xla_backend_optimization_level=0'
os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {QUICK}'


@pytest.fixture(scope='module')
def trial(tokens: pathlib.Path) -> Callable[..., trials.Trial]:
    """`trial((2, 2, 2), **{'mesh.layout': 'zero2'})`: compiled once for all tests of the file.

    Without dropout, unless it is among the changes: parts of a batch have their own, and only
    without it are they equal to the whole.
    """
    stream = mixture.stream(tokens, {'argparse': 1}, length=16, batch_size=16, seed=0)
    flags = {'stop': np.zeros(16, np.int32)}
    batches = [next(stream) | flags for _ in range(trials.NUM_UPDATES)]

    @functools.cache
    def make(shape: tuple[int, int, int], changes: tuple) -> trials.Trial:
        return trials.make(shape, batches, {'model.residual_dropout': 0.0} | dict(changes))

    return lambda shape=(1, 1, 1), **changes: make(shape, tuple(changes.items()))
