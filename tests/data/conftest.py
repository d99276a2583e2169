"""Small directories of tokens, made by the real tokeniser from documents that are made up."""

import json
import pathlib
import random
from collections.abc import Callable, Sequence

import pytest

from phijax.data import tokenize, tokenizer
from tests.data.tokenizer import llama

WORDS = (
    'def return class import self None True for while if else print é 漢字 x y z ( ) : = + \n \t'
)


def make_text(seed: int, words: int) -> str:
    """A made-up document."""
    chosen = random.Random(seed).choices(WORDS.split(' '), k=words)
    return f'{seed} ' + ' '.join(chosen)


def write_rows(path: pathlib.Path, texts: Sequence[str]) -> str:
    """The path of a JSONL file with one text a row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(json.dumps({'text': text}) + '\n' for text in texts))
    return str(path)


@pytest.fixture(scope='session')
def small_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory of a tokenizer of 300 tokens."""
    directory = tmp_path_factory.mktemp('tokenizer')
    tokenizer.train([make_text(seed, 50) for seed in range(50)], 300).save(directory)
    return directory


@pytest.fixture(scope='session')
def make_tokens(
    tmp_path_factory: pytest.TempPathFactory, small_tokenizer: pathlib.Path
) -> Callable[..., pathlib.Path]:
    """`make_tokens(a=[texts], part_bytes=…)`: a finished directory with the source `a`."""

    def make(
        part_bytes: int = 1 << 20, heldout_fraction: float = 0.0, **sources: Sequence[str]
    ) -> pathlib.Path:
        directory = tmp_path_factory.mktemp('tokens')
        files = {
            name: tokenize.Files((write_rows(directory / 'in' / f'{name}.jsonl', texts),))
            for name, texts in sources.items()
        }
        config = tokenize.Config(
            files,
            tokenizer=str(small_tokenizer),
            part_bytes=part_bytes,
            heldout_fraction=heldout_fraction,
        )
        tokenize.run(config, directory / 'out')
        return directory / 'out'

    return make


@pytest.fixture(scope='session')
def phi3_directory(asset, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A directory with the files of phi-3-mini, which has Llama-2's real pieces."""
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
