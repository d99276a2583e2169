"""The hand-written reader and writer of sentencepiece's format, against sentencepiece itself."""

import io
import re

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from phijax.data import tokenizer
from phijax.data.tokenizer import proto
from phijax.errors import InputError
from tests.data.tokenizer import llama

TEXT = 'the cat sat on the mat and the dog ran after the cat\n' * 5


def trained(**options: object) -> bytes:
    """A model that sentencepiece itself made."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.splitlines()),
        model_writer=model,
        **{
            'vocab_size': 290,
            'model_type': 'bpe',
            'byte_fallback': True,
            'normalization_rule_name': 'identity',
            'remove_extra_whitespaces': False,
            'minloglevel': 2,
        }
        | options,
    )
    return model.getvalue()


@pytest.fixture(scope='module')
def model() -> bytes:
    return trained()


@pytest.fixture(scope='module')
def small(tmp_path_factory) -> bytes:
    directory = tmp_path_factory.mktemp('small')
    llama.small('ab', 'abc').save(directory)
    return (directory / 'tokenizer.model').read_bytes()


def test_a_model_of_sentencepiece(model):
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces, prefix = proto.read(model)
    assert prefix
    assert len(pieces) == processor.vocab_size() == 290
    for i, piece in enumerate(pieces):
        assert (piece.text, piece.score) == (processor.id_to_piece(i), processor.get_score(i))
        assert (piece.kind == 2) == processor.is_unknown(i)
        assert (piece.kind == 3) == processor.is_control(i)
        assert (piece.kind == 6) == processor.is_byte(i)


def test_what_is_written_is_read_with_the_same_ids(model):
    pieces, _ = proto.read(model)
    assert proto.read(proto.write(pieces)) == (pieces, True)
    processors = [
        sentencepiece.SentencePieceProcessor(model_proto=m) for m in (model, proto.write(pieces))
    ]
    first, second = (p.encode(TEXT + ' \u6f22  catmat') for p in processors)
    assert first == second


def test_appended_pieces_follow(model):
    more = [proto.Piece('<|user|>', 0.0, 3), proto.Piece('x' * 300, -5.0, 1)]
    longer = model + proto.append(more)
    assert proto.read(longer).pieces[290:] == more
    processor = sentencepiece.SentencePieceProcessor(model_proto=longer)
    assert processor.id_to_piece(290) == '<|user|>'
    assert processor.is_control(290)


def test_a_model_without_a_first_space(tmp_path):
    (tmp_path / 'tokenizer.model').write_bytes(trained(add_dummy_prefix=False))
    codec = tokenizer.load(tmp_path)
    assert codec.decode(codec.encode(' the cat')) == ' the cat'
    assert codec.encode('xthe')[1:] == codec.encode('the')
    codec.save(tmp_path / 'out')
    loaded = tokenizer.load(tmp_path / 'out' / 'tokenizer.json')
    assert loaded.encode('the cat') == codec.encode('the cat')
    assert loaded.decode(codec.encode(' the cat')) == ' the cat'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'model_type': 'unigram', 'vocab_size': 275}, 'its model_type is 1; phijax reads 2'),
        ({'remove_extra_whitespaces': True}, 'replaces characters or removes spaces'),
        ({'normalization_rule_name': 'nmt_nfkc'}, 'replaces characters or removes spaces'),
        ({'treat_whitespace_as_suffix': True}, r'does not put U\+2581'),
        ({'byte_fallback': False, 'vocab_size': 30}, 'pieces for 0 of 256 bytes'),
    ],
)
def test_a_model_that_loses_something(tmp_path, options, message):
    (tmp_path / 'tokenizer.model').write_bytes(trained(**options))
    with pytest.raises(InputError, match=message) as caught:
        tokenizer.load(tmp_path)
    assert re.match(r'.*tokenizer\.model is not a tokenizer that can be read', str(caught.value))


@pytest.mark.parametrize(
    'content', [b'', b'{}', b'{"model": {}}', b'\x0a\xff', b'\x08' + b'\xff' * 12]
)
def test_something_else(tmp_path, content):
    (tmp_path / 'tokenizer.model').write_bytes(content)
    with pytest.raises(InputError, match=r'tokenizer\.model is not a tokenizer that can be read'):
        tokenizer.load(tmp_path)


def test_every_cut_is_noticed(small):
    for length in range(len(small)):
        with pytest.raises(InputError):
            tokenizer.SentencePieceTokenizer(small[:length], {}, '</s>')


def test_a_changed_byte_is_an_input_error_or_another_tokenizer(small):
    @settings(max_examples=300)
    @given(at=st.integers(0, len(small) - 1), value=st.integers(0, 255))
    def every(at: int, value: int) -> None:
        changed = small[:at] + bytes([value]) + small[at + 1 :]
        try:
            codec = tokenizer.SentencePieceTokenizer(changed, {}, '</s>')
        except InputError:
            return
        assert codec.decode(codec.encode('abc')) == 'abc'

    every()
