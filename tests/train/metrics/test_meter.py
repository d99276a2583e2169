"""The numbers of a session against a simulated run whose times are known."""

import contextlib
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.train import metrics


def _train(meter, clock, steps, *, first=1, step_seconds=0.2, wait_seconds=0.0, pauses=None):
    """Runs the steps; `pauses` is how often, of what name and how long. Yields after each."""
    for step in range(first, first + steps):
        with meter.phase('data'):
            clock.now += wait_seconds
        with meter.phase('step'):
            clock.now += step_seconds() if callable(step_seconds) else step_seconds
        meter.update(step, 1.0)
        yield step
        for every, name, seconds in pauses or ():
            if step % every == 0:
                with meter.phase(name):
                    clock.now += seconds


def _exhaust(steps):
    for _ in steps:
        pass


def test_tokens_are_rate_times_wall(make_meter, clock):
    meter = make_meter(num_steps=500, tokens_per_step=4096)
    clock.now += 3
    with meter.phase('compile'):
        clock.now += 20
    _exhaust(_train(meter, clock, 500, pauses=[(50, 'evaluate', 4.0), (25, 'checkpoint', 0.5)]))
    summary = meter.summary()
    assert summary['tokens'] == 500 * 4096
    assert summary['seconds'] == pytest.approx(clock.now - 1000)
    assert summary['tokens_per_second'] * summary['seconds'] == pytest.approx(500 * 4096)
    assert summary['training_tokens_per_second'] * 103 == pytest.approx(500 * 4096)


def test_rate_is_that_of_recent_steps_without_pauses(make_meter, clock):
    meter = make_meter(num_steps=1000, tokens_per_step=100)
    pauses = [(30, 'evaluate', 9.0)]
    for step in _train(meter, clock, 400, step_seconds=0.5, wait_seconds=0.125, pauses=pauses):
        assert meter.timing()['tokens_per_second'] == pytest.approx(160, rel=0.02), step
        assert meter.timing()['data_share'] == pytest.approx(0.2)
    _exhaust(_train(meter, clock, 100, first=401, step_seconds=1.0))
    assert meter.timing()['tokens_per_second'] == pytest.approx(100)
    assert meter.timing()['data_share'] == 0


def test_first_step_that_compiles_does_not_slow_the_rate(make_meter, clock):
    meter = make_meter(tokens_per_step=10)
    with meter.phase('data'):
        clock.now += 0.5
    with meter.phase('step'), meter.phase('compile'):
        clock.now += 60
    with meter.phase('step'):
        clock.now += 0.5
    meter.update(1, 1.0)
    assert meter.timing()['tokens_per_second'] == pytest.approx(10)


def test_resumed_session_counts_its_own_tokens(make_meter, clock):
    meter = make_meter(num_steps=1000, start_step=700, tokens_per_step=50)
    for step in _train(meter, clock, 100, first=701):
        timing = meter.timing()
        assert timing['tokens'] == (step - 700) * 50
        assert timing['tokens'] <= 50 * 5 * timing['seconds'] * 1.02
    assert meter.summary()['tokens_per_second'] == pytest.approx(250)
    assert meter.eta_seconds() == pytest.approx(200 * 0.2)


@pytest.mark.parametrize('start_step', [0, 900])
def test_eta_is_within_15_percent(make_meter, clock, start_step):
    draw = random.Random(7)
    num_steps = start_step + 2000
    meter = make_meter(num_steps=num_steps, start_step=start_step)
    with meter.phase('compile'):
        clock.now += 90
    with meter.phase('evaluate'):
        clock.now += 60

    def seconds():
        return 0.1 * draw.lognormvariate(0, 0.2) * (6 if draw.random() < 0.01 else 1)

    pauses = [(200, 'evaluate', 5.0), (250, 'checkpoint', 2.0)]
    expected = {}
    steps = _train(meter, clock, 2000, first=start_step + 1, step_seconds=seconds, pauses=pauses)
    for step in steps:
        if meter.steps < 20:
            assert meter.eta_seconds() is None
        elif 400 <= meter.steps <= 1800:
            expected[step] = clock.now + meter.eta_seconds(), clock.now
    assert len(expected) == 1401
    errors = [abs(end - clock.now) / (clock.now - now) for end, now in expected.values()]
    assert max(errors) < 0.15


