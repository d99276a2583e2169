"""The client against a real server on the loopback that does everything a server should not."""

import itertools
import json
import pathlib
import random
import sqlite3
import time

import pytest

from phijax.data.client import Answer, Budget, Client, Endpoint, Request
from phijax.data.client.journal import NAME
from phijax.data.errors import BudgetError, UnavailableError
from phijax.errors import InputError
from tests.data.client import server
from tests.data.client.server import Script

SCHEMA = {
    'type': 'object',
    'properties': {'score': {'type': 'integer', 'minimum': 1, 'maximum': 5}},
    'required': ['score'],
    'additionalProperties': False,
}
PLENTY = Budget(10**7)


def ask(number: int, **changes) -> Request:
    fields = {'max_tokens': 24} | changes
    return Request(({'role': 'user', 'content': f'q{number}'},), **fields)


def reach(running, **changes) -> Endpoint:
    fields = {'max_concurrency': 8, 'backoff_seconds': 0.02, 'timeout_seconds': 20.0} | changes
    return Endpoint(running.url, 'm', **fields)


def answers_of(
    running, directory: pathlib.Path, requests, budget: Budget = PLENTY, **changes
) -> list[Answer]:
    with Client(reach(running, **changes), budget, directory) as client:
        return list(client.complete(requests))


def test_answers_come_in_order_and_are_paid_for_once(tmp_path):
    requests = [ask(number) for number in range(300)]
    with server.run(Script(latency=0.002)) as running:
        with Client(reach(running), PLENTY, tmp_path) as client:
            first = list(client.complete(iter(requests)))
            spent = client.spent
        assert [answer.key for answer in first] == [r.key('m').hex() for r in requests]
        assert all(answer.status == 'ok' and answer.text for answer in first)
        assert spent.tokens == running.stats.billed
        assert spent.requests == running.stats.requests == 300
        assert running.stats.most_in_flight <= 8
        with Client(reach(running), PLENTY, tmp_path) as client:
            assert list(client.complete(requests)) == first
            assert client.spent == spent._replace(replays=300)
        assert running.stats.requests == 300


def test_equal_requests_are_asked_once_and_samples_apart(tmp_path):
    requests = [ask(1), ask(1), ask(2), ask(1), ask(1, sample_index=1)]
    with server.run() as running:
        answers = answers_of(running, tmp_path, requests)
        assert running.stats.requests == 3
    assert answers[0] == answers[1] == answers[3] != answers[4]


@pytest.mark.parametrize(
    ('faults', 'requests', 'attempts'),
    [
        (['limited'], 2, 1),
        (['limited_after'] * 3, 4, 1),
        (['limited_reset'], 2, 1),
        (['error'], 2, 2),
        (['busy', 'error'], 3, 3),
        (['reset'], 2, 2),
        (['half', 'text'], 3, 3),
        (['flood'], 2, 2),
        (['slow'], 2, 2),
    ],
    ids=lambda value: ','.join(value) if isinstance(value, list) else None,
)
def test_what_passes_is_tried_again(tmp_path, faults, requests, attempts):
    with server.run(Script({'q1': faults}, slow=1.5)) as running:
        [answer] = answers_of(running, tmp_path, [ask(1)], timeout_seconds=1.0)
        assert running.stats.requests == requests
    assert (answer.status, answer.attempts) == ('ok', attempts)


@pytest.mark.parametrize('fault', ['error', 'reset', 'half', 'text'])
def test_what_does_not_pass_is_put_off_to_the_next_run(tmp_path, fault):
    with server.run(Script({'q1': [fault] * 3})) as running:
        bad, good = answers_of(running, tmp_path, [ask(1), ask(2)], max_attempts=3)
        assert (bad.status, bad.attempts, good.status) == ('failed_transient', 3, 'ok')
        bad, again = answers_of(running, tmp_path, [ask(1), ask(2)], max_attempts=3)
        assert (bad.status, again) == ('ok', good)
        assert running.stats.requests == 5


