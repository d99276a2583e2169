"""A small model in a workdir, with held-out documents that its tokenizer has made tokens of."""

import difflib
import json
import pathlib
import textwrap

import pytest

from phijax.data import tokenize, tokenizer
from phijax.interop import workdir
from tests.longrope.small import CONFIG
from tests.models import tiny


@pytest.fixture(scope='session')
def source(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The workdir, with `data`: forty documents of 1,500 characters, most of them held out."""
    path = tmp_path_factory.mktemp('longrope') / 'model'
    path.mkdir()
    text = ''.join(pathlib.Path(module.__file__).read_text() for module in (difflib, textwrap))
    documents = [{'text': text[1500 * i : 1500 * (i + 1)]} for i in range(40)]
    (path / 'long.jsonl').write_text(''.join(json.dumps(each) + '\n' for each in documents))
    files = {'kind': 'files', 'paths': [str(path / 'long.jsonl')]}
    config = {'sources': {'long': files}, 'vocab_size': 384, 'heldout_fraction': 0.7}
    tokenize.run(tokenize.from_dict(config), path / 'data')
    made = tokenizer.load(path / 'data' / 'tokenizer')
    workdir.write(path, CONFIG, tiny.randomised(CONFIG), made, source='random')
    return path
