"""One untrusted program, loaded once and called as often as wanted."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from phijax.sandbox import client
from phijax.sandbox.channel import (
    Broken,
    Channel,
    Gone,
    Large,
    Missing,
    Stalled,
    Unsendable,
    one_line,
)
from phijax.sandbox.isolation import Isolation, require
from phijax.sandbox.layers import Limits
from phijax.sandbox.verdicts import ended


class Failure(Exception):
    """A program that gave no answer.

    Attributes:
        reason: a key of `REASONS`; `error` where it raised.
        detail: one line more; the name and message of what it raised.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Says why."""
        self.reason = reason
        self.detail = one_line(detail)
        super().__init__(f'{reason}: {self.detail}')


class Program:
    """A loaded program; use `open`."""

    def __init__(self, channel: Channel, process: client.Process, limits: Limits) -> None:
        """Asks through a channel and ends by its process."""
        self._channel = channel
        self._process = process
        self._limits = limits

    def load(self, code: str) -> None:
        """Runs the text of the program.

        Raises:
            Failure: it raised, or ended.
        """
        self._ask(lambda: self._channel.load(code))

    def call(
        self, name: str, arguments: Sequence[Any] = (), keywords: dict[str, Any] | None = None
    ) -> Any:
        """What a function of the program returns: plain data, or a `Proxy` for what is none.

        Lists, dicts and sets among the arguments change where the function changes them.

        Raises:
            Failure: it raised, ended, or gave no proper answer.
            Unsendable: an argument is no data.
        """
        return self._ask(lambda: self._channel.call(name, tuple(arguments), keywords))

    def output(self) -> str:
        """What the program has printed, by its own account, up to the limit.

        Raises:
            Failure: it has ended.
        """
        return str(self._ask(lambda: self._channel.request('printed', None)))

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except Unsendable:
            raise
        except (Stalled, Missing, Large, Broken) as gone:
            raise Failure(_REASONS[type(gone)], str(gone)) from None
        except Gone:
            raise Failure(*ended(self._process.end(), self._limits)) from None
        except Exception as error:  # noqa: BLE001 - stands for whatever the program raised
            name = type(error).__name__
            reason = {'SyntaxError': 'syntax', 'MemoryError': 'memory'}.get(name, 'error')
            raise Failure(reason, f'{name}: {error}' if str(error) else name) from None


_REASONS: dict[type[BaseException], str] = {
    Stalled: 'stalled',
    Missing: 'missing',
    Large: 'oversize',
    Broken: 'protocol',
}


_DEFAULT = Limits()


@contextlib.contextmanager
def open(  # noqa: A001
    code: str, limits: Limits = _DEFAULT, isolation: Isolation | None = None
) -> Iterator[Program]:
    """A program, loaded into a shut-in process that ends with the block.

    Args:
        isolation: what `require` gave; None requires `strong`.

    Raises:
        SandboxError: this machine is not safe enough, or the sandbox failed.
        Failure: the text is not Python, or raised when it was loaded.
    """
    layers = list((isolation or require()).holds)
    asked, asking = os.pipe()
    answered, answering = os.pipe()
    process = client.start('program', limits, layers, [asked, answering])
    try:
        program = Program(Channel(asking, answered, limits.patience_seconds), process, limits)
        program.load(code)
        yield program
    finally:
        process.end()
        os.close(asking)
        os.close(answered)
