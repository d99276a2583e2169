"""A small model with a tokenizer, as others read it."""

import dataclasses
import pathlib

import jax
import pytest

from phijax import models
from phijax.data import tokenizer as tokenizers
from phijax.interop import huggingface
from tests.generate import test_completion

CONFIG = dataclasses.replace(test_completion.CONFIG, max_length=1024)


@pytest.fixture(scope='session')
def codec() -> tokenizers.Tokenizer:
    """A byte-level tokenizer of 270 ids."""
    return tokenizers.train(['Question: What is it? def add(a, b):\n    return a + b\n'] * 4, 270)


@pytest.fixture(scope='session')
def params() -> models.Params:
    """Random parameters of `CONFIG`."""
    return models.init(CONFIG, jax.random.key(0))


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory, codec, params) -> pathlib.Path:
    """A Hugging Face directory of the model."""
    directory = tmp_path_factory.mktemp('model') / 'small'
    huggingface.save(CONFIG, params, directory, tokenizer=codec)
    return directory
