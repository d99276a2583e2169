"""Items as ids: the pairs of lm-evaluation-harness, and the turns of chat formats."""

import pytest

from phijax.data import chat
from phijax.errors import InputError
from phijax.evaluate import encoding
from phijax.evaluate.likelihood import Request
from phijax.evaluate.tasks.items import Choice, Problem

CHOICE = Choice(
    id='1',
    contexts=('Question: What is it?\nAnswer:',),
    continuations=(' a', ' a + b'),
    answers=('a', 'a + b'),
    message='What is it?',
    gold=0,
)
CONTEXTS = Choice(
    id='2',
    contexts=('def a', 'def b'),
    continuations=(' is it',),
    answers=('a', 'b'),
    message='a or b?',
    gold=1,
)
PAIRS = [
    ('Question: What', ' is it?'),
    ('Question: What ', 'is it?'),
    ('Question:  ', 'What'),
    ('def add(a, b):\n', '    return'),
    ('def add(a', ', b'),
    ('a', 'dd'),
]


def test_pairs_are_cut_as_the_harness_cuts_them(codec):
    harness = pytest.importorskip('lm_eval.api.model')

    class Harness(harness.TemplateLM):
        eot_token_id = codec.end_of_text
        tok_encode = staticmethod(lambda string, *_, **__: codec.encode(string))
        _loglikelihood_tokens = loglikelihood_rolling = generate_until = None

    expected = [Request(*map(tuple, Harness()._encode_pair(*pair))) for pair in PAIRS]
    assert encoding.encode_pairs(PAIRS, codec) == expected


def test_every_token_of_a_pair_is_of_its_text(codec):
    for pair, (context, continuation) in zip(
        PAIRS, encoding.encode_pairs(PAIRS, codec), strict=True
    ):
        assert codec.decode([*context, *continuation]) == ''.join(pair)
        assert continuation


def test_an_empty_context_is_the_end_of_text(codec):
    [request] = encoding.encode_pairs([('', 'def add')], codec)
    assert request == Request((codec.end_of_text,), tuple(codec.encode('def add')))


def test_one_context_serves_all_answers_and_one_ending_all_contexts():
    assert encoding.pairs(CHOICE) == [
        (CHOICE.contexts[0], ' a'),
        (CHOICE.contexts[0], ' a + b'),
    ]
    assert encoding.pairs(CONTEXTS) == [('def a', ' is it'), ('def b', ' is it')]


@pytest.mark.parametrize('style', ['phi2', 'phi1_5', 'code'])
def test_a_chat_format_asks_the_message_and_scores_the_answer_as_it_was_learned(codec, style):
    [[_, second]] = encoding.requests([CHOICE], style, codec)
    whole = chat.encode(
        style,
        [
            {'role': 'user', 'content': CHOICE.message},
            {'role': 'assistant', 'content': CHOICE.answers[1]},
        ],
        codec,
    )
    learned = [i for i, counted in zip(whole.ids, whole.learned, strict=True) if counted]
    assert list(second.continuation) == learned[: len(second.continuation)]
    assert list(second.context) == whole.ids[: len(second.context)]
    assert len(learned) == len(second.continuation) + 1


def test_a_problem_is_its_context_or_its_message(codec):
    problem = Problem(id='1', context='def add', message='Add them.', reference={})
    assert encoding.prompts([problem], 'completion', codec) == [codec.encode('def add')]
    [asked] = encoding.prompts([problem], 'phi2', codec)
    assert codec.decode(asked) == 'Instruct: Add them.\nOutput:'


def test_an_unknown_style_is_answered_with_those_there_are():
    with pytest.raises(InputError, match=r"completion, phi3, .*got 'phi9'"):
        encoding.check_style('phi9')


def test_a_format_whose_tokens_the_tokenizer_lacks_is_refused(codec):
    with pytest.raises(InputError, match=r'<\|im_start\|>'):
        encoding.requests([CHOICE], 'chatml', codec)
