"""What is found at a path, what is made of it, and what is refused."""

import json
import pathlib

import pytest

from phijax.data import tokenizer
from phijax.data.errors import MissingDataError
from phijax.errors import InputError
from tests.data.tokenizer import exact, llama

METASPACE = {'type': 'Metaspace', 'replacement': llama.SPACE, 'prepend_scheme': 'first'}


@pytest.fixture(scope='module')
def trained() -> tokenizer.Tokenizer:
    return tokenizer.train([pathlib.Path(__file__).read_text()], 600)


def edit(path: pathlib.Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def added(token: str, number: int, **changes: object) -> dict:
    flags = dict.fromkeys(('single_word', 'lstrip', 'rstrip', 'normalized', 'special'), False)
    return {'id': number, 'content': token} | flags | changes


def test_a_tokenizer_json_as_phi3_was_published_with(phi3, tmp_path):
    """Its `</s>` is no special token and swallows spaces; its chat tokens swallow them too."""
    phi3.save(tmp_path)
    (tmp_path / 'tokenizer.model').unlink()
    tokens = [added('<unk>', 0, special=True), added('<s>', 1, special=True)]
    tokens += [added('</s>', 2, rstrip=True)]
    tokens += [added(token, i, rstrip=True, special=True) for token, i in llama.PHI3_IDS.items()]
    edit(tmp_path / 'tokenizer.json', added_tokens=tokens)
    loaded = tokenizer.load(tmp_path)
    assert isinstance(loaded, tokenizer.BytePairTokenizer)
    assert loaded.ends == phi3.ends
    assert loaded.special('</s>') == 2
    exact.check(loaded, without=llama.SPACE)
    for text in ('a</s>  b', '  <|user|>\nHi<|end|> ', ' 漢🦆\n'):
        assert loaded.encode(text) == phi3.encode(text)
    chat = [32010, *phi3.encode(' Hi'), 32007]
    assert loaded.decode(chat) == phi3.decode(chat) == '<|user|> Hi<|end|>'


@pytest.mark.parametrize('scheme', ['first', 'always'])
def test_a_tokenizer_json_as_transformers_writes_it_keeps_the_first_space(phi3, tmp_path, scheme):
    phi3.save(tmp_path)
    (tmp_path / 'tokenizer.model').unlink()
    cut = METASPACE | {'prepend_scheme': scheme, 'split': False}
    edit(tmp_path / 'tokenizer.json', normalizer=None, pre_tokenizer=cut)
    loaded = tokenizer.load(tmp_path)
    exact.check(loaded, without=llama.SPACE)
    for text in ('Hi', ' Hi', '   Hi  there', '\n Hi'):
        assert loaded.encode(text) == phi3.encode(text)


def test_the_model_of_sentencepiece_comes_before_what_was_made_of_it(phi3, tmp_path):
    phi3.save(tmp_path)
    assert isinstance(tokenizer.load(tmp_path), tokenizer.SentencePieceTokenizer)
    assert isinstance(tokenizer.load(tmp_path / 'tokenizer.json'), tokenizer.BytePairTokenizer)


@pytest.mark.parametrize('stated', ['<eos>', {'content': '<eos>', 'special': True}])
def test_the_config_names_the_end_where_there_is_no_end_of_text(trained, tmp_path, stated):
    trained.save(tmp_path)
    text = (tmp_path / 'tokenizer.json').read_text().replace('<|endoftext|>', '<eos>')
    (tmp_path / 'tokenizer.json').write_text(text)
    edit(tmp_path / 'tokenizer_config.json', eos_token=stated)
    loaded = tokenizer.load(tmp_path)
    assert loaded.end_of_text == loaded.special('<eos>') == 0
    assert 0 not in loaded.encode('a<eos>b')
    loaded.save(tmp_path / 'again')
    assert tokenizer.load(tmp_path / 'again').ends == (0,)


def test_the_end_of_text_separates_though_the_config_names_another(trained, tmp_path):
    trained.save(tmp_path)
    definition = json.loads((tmp_path / 'tokenizer.json').read_text())
    tokens = [*definition['added_tokens'], added('<eos>', 600)]
    edit(tmp_path / 'tokenizer.json', added_tokens=tokens)
    edit(tmp_path / 'tokenizer_config.json', eos_token='<eos>')
    loaded = tokenizer.load(tmp_path)
    assert (loaded.end_of_text, loaded.ends) == (0, (0, 600))
    assert 600 not in loaded.encode('a<eos>b')
    loaded.save(tmp_path / 'again')
    assert tokenizer.load(tmp_path / 'again').ends == (0, 600)


def test_an_end_of_text_that_was_ordinary_is_special(trained, tmp_path):
    trained.save(tmp_path)
    edit(tmp_path / 'tokenizer.json', added_tokens=[added('<|endoftext|>', 0)])
    exact.check(tokenizer.load(tmp_path))
    edit(tmp_path / 'tokenizer.json', added_tokens=[])
    loaded = tokenizer.load(tmp_path)
    exact.check(loaded)
    assert loaded.end_of_text == 0


@pytest.mark.parametrize('name', ['tokenizer_config.json', 'added_tokens.json'])
@pytest.mark.parametrize(
    'content', ['', '{', '[1]', '{"added_tokens_decoder": {"x": 1}, "y": "z"}']
)
def test_damaged_files_beside_a_model(tmp_path, name, content):
    llama.small('ab').save(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=rf'{name} is not a tokenizer that can be read'):
        tokenizer.load(tmp_path)


def test_a_directory_without_a_tokenizer(tmp_path):
    with pytest.raises(
        MissingDataError,
        match=r'nor tokenizer\.json nor cl100k_base\.tiktoken nor vocab\.json with merges',
    ):
        tokenizer.load(tmp_path)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(MissingDataError, match='no such file or directory'):
        tokenizer.load(tmp_path / 'nowhere' / 'at' / 'all')


@pytest.mark.parametrize('content', ['', '{', '{"model": 3}', '[]'])
def test_a_damaged_tokenizer(tmp_path, content):
    (tmp_path / 'tokenizer.json').write_text(content)
    with pytest.raises(InputError, match=r'tokenizer\.json is not a tokenizer that can be read'):
        tokenizer.load(tmp_path)


def test_a_tokenizer_without_end_of_text(trained, tmp_path):
    trained.save(tmp_path)
    text = (tmp_path / 'tokenizer.json').read_text().replace('<|endoftext|>', '<eos>')
    (tmp_path / 'tokenizer.json').write_text(text)
    with pytest.raises(InputError, match=r'has no <\|endoftext\|> among its 600 tokens'):
        tokenizer.load(tmp_path)


def test_a_hub_name_without_a_network(monkeypatch, tmp_path):
    for name in ('http_proxy', 'https_proxy', 'all_proxy'):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv('HF_ENDPOINT', 'https://nowhere.invalid')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingDataError, match=r'no directory nobody/nothing, and the .* hub'):
        tokenizer.load('nobody/nothing')
