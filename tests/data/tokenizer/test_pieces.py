"""sentencepiece's ids against those of `tokenizers`, which reads Llama-2's own tokenizer.json."""

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings

from phijax.data import tokenizer
from phijax.errors import InputError
from tests.data.tokenizer import exact, llama
from tests.golden.texts import TEXTS

SPACES = tuple(' ' * n for n in range(100))
PIECES = [*llama.ALWAYS[0], llama.SPACE]
NAMELESS = ['<none>', *PIECES[1:]]


@pytest.fixture(scope='module')
def reference(asset) -> tokenizers.Tokenizer:
    file = asset('llama2-vocabulary') / 'l2_supercat_tokenizer_config.json'
    made = tokenizers.Tokenizer.from_file(str(file))
    made.encode_special_tokens = True
    return made


def answer(reference: tokenizers.Tokenizer, text: str) -> list[int]:
    return reference.encode(text, add_special_tokens=False).ids


def test_ids_are_llamas(phi3, reference):
    for text in TEXTS + SPACES:
        assert phi3.encode(text) == answer(reference, text), repr(text)

    @settings(max_examples=300)
    @given(text=exact.TEXTS)
    def every(text: str) -> None:
        assert phi3.encode(text) == answer(reference, text)

    every()


def test_what_is_saved_for_others_is_llamas_own_definition(phi3, reference, tmp_path):
    """The merges are found from the scores; Llama-2's tokenizer.json has the same."""
    phi3.save(tmp_path)
    ours = json.loads((tmp_path / 'tokenizer.json').read_text())
    theirs = json.loads(reference.to_str())
    assert ours['model']['merges'] == theirs['model']['merges']
    for key in ('normalizer', 'pre_tokenizer', 'decoder'):
        assert ours[key] == theirs[key]


def test_every_text_comes_back(phi3):
    exact.check(phi3, without=llama.SPACE)
    exact.check(llama.small('ab', 'b' + llama.SPACE), without=llama.SPACE)


def test_only_the_mark_for_a_space_comes_back_as_a_space(phi3):
    assert phi3.decode(phi3.encode('a\u2581b')) == 'a b'


def test_the_ids_of_phi3(phi3):
    assert phi3.vocab_size == 32011
    assert phi3.end_of_text == 32000
    assert phi3.ends == (32000, 32007, 32001)
    assert {token: phi3.special(token) for token in llama.PHI3} == llama.PHI3_IDS
    assert [phi3.special(token) for token in ('<unk>', '<s>', '</s>')] == [0, 1, 2]
    assert phi3.special('Hello') is None
    assert phi3.special('<|im_end|>') is None


def test_a_text_begins_with_a_space_of_its_own_wherever_it_stands(phi3):
    """As in llama.cpp and the tokenizer.json of phi-3."""
    [hello] = phi3.encode('Hello')
    assert phi3.encode('Say Hello')[-1] == hello
    assert phi3.encode(' Hello') == [29871, hello]
    user, end = phi3.special('<|user|>'), phi3.special('<|end|>')
    chat = [user, hello, end, end, *phi3.encode(' Hello\n')]
    assert phi3.decode(chat) == '<|user|>Hello<|end|><|end|> Hello\n'


def test_white_space_after_a_special_token_is_kept(phi3):
    user = phi3.special('<|user|>')
    assert phi3.encode('\nHi') == [29871, 13, 18567]
    assert phi3.decode([user, *phi3.encode('\nHi')]) == '<|user|>\nHi'


def test_bytes_that_are_not_a_character(phi3):
    ids = phi3.encode('\U0010ffff')
    assert phi3.decode(ids[:-1]) == '\ufffd' * 3


@pytest.mark.parametrize('made', ['phi3', 'small'])
def test_what_is_saved_is_what_is_loaded(request, tmp_path, made):
    codec = request.getfixturevalue(made) if made == 'phi3' else llama.small('ab')
    codec.save(tmp_path)
    for path in (tmp_path, tmp_path / 'tokenizer.model', tmp_path / 'tokenizer.json'):
        loaded = tokenizer.load(path)
        assert loaded.encode('ab  <|user|>\n') == codec.encode('ab  <|user|>\n')
        assert (loaded.ends, loaded.vocab_size) == (codec.ends, codec.vocab_size)
        assert loaded.special('<|user|>') == codec.special('<|user|>')
    assert tokenizer.load(tmp_path).digest == codec.digest