@pytest.mark.parametrize(
    ('fault', 'status', 'reason'),
    [
        ('length', 'truncated', 'longer than 24'),
        ('filtered', 'refused', 'content_filter'),
        ('refusal', 'refused', 'I will not.'),
        ('empty', 'invalid', 'empty'),
        ('filter', 'failed_permanent', 'content_filter'),
        ('long', 'failed_permanent', 'context_length_exceeded'),
    ],
)
def test_what_is_no_use_is_kept_as_such(tmp_path, fault, status, reason):
    with server.run(Script({'q1': [fault] * 9})) as running:
        for _ in range(2):
            bad, good = answers_of(running, tmp_path, [ask(1), ask(2)])
            assert (bad.status, good.status) == (status, 'ok')
            assert reason in bad.reason
        assert running.stats.requests == 2


def test_rejected_requests_are_sent_again_on_demand(tmp_path):
    with server.run(Script({'q1': ['filter']})) as running:
        assert answers_of(running, tmp_path, [ask(1)])[0].status == 'failed_permanent'
        with Client(reach(running), PLENTY, tmp_path, retry_permanent=True) as client:
            assert [answer.status for answer in client.complete([ask(1)])] == ['ok']
        assert answers_of(running, tmp_path, [ask(1)])[0].status == 'ok'
        assert running.stats.requests == 2


@pytest.mark.parametrize(
    ('faults', 'status', 'requests'),
    [([], 'ok', 1), (['fenced'], 'ok', 1), (['wrong'], 'ok', 2), (['wrong'] * 2, 'invalid', 2)],
    ids=['clean', 'fenced', 'corrected', 'hopeless'],
)
def test_structured_answers(tmp_path, faults, status, requests):
    asked = ask(1, schema=SCHEMA)
    with server.run(Script({'q1': faults})) as running:
        [answer] = answers_of(running, tmp_path, [asked])
        assert answer.status == status
        assert answer.key == asked.key('m').hex()
        assert running.stats.requests == requests
        [replayed] = answers_of(running, tmp_path, [asked])
        assert (replayed, replayed.attempts) == (answer, answer.attempts)
        assert running.stats.requests == requests
        last = running.server.bodies[-1]
    assert last['response_format']['json_schema']['schema'] == SCHEMA
    if requests == 2:
        assert "the value lacks 'score'" in last['messages'][-1]['content']
        assert answer.usage.prompt + answer.usage.completion == running.stats.billed
    if status == 'ok':
        assert 1 <= answer.value['score'] <= 5
    else:
        assert (answer.text, answer.value) == ('{"nothing": "of the kind"}', None)


def test_a_second_question_that_was_cut_off_is_asked_by_the_next_run(tmp_path):
    asked = ask(1, schema=SCHEMA)
    with server.run(Script({'q1': ['wrong', *['error'] * 2]})) as running:
        [answer] = answers_of(running, tmp_path, [asked], max_attempts=2)
        assert answer.status == 'failed_transient'
        [answer] = answers_of(running, tmp_path, [asked], max_attempts=2)
        assert answer.status == 'ok'
        assert running.stats.billed_requests == 2, 'the first answer was kept'


def test_another_model_is_an_error_and_its_answer_is_not_kept(tmp_path):
    with server.run(Script({'q3': ['renamed']})) as running:
        with Client(reach(running, max_concurrency=1), PLENTY, tmp_path) as client:
            answers = []
            with pytest.raises(InputError, match="'another-model', and before it named it 'm'"):
                answers.extend(client.complete(ask(number) for number in range(6)))
            answers.extend(client.complete([ask(number) for number in range(6)]))
            assert client.spent.tokens == running.stats.billed
        assert {answer.model for answer in answers} == {'m'}


def test_another_model_can_be_allowed(tmp_path):
    with server.run(Script({'q3': ['renamed']})) as running:
        answers = answers_of(running, tmp_path, [ask(n) for n in range(6)], pin_model=False)
    assert [answer.model for answer in answers] == ['m', 'm', 'm', 'another-model', 'm', 'm']


