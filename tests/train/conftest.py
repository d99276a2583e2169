"""Tokens, batches and programs that the tests of training share."""

import os
import pathlib

import pytest

from tests.train import tiny

# The programs here are tiny and many: compiling them costs more than running them.
QUICK = '--xla_backend_optimization_level=0'
os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {QUICK}'


@pytest.fixture(scope='session')
def tokens(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory of a few thousand tokens of two sources."""
    return tiny.tokenise(tmp_path_factory.mktemp('data'))
