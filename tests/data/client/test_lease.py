"""The lease: adapts, pauses, paces and breaks, as told by a clock that is a number."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.client.lease import LONGEST_WAIT, Lease, Pace


def make(most=8, requests=0, tokens=0, breaker=100.0, backoff=1.0):
    return Lease(most, requests, tokens, breaker, backoff)


def test_one_refusal_of_a_burst_cuts():
    lease = make(16)
    for _ in range(16):
        lease.take(0.0, 1)
    assert lease.opens_at() == math.inf
    for moment in (1.0, 1.1, 1.2):
        lease.release()
        lease.limited(sent_at=0.0, now=moment, wait=5.0)
    assert lease.limit == 12.0
    assert lease.opens_at() == math.inf, 'thirteen are still in flight'
    for _ in range(2):
        lease.release()
    assert lease.opens_at() == pytest.approx(6.2)
    lease.limited(sent_at=7.0, now=8.0, wait=None)
    assert lease.limit == 9.0


def test_it_recovers_by_one_in_25_and_never_beyond_the_most():
    lease = make(4)
    lease.limited(0.0, 0.0, 1.0)
    assert lease.limit == 3.0
    for _ in range(25):
        lease.succeeded()
    assert lease.limit == pytest.approx(4.0)
    for _ in range(100):
        lease.succeeded()
    assert lease.limit == 4.0


def test_it_never_falls_below_one():
    lease = make(4)
    for moment in range(100):
        lease.limited(moment, moment, 0.1)
    assert lease.limit == 1.0


def test_without_a_hint_the_wait_doubles_to_a_minute():
    lease, waits, now = make(backoff=1.0), [], 0.0
    for _ in range(9):
        lease.limited(now, now, None)
        waits.append(lease.opens_at() - now)
        now = lease.opens_at()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert max(waits) == LONGEST_WAIT
    lease.succeeded()
    lease.limited(now, now, None)
    assert lease.opens_at() - now == 1, 'an answer ends the series'


def test_the_breaker_counts_from_the_first_failure_after_an_answer():
    lease = make(breaker=100.0)
    assert lease.breaks_at() == math.inf
    lease.failed(0.0, 5.0)
    lease.limited(0.0, 50.0, 1.0)
    assert lease.breaks_at() == 105.0
    lease.succeeded()
    assert lease.breaks_at() == math.inf
    lease.failed(0.0, 60.0)
    lease.alive()
    assert lease.breaks_at() == math.inf, 'a rejected request is no failure of the endpoint'


def test_a_few_failures_do_not_cut_but_a_whole_round_does():
    lease = make(8)
    for round_ in range(10):
        lease.failed(round_, round_)
        lease.succeeded()
    assert lease.limit == 8.0
    for _ in range(9):
        lease.failed(20.0, 20.0)
    assert lease.limit == 6.0


@given(
    st.integers(1, 600),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), min_size=1, max_size=200),
)
def test_a_pace_holds_over_every_window(per_minute, arrivals):
    pace, now, sent = Pace(per_minute), 0.0, []
    for gap, amount in arrivals:
        now = max(now + gap, pace.opens_at)
        pace.take(now, amount)
        sent.append((now, amount))
    rate = per_minute / 60
    for start in range(0, len(sent), 7):
        for end in range(start, len(sent), 7):
            seconds = sent[end][0] - sent[start][0]
            # The last may be large: what it takes is paid for afterwards.
            total = sum(amount for _, amount in sent[start:end])
            assert total <= rate * (seconds + 1) + 1e-6 * len(sent)


def test_no_limit_is_no_pace():
    pace = Pace(0)
    for _ in range(1000):
        pace.take(0.0, 1e9)
    assert pace.opens_at <= 0


@given(st.lists(st.sampled_from(['send', 'ok', 'limited', 'failed', 'wait']), max_size=300))
def test_no_schedule_has_more_in_flight_than_the_limit(events):
    lease, now, flying = make(6), 0.0, []
    for event in events:
        now += 0.01
        if event == 'wait':
            now += 60.0
        elif event == 'send' and lease.opens_at() <= now:
            lease.take(now, 10)
            flying.append(now)
            assert lease.in_flight <= lease.limit
        elif event != 'send' and flying:
            sent_at = flying.pop(0)
            lease.release()
            if event == 'ok':
                lease.succeeded()
            else:
                tell = lease.failed if event == 'failed' else lease.limited
                tell(sent_at, now, *([1.0] if event == 'limited' else []))
        assert 1 <= lease.limit <= 6
        assert lease.in_flight == len(flying)
