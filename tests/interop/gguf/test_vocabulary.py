"""Tokenizers in GGUF files: written, read again, and refused."""

import pytest

from phijax.data import tokenizer
from phijax.data.tokenizer import byte_pairs
from phijax.errors import InputError
from phijax.interop import gguf
from phijax.interop.gguf import vocabulary
from tests.data.tokenizer import llama
from tests.golden.texts import TEXTS
from tests.interop.gguf import files

CONFIG = files.small(vocab_size=300)
TEXT = 'def f(x):\n\treturn  2024'


@pytest.fixture(scope='module')
def made():
    return tokenizer.train(['def f(x): return x'], 260)


def again(path, config, made):
    files.written(path, config, tokenizer=made)
    return gguf.load(path)[2]


def test_byte_pairs(tmp_path, made):
    found = again(tmp_path / 'x.gguf', CONFIG, made)
    assert found.lists() == made.lists()
    assert (found.end_of_text, found.vocab_size) == (made.end_of_text, made.vocab_size)
    assert found.encode(TEXT) == made.encode(TEXT)


def test_two_ends(tmp_path):
    """llama.cpp stops at the end of a turn; documents are parted by the end of text."""
    tokens = ['<|endoftext|>', '<|im_end|>', *sorted(byte_pairs.ALPHABET), 'ab']
    made = tokenizer.from_merges(tokens, ['a b'], [3, 3, *[1] * 257], 'smollm', 1)
    found = again(tmp_path / 'x.gguf', CONFIG, made)
    assert (found.ends, found.lists().pre) == ((0, 1), 'smollm')
    settings, _ = files.unpacked(tmp_path / 'x.gguf')
    assert settings['tokenizer.ggml.bos_token_id'] == 0
    assert settings['tokenizer.ggml.eos_token_id'] == 1


def test_pieces(tmp_path):
    made = llama.small('ab', '<|endoftext|>')
    found = again(tmp_path / 'x.gguf', CONFIG, made)
    assert found.digest == made.digest
    assert found.encode('abc ab') == made.encode('abc ab')
    settings, _ = files.unpacked(tmp_path / 'x.gguf')
    assert len(settings['tokenizer.ggml.scores']) == len(settings['tokenizer.ggml.tokens']) == 300
    assert settings['tokenizer.ggml.tokens'][-1] == '[PAD299]'
    assert settings['tokenizer.ggml.token_type'][-1] == 5
    assert settings['tokenizer.ggml.bos_token_id'] == 1


def test_pieces_without_a_first_space(tmp_path):
    lists = llama.small('ab').lists()
    made = tokenizer.from_pieces(lists.tokens, lists.scores, lists.types, 2, prefix=False)
    found = again(tmp_path / 'x.gguf', CONFIG, made)
    assert found.digest == made.digest != llama.small('ab').digest
    assert found.encode('ab') == made.encode('ab') == [llama.FIRST_WORD]


def test_real_vocabularies(asset):
    """Through the lists alone: their models would be large."""
    pieces, scores, types = llama.lists(asset('llama2-vocabulary'))
    added = len(llama.PHI3)
    phi3 = tokenizer.from_pieces(
        [*pieces, *llama.PHI3], [*scores, *[0.0] * added], [*types, *[3] * added], len(pieces)
    )
    directory = asset('gpt2-vocabulary')
    codegen = tokenizer.codegen(directory / 'encoder.json', directory / 'vocab.bpe')
    for made, rows in ((codegen, 51200), (phi3, 32064)):
        config = files.small(vocab_size=rows)
        settings = vocabulary.write(config, made)
        assert len(settings['tokenizer.ggml.tokens']) == rows
        found = vocabulary.read(config, settings)
        assert found.ends == made.ends
        for text in TEXTS:
            assert found.encode(text) == made.encode(text)


def test_no_tokenizer(tmp_path):
    assert again(tmp_path / 'x.gguf', CONFIG, None) is None
    settings, _ = files.unpacked(tmp_path / 'x.gguf')
    assert settings['tokenizer.ggml.model'] == 'none'


def test_no_merges():
    with pytest.raises(InputError, match='no byte-level tokenizer without merges'):
        vocabulary.write(CONFIG, tokenizer.train([''], 257))


def test_more_ids_than_rows(tmp_path, made):
    with pytest.raises(InputError, match='the tokenizer has 260 ids, the model has only 61 rows'):
        again(tmp_path / 'x.gguf', files.small(), made)
    path = tmp_path / 'y.gguf'
    files.written(path, files.small())
    settings, tensors = files.unpacked(path)
    path.write_bytes(files.packed(settings | vocabulary.write(CONFIG, made), tensors))
    with pytest.raises(
        InputError, match=r'y\.gguf: the tokenizer has 260 ids, the model has only 61 rows'
    ):
        gguf.load(path)


def test_a_cut_that_gguf_has_no_name_for(asset):
    made = tokenizer.cl100k(asset('cl100k-ranks') / 'cl100k_base.tiktoken')
    with pytest.raises(InputError, match=r'no name in GGUF files; .* gpt-2, phi-2, smollm'):
        vocabulary.write(files.small(vocab_size=100352), made)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'model': 'bert'}, "model 'bert' is not supported .*'llama' or 'gpt2'"),
        ({'model': 7}, 'model 7 is not supported'),
        ({'pre': 'llama-bpe'}, "'llama-bpe'; it must be one of gpt-2"),
        ({'pre': 7}, "'7'; it must be one of gpt-2"),
        ({'tokens': [1, 2]}, r'tokenizer\.ggml\.tokens must be a list of str, got \[1, 2\]'),
        ({'tokens': 'abc'}, 'tokens must be a list of str'),
        ({'tokens': ['a', 'b']}, 'There are 2 tokens, but types of 300'),
        ({'token_type': None}, 'token_type must be a list of int, got None'),
        ({'merges': ['x']}, 'is not a tokenizer that can be read'),
        ({'eos_token_id': 300}, 'end_of_text is 300; it must be 0 to 259'),
        ({'eos_token_id': None}, 'eos_token_id is missing'),
        ({'model': 'llama'}, 'scores must be a list of float'),
    ],
)
def test_settings_that_are_no_tokenizer(made, change, said):
    settings = vocabulary.write(CONFIG, made)
    settings |= {f'tokenizer.ggml.{key}': value for key, value in change.items()}
    with pytest.raises(InputError, match=said):
        vocabulary.read(CONFIG, settings)
