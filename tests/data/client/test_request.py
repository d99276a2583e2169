"""Requests and answers as values: what a key depends on, and what is sent."""

import dataclasses
import json

import pytest

from phijax.data.client import Answer, Request, Usage
from phijax.data.client.request import combine, most_prompt_tokens
from phijax.errors import InputError

SCHEMA = {'type': 'object', 'properties': {'a': {'type': 'integer'}, 'b': {'type': 'integer'}}}
ASKED = Request(
    ({'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Why? é'}),
    max_tokens=20,
    seed=1,
    schema=SCHEMA,
)
CHANGES = {
    'messages': ({'role': 'user', 'content': 'Be brief.Why? é'},),
    'max_tokens': 21,
    'temperature': 0.5,
    'top_p': 0.5,
    'seed': None,
    'schema': {**SCHEMA, 'properties': dict(reversed(list(SCHEMA['properties'].items())))},
    'stop': ('\n',),
    'sample_index': 1,
}


def test_every_field_is_in_the_key():
    assert CHANGES.keys() == {field.name for field in dataclasses.fields(Request)}
    changed = [dataclasses.replace(ASKED, **{name: value}) for name, value in CHANGES.items()]
    keys = {request.key('m') for request in [ASKED, *changed]} | {ASKED.key('n')}
    assert len(keys) == len(CHANGES) + 2


def test_the_key_stays_the_same():
    expected = 'b1e919de337d7e4ced869edb06a52a3c3b3fdd5842a5c8ee513f3f44ae8f3679'
    assert ASKED.key('m') == dataclasses.replace(ASKED, temperature=1).key('m')
    assert ASKED.key('m').hex() == expected


def test_what_is_sent():
    sent = json.loads(ASKED.body('m', 'max_completion_tokens'))
    assert sent.pop('messages') == list(ASKED.messages)
    schema = sent.pop('response_format')['json_schema']
    assert (schema['schema'], schema['strict']) == (SCHEMA, True)
    assert sent == {
        'model': 'm', 'max_completion_tokens': 20, 'temperature': 1.0, 'top_p': 1.0, 'seed': 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('messages', ()),
        ('messages', ({'role': 'tool', 'content': 'x'},)),
        ('messages', ({'role': 'user'},)),
        ('max_tokens', 0),
        ('temperature', 2.5),
        ('temperature', float('nan')),
        ('top_p', 0.0),
        ('schema', {'type': 'null'}),
    ],
)
def test_what_cannot_be_asked(field, value):
    with pytest.raises(InputError, match=field):
        dataclasses.replace(ASKED, **{field: value})


def test_a_text_that_is_no_unicode_is_named():
    broken = Request(({'role': 'user', 'content': 'a\ud800b'},), 10)
    with pytest.raises(InputError, match=r'ud800'):
        broken.key('m')
    with pytest.raises(InputError, match=r'ud800'):
        broken.body('m', 'max_tokens')


def test_no_tokenizer_over_bytes_makes_more_tokens():
    body = ASKED.body('m', 'max_tokens')
    texts = sum(len(message['content'].encode()) for message in ASKED.messages)
    assert most_prompt_tokens(body, 2) >= texts + len(json.dumps(SCHEMA)) / 2 + 2 * 16


def test_an_answer_survives_the_journal():
    answer = Answer('ab', 'ok', '{"a": 1}\ud800', None, Usage(3, 4), 'm', 'stop', '', 2, 0.5)
    loaded = Answer.load(bytes.fromhex('ab'), answer.dump(), None)
    assert loaded == answer
    assert (loaded.attempts, loaded.seconds) == (2, 0.5)
    good = dataclasses.replace(answer, text='{"a": 1}')
    assert Answer.load(bytes.fromhex('ab'), good.dump(), SCHEMA).value == {'a': 1}


def test_a_second_answer_counts_only_if_it_helps():
    first = Answer('aa', 'invalid', 'no', None, Usage(1, 2), reason='it is not JSON.')
    good = Answer('bb', 'ok', '{}', {}, Usage(3, 4))
    assert combine(first, good) == Answer('aa', 'ok', '{}', {}, Usage(4, 6))
    for status in ('truncated', 'failed_permanent', 'refused'):
        combined = combine(first, dataclasses.replace(good, status=status))
        assert (combined.status, combined.text) == ('invalid', 'no')
    assert combine(first, Answer('bb', 'failed_transient')).status == 'failed_transient'


def test_the_correction_says_what_was_wrong():
    again = ASKED.corrected('{"a": "x"}', 'the value.a must be of type integer.')
    assert [message['role'] for message in again.messages[2:]] == ['assistant', 'user']
    assert 'the value.a must be of type integer.' in again.messages[-1]['content']
    assert len(ASKED.corrected('é\ud800' * 10**6, 'it').messages[2]['content']) <= 8000