def test_eta_is_none_of_a_run_that_is_over(make_meter, clock):
    meter = make_meter(num_steps=30)
    _exhaust(_train(meter, clock, 30))
    assert meter.eta_seconds() == 0


def test_mfu_is_that_of_the_formula(make_meter, clock):
    parameters, layers, width, length, batch = 1.3e9, 24, 2048, 2048, 64
    flops = batch * length * (6 * parameters + 12 * layers * width * length)
    meter = make_meter(tokens_per_step=batch * length, flops_per_step=flops, peak_flops=8 * 312e12)
    _exhaust(_train(meter, clock, 50, step_seconds=1.25))
    tokens_per_second = meter.timing()['tokens_per_second']
    per_token = 6 * parameters + 12 * layers * width * length
    assert meter.timing()['mfu'] == pytest.approx(tokens_per_second * per_token / (8 * 312e12))
    assert 0.3 < meter.timing()['mfu'] < 0.5
    assert meter.summary()['mfu'] == meter.timing()['mfu']


def test_mfu_of_an_unknown_peak_is_unknown(make_meter, clock):
    meter = make_meter(peak_flops=None)
    _exhaust(_train(meter, clock, 50))
    assert meter.timing()['mfu'] is None


def test_nothing_is_known_before_the_first_step(make_meter):
    timing = make_meter().timing()
    assert timing == {
        'seconds': 0,
        'tokens': 0,
        'tokens_per_second': None,
        'mfu': None,
        'data_share': None,
        'eta_seconds': None,
    }


_EVENTS = st.lists(
    st.tuples(st.sampled_from(metrics.PHASES), st.sampled_from(metrics.PHASES), st.integers(0, 9))
)


@given(_EVENTS)
def test_goodput_adds_up_to_the_wall(events):
    now = 0.0
    meter = metrics.Meter(
        num_steps=9,
        start_step=0,
        tokens_per_step=1,
        flops_per_step=1,
        peak_flops=None,
        clock=lambda: now,
    )
    spent = dict.fromkeys((*metrics.PHASES, 'other'), 0.0)
    for outer, inner, seconds in events:
        now += 1
        spent['other'] += 1
        with meter.phase(outer):
            now += 2
            spent[outer] += 2
            with contextlib.suppress(KeyError), meter.phase(inner):
                now += seconds
                spent[inner] += seconds
                raise KeyError
    assert meter.goodput() == spent
    assert sum(meter.goodput().values()) == now


def test_time_of_an_open_phase_counts(make_meter, clock):
    meter = make_meter()
    with meter.phase('evaluate'):
        clock.now += 3
        assert meter.goodput()['evaluate'] == 3


def test_unknown_phase_is_named(make_meter):
    meter = make_meter()
    with pytest.raises(ValueError, match=r"'sleep'.*compile, data, step, evaluate, checkpoint"):
        meter.phase('sleep').__enter__()


def test_smoothed_loss_follows_and_skips_what_is_not_finite(make_meter):
    meter = make_meter()
    for step, loss in enumerate([8.0, math.nan, math.inf, 8.0], 1):
        meter.update(step, loss)
        assert meter.loss_ema == 8
    for step in range(5, 600):
        meter.update(step, 2.0)
    assert meter.loss_ema == pytest.approx(2, abs=0.01)
    meter.update(600, 12.0)
    assert meter.loss_ema == pytest.approx(2 + 10 / 50, abs=0.01)


def test_smoothed_loss_goes_on_bit_for_bit(make_meter):
    draw = random.Random(3)
    losses = [draw.uniform(1, 9) for _ in range(200)]
    whole, part = make_meter(), make_meter(start_step=60)
    for step, loss in enumerate(losses, 1):
        whole.update(step, loss)
        if step == 60:
            part.loss_ema = whole.loss_ema
        elif step > 60:
            part.update(step, loss)
            assert part.loss_ema == whole.loss_ema
