"""Stopping a run from outside: SIGTERM and Ctrl-C save and end it, a second signal forces."""

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

T = TypeVar('T')

INSIST_SECONDS = 1.0


class Stopped(BaseException):
    """A signal asked for the end of the run. Not an error, so no `except Exception` catches it."""


class Stop:
    """Whether a signal asked for the end of the run.

    Most of a run looks at `requested` between two steps. Where it may wait long, inside
    `interruptible`, the signal raises `Stopped` there and then. Python drops what is raised in a
    callback of its garbage collector or in a `__del__`, where a signal may happen to be handled, so
    `Stopped` is raised again as long as the wait goes on.
    """

    def __init__(self) -> None:
        """Nothing is requested; the handlers are set by `handling`."""
        self.signal: int | None = None
        self.agreed = False
        self._waiting = False
        self._insisting = False

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What a process that such a signal ended exits with: 143 or 130; 0 without a signal."""
        return 0 if self.signal is None else 128 + self.signal

    def agree(self) -> None:
        """All processes of the run know of a request that one of them had."""
        self.agreed = True
        self.signal = self.signal or signal.SIGTERM

    @contextlib.contextmanager
    def handling(self) -> Iterator[None]:
        """Within it SIGTERM and SIGINT are requests; only the main thread can set handlers."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        tell = sys.unraisablehook
        sys.unraisablehook = lambda args: None if args.exc_type is Stopped else tell(args)
        for number in before:
            signal.signal(number, self._handle)
        try:
            yield
        finally:
            sys.unraisablehook = tell
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Within it a request, even one made before, raises `Stopped`."""
        self._waiting = True
        try:
            if self.requested:
                raise Stopped
            yield
        finally:
            self._waiting = False

    def wait_for(self, function: Callable[..., T], *args: Any) -> T:
        """`function(*args)`, run in a thread, so that a signal need not wait for its end.

        For compilation, during which Python handles no signals.
        """
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(function(*args))
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        atexit.register(self._leave, thread)
        with self.interruptible():
            thread.start()
            while thread.is_alive():
                thread.join(timeout=0.1)
        if errors:
            raise errors[0]
        return results[0]

    def _leave(self, thread: threading.Thread) -> None:
        """Ends the process at once if the thread still runs: Python would crash under it."""
        if thread.is_alive():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.exit_code)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.requested and not self._insisting:
            os._exit(128 + number)
        self._insisting = False
        self.signal = number
        if self._waiting:
            # Not a `threading.Thread`, whose start takes a lock that the main thread may hold.
            _thread.start_new_thread(self._insist, (number, threading.get_ident()))
            raise Stopped

    def _insist(self, number: int, thread: int) -> None:
        """Handles the signal once more if it has not ended the wait."""
        time.sleep(INSIST_SECONDS)
        if self._waiting:
            self._insisting = True
            signal.pthread_kill(thread, number)
