"""Settings of the client: what they refuse, and how shards share them."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data import settings
from phijax.data.client import Budget, Endpoint
from phijax.errors import InputError

URL = 'http://127.0.0.1:1/v1'


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('url', '127.0.0.1:8000'),
        ('model', ''),
        ('requests_per_minute', -1),
        ('max_concurrency', 0),
        ('max_attempts', 0),
        ('timeout_seconds', 0.0),
        ('breaker_seconds', float('inf')),
        ('limit_field', 'length'),
    ],
)
def test_endpoint_names_the_field_and_the_value(field, value):
    with pytest.raises(InputError, match=f'{field} is {value!r}'):
        dataclasses.replace(Endpoint(URL, 'm'), **{field: value})


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(InputError, match='max_tokens is 0; it must be above 0: there is no run'):
        Budget(0)
    with pytest.raises(InputError, match='max_tokens is missing'):
        settings.build(Budget, {})


def test_a_price_needs_a_limit_in_dollars():
    with pytest.raises(InputError, match='max_dollars'):
        Budget(1000, dollars_per_million_input=0.5)
    with pytest.raises(InputError, match='max_dollars'):
        Budget(1000, max_dollars=float('nan'))


def test_costs_are_exact():
    budget = Budget(10**9, 5.0, 0.15, 0.6)
    assert budget.cost(1_000_000, 1_000_000) == 750_000_000_000
    assert budget.max_cost == 5_000_000_000_000


def test_the_key_comes_from_the_environment(monkeypatch):
    endpoint = Endpoint(URL, 'm', key_variable='PHIJAX_TEST_KEY')
    monkeypatch.setenv('PHIJAX_TEST_KEY', 'secret')
    assert endpoint.key() == 'secret'
    assert 'secret' not in repr(endpoint)
    monkeypatch.delenv('PHIJAX_TEST_KEY')
    with pytest.raises(InputError, match='PHIJAX_TEST_KEY'):
        endpoint.key()
    assert Endpoint(URL, 'm').key() == ''


@given(st.integers(1, 40), st.integers(1, 10**12), st.integers(1, 10**10))
def test_shares_of_a_budget_make_the_whole(count, tokens, micro):
    whole = Budget(tokens + count, (micro + count) / 10**6, 1.0, 2.0)
    parts = [whole.share(index, count) for index in range(count)]
    assert sum(part.max_tokens for part in parts) == whole.max_tokens
    assert sum(part.max_cost for part in parts) == whole.max_cost
    assert max(p.max_tokens for p in parts) - min(p.max_tokens for p in parts) <= 1


@given(st.integers(1, 20), st.integers(0, 1000))
def test_shares_of_an_endpoint_make_the_whole(count, extra):
    whole = Endpoint(URL, 'm', requests_per_minute=count + extra, max_concurrency=count)
    parts = [whole.share(index, count) for index in range(count)]
    assert sum(part.requests_per_minute for part in parts) == whole.requests_per_minute
    assert sum(part.max_concurrency for part in parts) == count
    assert all(part.tokens_per_minute == 0 for part in parts), 'no limit stays none'


def test_too_many_shards_are_refused():
    with pytest.raises(InputError, match=r'max_concurrency is 3; .* each of 4 shards'):
        Endpoint(URL, 'm', max_concurrency=3).share(0, 4)
    with pytest.raises(InputError, match='max_tokens is 3'):
        Budget(3).share(0, 4)
    with pytest.raises(InputError, match='index is 4'):
        Budget(30).share(4, 4)