@pytest.mark.parametrize(
    ('fault', 'error'),
    [('missing', InputError), ('moved', InputError), ('unpaid', UnavailableError)],
)
def test_what_no_request_gets_past_stops_at_once(tmp_path, fault, error):
    with server.run(Script({'*': [fault] * 99})) as running:
        with Client(reach(running), PLENTY, tmp_path) as client:
            with pytest.raises(error):
                list(client.complete(ask(number) for number in range(100)))
            assert client.spent.tokens == 0
        assert running.stats.requests <= 8


def test_the_key_is_sent_and_kept_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv('PHIJAX_TEST_KEY', 'sk-very-secret')
    with server.run(Script(key='sk-very-secret')) as running:
        endpoint = reach(running, key_variable='PHIJAX_TEST_KEY')
        with Client(endpoint, PLENTY, tmp_path) as client:
            assert next(client.complete([ask(1)])).status == 'ok'
        monkeypatch.setenv('PHIJAX_TEST_KEY', 'sk-wrong-secret')
        with Client(endpoint, PLENTY, tmp_path) as client, pytest.raises(InputError) as refused:
            list(client.complete([ask(2)]))
    assert 'Incorrect API key' in str(refused.value)
    assert 'secret' not in str(refused.value)
    for path in tmp_path.iterdir():
        assert b'secret' not in path.read_bytes()


def test_an_endpoint_that_only_refuses_ends_the_run(tmp_path):
    with server.run(Script({'*': ['limited_after'] * 10**6})) as running:
        began = time.monotonic()
        with Client(reach(running, breaker_seconds=1.0), PLENTY, tmp_path) as client:
            with pytest.raises(UnavailableError, match='nothing but failures') as stopped:
                list(client.complete(ask(number) for number in range(10**6)))
            assert client.spent.tokens == 0
        assert 1.0 <= time.monotonic() - began < 4.0
        assert stopped.value.exit_code == 75
        assert running.stats.requests < 100, 'the limit came down to one'


def test_a_wait_that_is_longer_than_the_breaker_is_not_waited_for(tmp_path):
    script = Script({'*': ['limited'] * 9}, headers={'Retry-After': '3600'})
    with (
        server.run(script) as running,
        Client(reach(running, breaker_seconds=0.5), PLENTY, tmp_path) as client,
    ):
        began = time.monotonic()
        with pytest.raises(UnavailableError):
            list(client.complete([ask(1)]))
        assert time.monotonic() - began < 3.0


def test_a_dead_endpoint_ends_the_run_and_costs_nothing(tmp_path):
    with server.run() as running:
        endpoint = reach(running, breaker_seconds=1.0, max_attempts=100)
    with Client(endpoint, PLENTY, tmp_path) as client:
        with pytest.raises(UnavailableError):
            list(client.complete([ask(1), ask(2)]))
        assert client.spent.tokens == 0
        assert client.spent.requests > 2


def test_a_pause_that_the_server_asks_for_is_kept(tmp_path):
    script = Script({'q0': ['limited']}, headers={'Retry-After': '0.6'})
    with server.run(script) as running:
        answers_of(running, tmp_path, [ask(n) for n in range(4)], max_concurrency=1)
        gaps = [b - a for a, b in itertools.pairwise(running.stats.at)]
    assert gaps[0] >= 0.6
    assert max(gaps[1:]) < 0.5


def test_rates_hold(tmp_path):
    with server.run() as running:
        answers_of(running, tmp_path, [ask(n) for n in range(90)], requests_per_minute=3000)
        at = running.stats.at
    assert len(at) == 90
    # A second's worth goes at once, the other 40 at 50 a second.
    assert at[-1] - at[0] >= 0.7


def test_the_lease_recovers(tmp_path):
    with server.run(Script(rates={'limited_after': 0.02})) as running:
        answers = answers_of(running, tmp_path, [ask(n) for n in range(400)])
        assert running.stats.most_in_flight <= 8
    assert {answer.status for answer in answers} == {'ok'}
    assert {answer.attempts for answer in answers} == {1}, 'a refusal uses up no attempt'


