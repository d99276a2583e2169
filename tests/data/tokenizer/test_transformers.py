"""transformers reads what we save: the same ids, and the same names for the special ones."""

import json

import pytest

from phijax.data import tokenizer
from tests.golden.texts import TEXTS

WHY = 'needs `pip install phijax[hf]`'
transformers = pytest.importorskip('transformers', reason=WHY)


@pytest.fixture(scope='module')
def cl100k(asset) -> tokenizer.Tokenizer:
    return tokenizer.load(asset('cl100k-ranks'))


@pytest.mark.parametrize(
    ('made', 'family'), [('phi3', ''), ('phi3', 'phi3'), ('phi3', 'llama'), ('cl100k', '')]
)
def test_auto_tokenizer(request, tmp_path, made, family):
    """Alone, and beside the config of a model that has a tokenizer class of its own."""
    codec = request.getfixturevalue(made)
    codec.save(tmp_path)
    if family:
        (tmp_path / 'config.json').write_text(json.dumps({'model_type': family}))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        ids = theirs.encode(text, add_special_tokens=False, split_special_tokens=True)
        assert ids == codec.encode(text), repr(text)
        assert theirs.decode(ids) == text
    assert len(theirs) == codec.vocab_size
    assert theirs.eos_token_id == codec.end_of_text
    for name in ('<|user|>', '<|end|>', '<|assistant|>', '<|system|>'):
        assert theirs.encode(name, add_special_tokens=False) == [codec.special(name)]
