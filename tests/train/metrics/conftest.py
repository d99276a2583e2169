"""A clock that a test turns, and meters on it."""

from collections.abc import Callable
from typing import Any

import pytest

from phijax.train import metrics


class Clock:
    """Shows `now`, which only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_meter(clock: Clock) -> Callable[..., metrics.Meter]:
    """`make_meter(num_steps=…)`: a meter on the test's clock; other arguments as for `Meter`."""

    def make(**overrides: Any) -> metrics.Meter:
        defaults = {
            'num_steps': 100,
            'start_step': 0,
            'tokens_per_step': 8192,
            'flops_per_step': 1e12,
            'peak_flops': None,
        }
        return metrics.Meter(**defaults | overrides, clock=clock)

    return make
