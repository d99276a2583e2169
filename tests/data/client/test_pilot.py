"""The pilot: the whole lies in its intervals, and its sample is not paid for again."""

import dataclasses

import pytest

from phijax.data.client import Budget, Client, pilot
from phijax.errors import InputError
from tests.data.client import server
from tests.data.client.server import Script
from tests.data.client.test_client import PLENTY, ask, reach


def test_a_pilot_estimates_the_whole_and_pays_once(tmp_path):
    requests = [ask(1000 + number, max_tokens=8 + number % 16) for number in range(400)]
    budget = Budget(10**7, 10.0, 1.0, 2.0)
    script = Script({'q1003': ['length']}, latency=0.01)
    with server.run(script) as running, Client(reach(running), budget, tmp_path) as client:
        estimate = pilot(client, requests, total=400)
        assert running.stats.requests == 50
        assert pilot(client, requests, total=400) == estimate
        assert running.stats.requests == 50
        list(client.complete(requests))
        spent = client.spent
    assert (estimate.requests, estimate.asked, estimate.bad) == (400, 50, 0.02)
    for name in ('prompt_tokens', 'completion_tokens', 'dollars'):
        interval = getattr(estimate, name)
        assert interval.low <= getattr(spent, name) <= interval.high, name
        assert interval.low < interval.high or name == 'prompt_tokens'
    assert estimate.hours.expected * 3600 == pytest.approx(400 * 0.02 / 8, rel=0.9)


def test_a_pilot_knows_the_rates(tmp_path):
    with server.run() as running:
        endpoint = reach(running)
        with Client(endpoint, PLENTY, tmp_path) as client:
            pilot(client, map(ask, range(9)), total=9)
        slow = dataclasses.replace(endpoint, requests_per_minute=60)
        with Client(slow, PLENTY, tmp_path) as client:
            assert pilot(client, map(ask, range(9)), total=7200).hours.expected == 2.0
            with pytest.raises(InputError, match='two or more'):
                pilot(client, [ask(1)], total=5)
