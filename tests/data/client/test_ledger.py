"""The books: never more than the budget, whatever happens in whatever order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.client import Budget, Usage
from phijax.data.client.ledger import Ledger
from phijax.data.errors import BudgetError

NOTHING = Usage(0, 0)

sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))
# What becomes of a request: how much of its reservation it used, or None for nobody knows.
fates = st.one_of(st.none(), st.tuples(st.floats(0, 1), st.floats(0, 1)))


@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.lists(st.tuples(sizes, fates, st.integers(0, 5)), max_size=60),
)
def test_no_schedule_exceeds_the_budget(tokens, micro, events):
    budget = Budget(tokens, micro / 10**6, 1.0, 2.0)
    ledger = Ledger(budget, NOTHING, NOTHING, 0)
    flying: list[tuple[Usage, tuple[float, float] | None]] = []
    billed, unknown = NOTHING, 0
    for size, fate, landing in events:
        reservation = ledger.reservation(*size)
        if ledger.admits(reservation):
            ledger.reserve(reservation)
            flying.append((reservation, fate))
        for _ in range(min(landing, len(flying))):
            reserved, share = flying.pop(len(flying) // 2)
            # Of a request that nobody answered for, the endpoint may have billed all.
            used = Usage(
                *(int(part * s) for part, s in zip(reserved, share or (1, 1), strict=True))
            )
            ledger.settle(reserved, used if share else None)
            billed = Usage(billed.prompt + used.prompt, billed.completion + used.completion)
            unknown += 0 if share else sum(reserved)
        most = [billed, *(reserved for reserved, _ in flying)]
        whole = Usage(sum(u.prompt for u in most), sum(u.completion for u in most))
        assert sum(whole) <= budget.max_tokens
        assert budget.cost(*whole) <= budget.max_cost
    spent = ledger.spent()
    assert spent.tokens == sum(billed)
    assert spent.unknown_tokens == unknown


def test_dollars_can_be_what_is_short():
    ledger = Ledger(Budget(10**9, 0.001, 1.0, 10.0), NOTHING, NOTHING, 0)
    assert ledger.admits(Usage(1000, 0))
    assert ledger.admits(Usage(0, 100))
    assert not ledger.admits(Usage(1, 100))


def test_an_earlier_run_counts():
    ledger = Ledger(Budget(1000), Usage(300, 200), Usage(100, 100), 7)
    assert ledger.admits(Usage(100, 200))
    assert not ledger.admits(Usage(101, 200))
    spent = ledger.spent(replays=3)
    assert (spent.tokens, spent.unknown_tokens, spent.requests, spent.replays) == (700, 200, 7, 3)


def test_the_refusal_says_the_figures():
    ledger = Ledger(Budget(1000, 2.5, 1.0, 1.0), Usage(700, 200), Usage(50, 0), 7)
    error = ledger.refusal(Usage(60, 40))
    assert isinstance(error, BudgetError)
    assert error.exit_code == 4
    for figure in ('1,000 tokens', '$2.50', '950 tokens', '50 unknown', '100 tokens'):
        assert figure in str(error)


def test_an_answer_that_costs_more_than_reserved_teaches():
    ledger = Ledger(Budget(1000), NOTHING, NOTHING, 0)
    reservation = ledger.reservation(10, 20)
    ledger.reserve(reservation)
    ledger.settle(reservation, Usage(50, 25))
    assert ledger.reservation(10, 20) == Usage(50, 25)
    assert ledger.spent().tokens == 75


def test_rates_expect_what_was_measured():
    ledger = Ledger(Budget(10**6), NOTHING, NOTHING, 0)
    assert ledger.expected(Usage(300, 100)) == 400
    ledger.reserve(Usage(300, 100))
    ledger.settle(Usage(300, 100), Usage(60, 40))
    assert ledger.expected(Usage(600, 200)) == 200
    ledger.reserve(Usage(300, 100))
    ledger.settle(Usage(300, 100), NOTHING)
    assert ledger.expected(Usage(600, 200)) == 200, 'what was turned away says nothing'


def test_what_is_known_is_no_error():
    with pytest.raises(BudgetError):
        raise Ledger(Budget(1), NOTHING, NOTHING, 0).refusal(Usage(1, 1))
