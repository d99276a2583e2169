"""What replies mean: waits in all their spellings, failures that pass and that stay."""

import json

import pytest

from phijax.data.client import Request, Usage, replies
from phijax.data.client.replies import Broken, Completed, Fatal, Limited, Rejected, Reply
from phijax.data.errors import UnavailableError
from phijax.errors import InputError

NOW = 1_700_000_000.0
ASKED = Request(({'role': 'user', 'content': 'x'},), 8)


def completion(**changes) -> bytes:
    choice = {'message': {'role': 'assistant', 'content': 'Yes.'}, 'finish_reason': 'stop'}
    usage = {'prompt_tokens': 3, 'completion_tokens': 2}
    return json.dumps({'model': 'm', 'choices': [choice], 'usage': usage} | changes).encode()


@pytest.mark.parametrize(
    ('headers', 'wait'),
    [
        ({}, None),
        ({'retry-after': '7'}, 7.0),
        ({'retry-after': '0.5'}, 0.5),
        ({'retry-after': 'Tue, 14 Nov 2023 22:13:50 GMT'}, 30.0),
        ({'retry-after': 'Tue, 14 Nov 2023 22:13:50 -0000'}, 30.0),
        ({'retry-after': 'Tue, 14 Nov 2023 22:13:10 GMT'}, 0.0),
        ({'retry-after': 'soon'}, None),
        ({'retry-after': 'nan'}, None),
        ({'retry-after': '-3'}, None),
        ({'retry-after': '9', 'retry-after-ms': '1500'}, 1.5),
        ({'retry-after': '9', 'x-ratelimit-reset-tokens': '1s'}, 9.0),
        ({'x-ratelimit-reset-requests': '1s', 'x-ratelimit-reset-tokens': '6m0s'}, 360.0),
        ({'x-ratelimit-reset-requests': '20ms'}, 0.02),
        ({'x-ratelimit-reset-requests': '1h2m3.5s'}, 3723.5),
        ({'x-ratelimit-reset-requests': '12'}, 12.0),
        ({'x-ratelimit-reset-requests': 'later'}, None),
        ({'x-ratelimit-reset-requests': '1.2.3s'}, None),
        (
            {
                'x-ratelimit-reset-requests': '1s',
                'x-ratelimit-remaining-requests': '0',
                'x-ratelimit-reset-tokens': '6m0s',
                'x-ratelimit-remaining-tokens': '140',
            },
            1.0,
        ),
    ],
)
def test_waits(headers, wait):
    outcome = replies.interpret(Reply(429, headers, b'{}'), NOW)
    assert outcome == Limited(None if wait is None else pytest.approx(wait))


@pytest.mark.parametrize('status', [500, 502, 503, 504, 520, 529, 408, 409])
def test_failures_that_pass(status):
    outcome = replies.interpret(Reply(status, {'retry-after': '3'}, b'busy'), NOW)
    assert outcome == Broken(f'{status}: busy', wait=3.0)


@pytest.mark.parametrize('status', [400, 403, 413, 422])
def test_failures_that_stay(status):
    assert replies.interpret(Reply(status, {}, b'too long'), NOW) == Rejected(f'{status}: too long')


@pytest.mark.parametrize(
    ('status', 'content', 'kind'),
    [
        (401, b'no', InputError),
        (404, b'no', InputError),
        (307, b'', InputError),
        (402, b'', UnavailableError),
        (429, b'{"error": {"code": "insufficient_quota"}}', UnavailableError),
    ],
)
def test_what_no_request_gets_past(status, content, kind):
    outcome = replies.interpret(Reply(status, {}, content), NOW)
    assert isinstance(outcome, Fatal)
    assert type(outcome.error) is kind


def test_a_completion():
    outcome = replies.interpret(Reply(200, {}, completion()), NOW)
    assert outcome == Completed('Yes.', 'stop', Usage(3, 2), 'm', '')


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'<html>',
        b'\xff\xfe',
        b'null',
        b'[]',
        b'{"error": {"message": "overloaded"}}',
        completion(choices=[]),
        completion(choices=None),
        completion(choices=[{'message': None}]),
        completion(choices=['Yes.']),
        b'[' * 200_000,
        completion()[:-1],
    ],
)
def test_what_is_no_completion(content):
    outcome = replies.interpret(Reply(200, {}, content), NOW)
    assert isinstance(outcome, Broken)
    assert len(outcome.reason) < 500


@pytest.mark.parametrize(
    'usage',
    [
        None,
        {},
        7,
        {'prompt_tokens': 3},
        {'prompt_tokens': -1, 'completion_tokens': 2},
        {'prompt_tokens': True, 'completion_tokens': 2},
        {'prompt_tokens': 1.5, 'completion_tokens': 2},
        {'prompt_tokens': 2**80, 'completion_tokens': 2},
    ],
)
def test_a_usage_that_cannot_be_believed_is_none(usage):
    outcome = replies.interpret(Reply(200, {}, completion(usage=usage)), NOW)
    assert isinstance(outcome, Completed)
    assert outcome.usage is None


@pytest.mark.parametrize(
    ('choice', 'status'),
    [
        ({'message': {'content': 'Yes.'}, 'finish_reason': 'stop'}, 'ok'),
        ({'message': {'content': 'Yes.'}}, 'ok'),
        ({'message': {'content': 'Yes.'}, 'finish_reason': 'length'}, 'truncated'),
        ({'message': {'content': 'Ye'}, 'finish_reason': 'content_filter'}, 'refused'),
        ({'message': {'content': None, 'refusal': 'No.'}, 'finish_reason': 'stop'}, 'refused'),
        ({'message': {'content': ' \n'}, 'finish_reason': 'stop'}, 'invalid'),
        ({'message': {'content': ['Yes.']}, 'finish_reason': 'stop'}, 'invalid'),
        ({'message': {}}, 'invalid'),
    ],
)
def test_what_a_completion_is_worth(choice, status):
    outcome = replies.interpret(Reply(200, {}, completion(choices=[choice])), NOW)
    assert isinstance(outcome, Completed)
    answer = replies.answer(ASKED, 'ab', outcome)
    assert answer.status == status
    assert bool(answer.reason) == (status != 'ok')