def test_the_budget_ends_the_run_and_all_is_kept(tmp_path):
    requests = [ask(number) for number in range(200)]
    with server.run(Script(latency=0.002)) as running:
        with Client(reach(running), Budget(3000), tmp_path) as client:
            kept = []
            with pytest.raises(BudgetError, match='The budget is 3,000 tokens') as stopped:
                kept.extend(client.complete(requests))
            assert client.spent.tokens == running.stats.billed <= 3000
        assert stopped.value.exit_code == 4
        assert kept, 'what was answered before came out'
        before = running.stats.requests
        whole = answers_of(running, tmp_path, requests)
        assert whole[: len(kept)] == kept
        assert running.stats.requests == 200, 'nothing was asked twice'
        assert before > 20, 'the room that was not needed was used'


@pytest.mark.parametrize('seed', range(4))
def test_no_schedule_of_faults_exceeds_the_budget(tmp_path, seed):
    draw = random.Random(seed)
    kinds = ('limited_after', 'error', 'reset', 'half', 'text', 'length', 'uncounted', 'wrong')
    script = Script(rates={kind: draw.uniform(0, 0.08) for kind in kinds}, seed=seed)
    budget = Budget(draw.randrange(20_000, 60_000), 0.05, 1.0, 2.0)
    requests = [ask(number, schema=SCHEMA) for number in range(400)]
    with server.run(script) as running:
        with Client(reach(running), budget, tmp_path) as client:
            try:
                list(client.complete(requests))
            except BudgetError:
                assert running.stats.requests > 40
            spent = client.spent
        assert running.stats.billed <= spent.tokens <= budget.max_tokens
        assert spent.dollars <= budget.max_dollars
        assert running.stats.most_in_flight <= 8


def test_what_was_in_flight_at_a_kill_is_charged_as_unknown(tmp_path):
    with server.run() as running:
        answers_of(running, tmp_path, [ask(1)])
        connection = sqlite3.connect(tmp_path / NAME)
        with connection:
            connection.execute('INSERT INTO attempts (prompt, completion) VALUES (300, 50)')
        connection.close()
        with Client(reach(running), Budget(500), tmp_path) as client:
            assert client.spent.unknown_tokens == 350
            with pytest.raises(BudgetError, match='350 unknown'):
                list(client.complete([ask(2)]))


def test_leaving_early_keeps_what_was_in_flight(tmp_path):
    with server.run(Script(latency=0.05)) as running:
        with Client(reach(running), PLENTY, tmp_path) as client:
            answers = client.complete(ask(number) for number in range(10**9))
            next(answers)
            answers.close()
            assert client.spent.tokens == running.stats.billed
            assert client.spent.unknown_tokens == 0
        sent = running.stats.requests
        answers_of(running, tmp_path, [ask(number) for number in range(sent)])
        assert running.stats.requests == sent


def test_an_error_of_the_caller_comes_out(tmp_path):
    def broken():
        yield ask(1)
        raise RuntimeError('no more')

    with server.run() as running, pytest.raises(RuntimeError, match='no more'):
        answers_of(running, tmp_path, broken())


def test_one_run_at_a_time(tmp_path):
    with server.run() as running, Client(reach(running), PLENTY, tmp_path) as client:
        answers = client.complete(ask(number) for number in range(9))
        next(answers)
        with pytest.raises(InputError, match='one at a time'):
            next(client.complete([ask(1)]))
        assert len(list(answers)) == 8


def test_requests_are_taken_as_there_is_room(tmp_path):
    taken = 0

    def endless():
        nonlocal taken
        for taken in itertools.count():
            yield ask(taken)

    with server.run() as running, Client(reach(running), PLENTY, tmp_path) as client:
        answers = client.complete(endless())
        for number in range(1000):
            next(answers)
            assert taken < number + 600
        answers.close()


def test_progress_is_told(tmp_path):
    told = []
    with (
        server.run() as running,
        Client(reach(running), PLENTY, tmp_path, on_progress=told.append) as client,
    ):
        list(client.complete(ask(number) for number in range(20)))
        assert told[-1] == client.spent
        assert told[-1].requests == 20


def test_the_server_is_the_same_every_time():
    body = json.loads(ask(1, schema=SCHEMA).body('m', 'max_tokens'))
    assert server.complete(body) == server.complete(body)