def test_lists_of_a_gguf_file_are_the_same_tokenizer(asset, phi3):
    """As converters write phi-3: other kinds for the first tokens, and rows that fill up."""
    pieces, scores, types = llama.lists(asset('llama2-vocabulary'))
    pieces = [*pieces, *llama.PHI3, *(f'[PAD{i}]' for i in range(32011, 32064))]
    types = [3, 3, 4, *types[3:], *[3] * 11, *[2] * 53]
    scores = [*[-1000.0] * 3, *scores[3:], *[-1000.0] * 64]
    arrays = np.array(scores, np.float32), np.array(types, np.int32)
    made = tokenizer.from_pieces(pieces, *arrays, end_of_text=32007)
    assert made.digest == phi3.digest
    assert made.ends == phi3.ends
    assert made.vocab_size == 32011


def test_digest_tells_tokenizers_apart(phi3):
    codecs = [phi3, llama.small('ab', 'bc'), llama.small('bc', 'ab'), llama.small('ab')]
    assert len({codec.digest for codec in codecs}) == 4


def test_scores_decide_what_is_joined():
    first, second = llama.small('ab', 'bc'), llama.small('bc', 'ab')
    assert [first.decode([i]) for i in first.encode('xabc')[-2:]] == ['ab', 'c']
    assert [second.decode([i]) for i in second.encode('xabc')[-2:]] == ['a', 'bc']


def test_a_lone_surrogate_is_refused():
    with pytest.raises(InputError, match=r"surrogate '\\udfff' at 1"):
        llama.small().encode_batch(['fine', 'b\udfff'])


def test_an_unknown_id_is_refused():
    with pytest.raises(InputError, match='Token id 260 is not one of 0 to 259'):
        llama.small().decode([260])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'scores': [0.0]}, 'There are 260 pieces, but scores of 1'),
        ({'types': [1] * 3}, 'There are 260 tokens, but types of 3'),
        ({'types': [2, 3, 3, *[6] * 255, 1, 1]}, 'for 255 of 256 bytes'),
        ({'types': [*llama.ALWAYS[1], 9]}, 'a piece of kind 9'),
        ({'types': [*llama.ALWAYS[1], 5]}, r'no piece for a space \(U\+2581\)'),
        ({'types': [3, *llama.ALWAYS[1][1:], 1], 'pieces': NAMELESS}, 'has 0 unknown and 0 user-'),
        (
            {'types': [2, 3, 3, *[6] * 256, 1, 4], 'pieces': [*PIECES, 'a'], 'scores': [0] * 261},
            'and 1 user-',
        ),
        ({'pieces': ['<unk>', '<s>', '<s>', *PIECES[3:]]}, '260 tokens only 259'),
        ({'end_of_text': 260}, 'end_of_text is 260; it must be 0 to 259'),
        ({'end_of_text': 70}, r'no <\|endoftext\|> nor <0x43> among its 260'),
    ],
)
def test_lists_that_make_no_tokenizer(change, message):
    given = {
        'pieces': PIECES,
        'scores': [0.0] * 260,
        'types': [*llama.ALWAYS[1], 1],
        'end_of_text': 2,
    }
    with pytest.raises(InputError, match=message):
        tokenizer.from_pieces(**given | change)


@pytest.mark.parametrize('wrong', [258, 261])
def test_an_added_token_that_cannot_have_its_id(tmp_path, wrong):
    llama.small().save(tmp_path)
    (tmp_path / 'added_tokens.json').write_text(json.dumps({'<|user|>': wrong}))
    with pytest.raises(InputError, match=rf"'<\|user\|>' should have id {wrong}, .* gives it 260"):
        tokenizer.load(tmp_path)


def test_added_tokens_of_a_config(tmp_path):
    llama.small().save(tmp_path)
    decoder = {'2': {'content': '</s>'}, '260': {'content': '<|end|>'}}
    config = {'added_tokens_decoder': decoder, 'eos_token': {'content': '<|end|>'}}
    (tmp_path / 'tokenizer_config.json').write_text(json.dumps(config))
    loaded = tokenizer.load(tmp_path)
    assert loaded.special('<|end|>') == loaded.end_of_text == 260
    assert loaded.ends == (260,)
