"""Training that signals hit at exact moments.

    python -m tests.train.interrupted MOMENT:NUMBER SIGNAL[,SIGNAL] [flags of phijax.train]

The moments are those of `MOMENTS`; everything but the signals is the real command.
"""

import functools
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from phijax import checkpoint
from phijax.data import mixture
from phijax.train import metrics, stop

# tensorboardX would load it for nothing, which takes longer than all the rest.
sys.modules.setdefault('torch', None)


def after_step(number: int, strike: Callable[[], None]) -> None:
    """When the record of a step is written."""

    def train(record: Callable, self: Any, step: int, *args: Any, **options: Any) -> None:
        record(self, step, *args, **options)
        if step == number:
            strike()

    wrap(metrics.Writer, 'train', train)


def after_step_and_saves(number: int, strike: Callable[[], None]) -> None:
    """When the record of a step is written, and the checkpoints before it are on the disk."""
    savers = []

    def save(start: Callable, self: Any, *args: Any) -> None:
        savers.append(self)
        start(self, *args)

    def wait_and_strike() -> None:
        for saver in savers[-1:]:
            saver.wait()
        strike()

    wrap(checkpoint.Checkpointer, 'save', save)
    after_step(number, wait_and_strike)


def while_saving(number: int, strike: Callable[[], None]) -> None:
    """When the state of a step is copied, and a thread begins to write it."""

    def save(start: Callable, self: Any, step: int, *args: Any) -> None:
        start(self, step, *args)
        if step == number:
            strike()

    wrap(checkpoint.Checkpointer, 'save', save)


def while_evaluating(number: int, strike: Callable[[], None]) -> None:
    """Before the first batch of a source, counted from 1 over the evaluations of this process."""
    calls = 0

    def heldout(open_rows: Callable, *args: Any, **options: Any) -> Iterator[Any]:
        nonlocal calls
        calls += 1
        if calls == number:
            strike()
        yield from open_rows(*args, **options)

    wrap(mixture, 'heldout', heldout)


def while_compiling(number: int, strike: Callable[[], None]) -> None:
    """When a compilation has begun, counted from 1 in this process, that takes for ever."""
    calls = 0

    def wait_for(wait: Callable, self: Any, function: Callable, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != number:
            return wait(self, function, *args)

        def compile_for_ever() -> None:
            strike()
            while True:
                function(*args)

        return wait(self, compile_for_ever)

    wrap(stop.Stop, 'wait_for', wait_for)


def while_waiting_for_data(number: int, strike: Callable[[], None]) -> None:
    """When so many batches have come in this process, and no other ever will."""

    def stream(open_stream: Callable, *args: Any, **options: Any) -> Iterator[Any]:
        batches = open_stream(*args, **options)
        for _ in range(number):
            yield next(batches)
        threading.Timer(0.2, strike).start()
        threading.Event().wait()

    wrap(mixture, 'stream', stream)


def wrap(owner: Any, name: str, function: Callable) -> None:
    """Puts `function`, called with what was there before, in the place of it."""
    before = getattr(owner, name)

    @functools.wraps(before)
    def wrapped(*args: Any, **options: Any) -> Any:
        return function(before, *args, **options)

    setattr(owner, name, wrapped)


MOMENTS = {
    'record': after_step,
    'step': after_step_and_saves,
    'save': while_saving,
    'evaluate': while_evaluating,
    'compile': while_compiling,
    'data': while_waiting_for_data,
}


def main() -> None:
    """Arms the moment and runs the command."""
    moment, signals = sys.argv[1:3]
    name, _, number = moment.partition(':')

    def strike() -> None:
        for each in signals.split(','):
            os.kill(os.getpid(), signal.Signals[each])
            time.sleep(0.01)  # each is handled before the next comes

    MOMENTS[name](int(number), strike)
    sys.argv[1:3] = []
    runpy.run_module('phijax.train', run_name='__main__', alter_sys=True)


if __name__ == '__main__':
    main()
