"""Every format token by token: what is written, what of it is learned, and what text cannot do."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data import chat, tokenizer
from phijax.errors import InputError
from tests.data.tokenizer import llama

ALL = tuple(dict.fromkeys(t for each in chat.FORMATS.values() for t in each.special))
CODEC = tokenizer.train(
    ['What is a list? A list is a row of things.\n'] * 9, 320, special_tokens=ALL
)
QUESTION = {'role': 'user', 'content': 'What is a list?'}
ANSWER = {'role': 'assistant', 'content': 'A row of things.'}
TALK = [
    {'role': 'system', 'content': 'Be brief.'},
    QUESTION,
    ANSWER,
    {'role': 'user', 'content': 'Why?'},
    {'role': 'assistant', 'content': 'It is useful.'},
]
WRITTEN = {
    'phi3': '<|system|>\nBe brief.<|end|>\n<|user|>\nWhat is a list?<|end|>\n<|assistant|>\n'
    'A row of things.<|end|>\n<|user|>\nWhy?<|end|>\n<|assistant|>\nIt is useful.<|end|>\n',
    'phi3_stripped': '<|system|>Be brief.<|end|><|user|>What is a list?<|end|><|assistant|>'
    'A row of things.<|end|><|user|>Why?<|end|><|assistant|>It is useful.<|end|>',
    'chatml': '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is a list?'
    '<|im_end|>\n<|im_start|>assistant\nA row of things.<|im_end|>\n<|im_start|>user\nWhy?'
    '<|im_end|>\n<|im_start|>assistant\nIt is useful.<|im_end|>\n',
    'phi2': 'Instruct: What is a list?\nOutput: A row of things.<|endoftext|>',
    'phi1_5': 'What is a list?\n\nAnswer: A row of things.<|endoftext|>',
    'code': 'What is a list?\nA row of things.<|endoftext|>',
}
ENDS = {'phi3': '<|end|>', 'phi3_stripped': '<|end|>', 'chatml': '<|im_end|>'}


def talk(name):
    """Messages that the format can hold."""
    return [QUESTION, ANSWER] if chat.FORMATS[name].single else TALK


def runs(encoded):
    """The texts of the runs of tokens that are learned."""
    groups = itertools.groupby(zip(*encoded, strict=True), key=lambda pair: pair[1])
    return [CODEC.decode([i for i, _ in group]) for learned, group in groups if learned]


def test_every_format_is_held_by_the_table():
    assert set(WRITTEN) == set(chat.FORMATS)


@pytest.mark.parametrize('name', chat.FORMATS)
def test_text_is_that_of_the_template(name):
    assert CODEC.decode(chat.encode(name, talk(name), CODEC).ids) == WRITTEN[name]


@pytest.mark.parametrize('name', chat.FORMATS)
def test_learned_are_the_assistants_words_and_its_end(name):
    end = ENDS.get(name, '<|endoftext|>')
    said = [m['content'] for m in talk(name) if m['role'] == 'assistant']
    found = runs(chat.encode(name, talk(name), CODEC))
    assert found == [chat.FORMATS[name].lead + text + end for text in said]


def test_last_answer_alone_is_learned():
    (encoded,) = chat.encode_all('phi3', [TALK], CODEC, last_only=True)
    assert encoded.ids == chat.encode('phi3', TALK, CODEC).ids
    assert runs(encoded) == ['It is useful.<|end|>']


@pytest.mark.parametrize('name', chat.FORMATS)
def test_generation_goes_on_where_the_answer_was_learned(name):
    """The same ids, so that a model is asked as it was trained."""
    ids, learned = chat.encode(name, talk(name), CODEC)
    prompt = chat.generation_prompt(name, talk(name)[:-1], CODEC)
    last = len(ids) - learned[::-1].index(True)
    assert ids[: len(prompt)] == prompt
    assert all(learned[len(prompt) : last])
    assert not learned[len(prompt) - 1]
    assert ids[last - 1] == chat.ends(name, CODEC)[0]


@pytest.mark.parametrize('name', chat.FORMATS)
def test_ends_are_ids_and_texts(name):
    own = CODEC.special(ENDS.get(name, '<|endoftext|>'))
    assert chat.ends(name, CODEC) == ((own, CODEC.end_of_text) if name in ENDS else (own,))
    assert bool(chat.stop_strings(name)) == (name not in ENDS)


@pytest.mark.parametrize('name', chat.FORMATS)
@given(text=st.lists(st.sampled_from([*ALL, '<|endoftext|>', 'a', '\n', ' ']), min_size=1))
def test_user_cannot_say_a_special_token(name, text):
    hostile = ''.join(text) + 'x'
    plain, answered = (
        chat.encode(name, [{'role': 'user', 'content': content}, ANSWER], CODEC)
        for content in ('x', hostile)
    )
    special = {*chat.specials(name, CODEC).values(), *(CODEC.special(t) for t in ALL)}
    kept = lambda encoded: [i for i in encoded.ids if i in special]  # noqa: E731
    assert kept(answered) == kept(plain)
    assert runs(answered) == runs(plain)
    assert hostile in CODEC.decode(answered.ids)


def test_empty_system_turn_is_left_out():
    silent = [{'role': 'system', 'content': ''}, QUESTION, ANSWER]
    assert chat.encode('phi3', silent, CODEC) == chat.encode('phi3', [QUESTION, ANSWER], CODEC)


def test_tokenizer_without_the_special_tokens_is_refused():
    bare = tokenizer.train(['text'], 300, special_tokens=['<|user|>', '<|end|>'])
    message = r'no special token <\|system\|>, <\|assistant\|>, which the format phi3 needs'
    for ask in (
        lambda: chat.encode('phi3', [QUESTION], bare),
        lambda: chat.generation_prompt('phi3', [QUESTION], bare),
        lambda: chat.ends('phi3', bare),
    ):
        with pytest.raises(InputError, match=message):
            ask()
    assert chat.encode('phi2', [QUESTION, ANSWER], bare).ids


def test_unknown_format_is_refused():
    for ask in (chat.check_format, chat.stop_strings):
        with pytest.raises(InputError, match=r"format is 'phi4'; it must be one of phi3, phi3_str"):
            ask('phi4')


@pytest.mark.parametrize(
    ('messages', 'answer'),
    [
        ([], r'must be a list of one or more, got \[\]'),
        ('hello', "must be a list of one or more, got 'hello'"),
        ([QUESTION, 'yes'], "message 2 must have role and content, got 'yes'"),
        ([{'role': 'user'}], 'message 1 has no content; it has role'),
        ([{'content': 'x'}], 'message 1 has no role; it has content'),
        (
            [QUESTION, {'role': 'bot', 'content': 'x'}],
            "message 2 has role 'bot'; it must be one of",
        ),
        ([{'role': ['user'], 'content': 'x'}], r"message 1 has role \['user'\]; it must be one of"),
        ([{'role': 'user', 'content': ' \n'}], r"message 1 of user must have a text .* got ' \\n'"),
        ([{'role': 'user', 'content': None}], 'message 1 of user must have a text .* got None'),
        ([QUESTION, TALK[0]], 'message 2 is of the system, not the first'),
    ],
)
def test_broken_messages_are_refused(messages, answer):
    with pytest.raises(InputError, match=answer):
        chat.encode('phi3', messages, CODEC)


@pytest.mark.parametrize('messages', [TALK[1:], [ANSWER], [QUESTION, QUESTION]])
def test_formats_of_one_question_have_no_more(messages):
    with pytest.raises(InputError, match='the format phi2 has one user and one assistant, got'):
        chat.encode('phi2', messages, CODEC)


def test_formats_without_a_system_name_their_roles():
    with pytest.raises(InputError, match="has role 'system'; it must be one of user, assistant"):
        chat.encode('phi2', TALK[:3], CODEC)


# One with pieces as phi-3's: a text of its own begins with a space that is not written.
PIECES = llama.small('▁list', '▁A', '▁row', 'What', '▁is')


@pytest.mark.parametrize('name', ['phi2', 'phi1_5', 'code'])
def test_pieces_write_the_template_too(name):
    ids, learned = chat.encode(name, talk(name), PIECES)
    end = '</s>'
    assert PIECES.decode(ids) == WRITTEN[name].replace('<|endoftext|>', end)
    said = PIECES.decode([i for i, own in zip(ids, learned, strict=True) if own])
    assert said == f'A row of things.{end}'
    prompt = chat.generation_prompt(name, [QUESTION], PIECES)
    assert ids[: len(prompt)] == prompt


def test_phi3_itself_writes_its_template(phi3):
    """With Llama-2's real pieces; without line ends they are the ids of the first tokenizer."""
    for name in ('phi3', 'phi3_stripped'):
        ids, learned = chat.encode(name, TALK, phi3)
        assert phi3.decode(ids) == WRITTEN[name]
        said = phi3.decode([i for i, own in zip(ids, learned, strict=True) if own])
        assert said == 'A row of things.<|end|>It is useful.<|end|>'
        assert chat.ends(name, phi3) == (32007, 32000)
    question = [{'role': 'user', 'content': 'Hello'}]
    assert chat.generation_prompt('phi3_stripped', question, phi3) == [32010, 15043, 32007, 32001]
    assert chat.generation_prompt('phi3', question, phi3) == [
        *(32010, 29871, 13, 10994),
        *(32007, 29871, 13),
        *(32001, 29871, 13),
    ]


def test_words_are_tokens_as_in_running_text():
    """A question is encoded with what stands around it, as a model is asked that knows no chat."""
    prompt = chat.generation_prompt('phi2', [QUESTION], CODEC)
    assert prompt == CODEC.encode('Instruct: What is a list?\nOutput:')
    ids, _ = chat.encode('phi2', [QUESTION, ANSWER], CODEC)
    assert ids[:-1] == CODEC.encode('Instruct: What is a list?\nOutput: A row of things.')


def test_answer_that_would_merge_with_its_header_begins_alone():
    codec = tokenizer.train(['a\n\n\n\nb'] * 9, 300, special_tokens=ALL)
    messages = [QUESTION, {'role': 'assistant', 'content': '\n\nYes'}]
    ids, learned = chat.encode('phi3', messages, codec)
    assert codec.encode('\n\n\n')[0] != codec.encode('\n')[0]
    prompt = chat.generation_prompt('phi3', [QUESTION], codec)
    assert ids[: len(prompt)] == prompt
    assert codec.decode(ids[len(prompt) :]) == '\n\nYes<|end|>\n'
    assert learned.index(True) == len(prompt)
