"""phi-3's tokenizer, with Llama-2's real pieces."""

import json
import pathlib

import pytest

from phijax.data import tokenizer
from tests.data.tokenizer import llama


@pytest.fixture(scope='session')
def phi3_directory(asset, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory with the files of phi-3-mini: tokenizer.model and added_tokens.json."""
    directory = tmp_path_factory.mktemp('phi3')
    lists = llama.lists(asset('llama2-vocabulary'))
    tokenizer.from_pieces(*lists, end_of_text=2).save(directory)
    (directory / 'tokenizer.json').unlink()
    (directory / 'added_tokens.json').write_text(json.dumps(llama.PHI3_IDS))
    (directory / 'tokenizer_config.json').write_text(json.dumps({'eos_token': '<|endoftext|>'}))
    return directory


@pytest.fixture(scope='session')
def phi3(phi3_directory: pathlib.Path) -> tokenizer.Tokenizer:
    return tokenizer.load(phi3_directory)
