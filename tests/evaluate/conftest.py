"""A small model with a tokenizer, as others read it."""

import pathlib

import jax
import pytest

from phijax import models
from phijax.data import tokenizer as tokenizers
from phijax.interop import huggingface

CONFIG = models.config(
    'phi1',
    vocab_size=320,
    embed_dim=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=8,
    mlp_dim=64,
    rotary_dim=4,
    max_length=1024,
    init_std=0.3,
    unroll=1,
)


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
