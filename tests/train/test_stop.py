"""What a signal does at each moment of a process."""

import gc
import os
import signal
import threading
import time

import pytest

from phijax.train import stop

Stop, Stopped = stop.Stop, stop.Stopped
SIGNALS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


class Forced(BaseException):
    """Stands for the end of the process."""


def strike_soon(number: int) -> None:
    threading.Timer(0.05, os.kill, (os.getpid(), number)).start()


@pytest.mark.parametrize(('number', 'code'), SIGNALS)
def test_signal_is_a_request(number: int, code: int) -> None:
    asked = Stop()
    before = signal.getsignal(number)
    with asked.handling():
        assert (asked.requested, asked.exit_code, asked.agreed) == (False, 0, False)
        signal.raise_signal(number)
        assert (asked.requested, asked.exit_code, asked.agreed) == (True, code, False)
    assert signal.getsignal(number) is before


def test_handlers_are_given_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), Stop().handling():
        assert 1 // (signal.getsignal(signal.SIGTERM) is before)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(('number', 'code'), SIGNALS)
@pytest.mark.parametrize('first', [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, first: int, number: int, code: int
) -> None:
    def leave(status: int) -> None:
        raise Forced(status)

    monkeypatch.setattr(stop.os, '_exit', leave)
    with Stop().handling():
        signal.raise_signal(first)
        with pytest.raises(Forced) as caught:
            signal.raise_signal(number)
    assert caught.value.args == (code,)


@pytest.mark.parametrize(('number', 'code'), SIGNALS)
def test_wait_ends_with_the_signal(number: int, code: int) -> None:
    asked = Stop()
    with asked.handling():
        strike_soon(number)
        with pytest.raises(Stopped), asked.interruptible():
            threading.Event().wait(30)
        assert asked.exit_code == code


def test_stop_that_python_drops_is_raised_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a callback of the garbage collector, where whatever is raised is only printed."""
    monkeypatch.setattr(stop, 'INSIST_SECONDS', 0.1)
    dropped = []

    def strike(*_: object) -> None:
        if not dropped:
            dropped.append(True)
            signal.raise_signal(signal.SIGTERM)

    def wait() -> None:
        gc.collect()
        assert dropped
        assert asked.requested
        threading.Event().wait(10)
        pytest.fail('it was not interrupted')

    gc.callbacks.append(strike)
    asked = Stop()
    try:
        with asked.handling(), pytest.raises(Stopped), asked.interruptible():
            wait()
    finally:
        gc.callbacks.remove(strike)
    assert asked.exit_code == 143
    assert 'Stopped' not in capsys.readouterr().err


def test_wait_after_a_request_does_not_begin() -> None:
    asked = Stop()
    with asked.handling():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped), asked.interruptible():
            pytest.fail('it began')
        with pytest.raises(Stopped):
            asked.wait_for(pytest.fail, 'it began')


def test_wait_that_is_over_is_no_longer_interrupted() -> None:
    asked = Stop()
    with asked.handling():
        with asked.interruptible():
            pass
        signal.raise_signal(signal.SIGTERM)
        assert asked.requested


def test_function_in_a_thread_gives_its_result() -> None:
    where = Stop().wait_for(lambda *args: (args, threading.current_thread()), 1, 2)
    assert where[0] == (1, 2)
    assert where[1] is not threading.main_thread()


def test_error_in_a_thread_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        Stop().wait_for(lambda: 1 // 0)


def test_function_in_a_thread_is_left_behind() -> None:
    asked, release = Stop(), threading.Event()
    with asked.handling():
        strike_soon(signal.SIGTERM)
        began = time.monotonic()
        with pytest.raises(Stopped):
            asked.wait_for(release.wait, 30)
        assert time.monotonic() - began < 15
    release.set()


def test_agreement_is_a_request_of_another_process() -> None:
    asked = Stop()
    asked.agree()
    assert (asked.agreed, asked.requested, asked.exit_code) == (True, True, 143)
    asked = Stop()
    with asked.handling():
        signal.raise_signal(signal.SIGINT)
        asked.agree()
    assert (asked.agreed, asked.exit_code) == (True, 130)


def test_other_threads_leave_the_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def run() -> None:
        with Stop().handling():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_stopped_is_no_error() -> None:
    """So that no `except Exception` on the way swallows it."""
    assert not issubclass(Stopped, Exception)
