"""The side that asks: calls to a program in another process, and stand-ins for its objects."""

import builtins
import contextlib
import os
import secrets
import select
import time
from typing import Any

from phijax.sandbox import values
from phijax.sandbox.values import ProtocolError

CHUNK = 1 << 16
MAX_TEXT = 500


class Gone(BaseException):
    """The program's process has ended; no `except Exception` of a test takes this for an answer."""


class Stalled(Gone):
    """The program has not answered in time."""


class Broken(Gone):
    """The program has sent something that is no answer."""


class Large(Gone):
    """The program has sent more than can be taken."""


class Missing(Gone):
    """The program has no object of a name."""


class Unsendable(TypeError):
    """A value that is no data and does not come from the program."""


class Raised(Exception):
    """The program raised what is no `Exception`, such as `SystemExit`."""


class Channel:
    """Requests to a program, one line each, and its answers.

    A line answers a request when it carries the random word of it, so that nothing that was
    written before the request can be taken for its answer.

    Attributes:
        requests: how many were answered.
        failure: the first `Gone` that was raised; an oracle whose test caught it still fails.
    """

    def __init__(self, output: int, answers: int, patience_seconds: float) -> None:
        """Takes two pipes: one to write requests to, one to read answers from."""
        os.set_blocking(output, False)
        os.set_blocking(answers, False)
        self.requests = 0
        self.failure: Gone | None = None
        self._output, self._answers = output, answers
        self._patience_seconds = patience_seconds
        self._pending = b''
        self._stand_ins: dict[int, Proxy] = {}

    def load(self, code: str) -> None:
        """Runs the program's own text.

        Raises:
            Exception: what the program raised.
            Gone: there was no answer.
        """
        self.request('load', None, code)

    def call(self, target: Any, arguments: tuple = (), keywords: dict | None = None) -> Any:
        """What a function of the program returns. Its changes of the arguments are made here too.

        Args:
            target: a name, or a stand-in.

        Raises:
            Exception: what the function raised.
            Missing: the program has no such name.
            Gone: there was no answer.
        """
        passed = [list(arguments), keywords or {}]
        match self.request('call', target, passed):
            case [answer, None]:
                return answer
            case [answer, changed]:
                _copy_back(passed, changed)
                return answer
        raise self._failed(Broken('a call is answered by a result and the changed arguments'))

    def request(self, verb: str, target: Any, content: Any = None) -> Any:
        """The answer to one request."""
        word = secrets.token_hex(8)
        line = values.write([word, verb, target, content], _handle_of)
        try:
            answer = self._exchange(word, line)
        except Gone as gone:
            raise self._failed(gone) from None
        except (values.Oversize, MemoryError) as error:
            raise self._failed(Large(_described(error))) from None
        except ProtocolError as error:
            raise self._failed(Broken(str(error))) from None
        self.requests += 1
        kind, result = answer
        if kind == 'missing':
            raise self._failed(Missing(f'the program has no {result}'))
        if kind == 'large':
            raise self._failed(Large(str(result)))
        if kind == 'raised':
            raise _raised(*result)
        return result

    def _failed(self, gone: Gone) -> Gone:
        """The same, after it was noted."""
        self.failure = self.failure or gone
        return gone

    def _exchange(self, word: str, line: bytes) -> tuple[str, Any]:
        """Sends a line and gives the kind and content of its answer."""
        deadline = time.monotonic() + self._patience_seconds
        self._send(line + b'\n', deadline)
        answer = values.read(self._receive(deadline), self._stand_in)
        match answer:
            case [str(answered), ('ok' | 'missing' | 'large') as kind, result] if answered == word:
                return kind, result
            case [str(answered), 'raised', [str(), str(), str()] as result] if answered == word:
                return 'raised', result
        raise ProtocolError('a line that answers no request')

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._output, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._output, view[:CHUNK]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise Gone('the program has ended') from None

    def _receive(self, deadline: float) -> bytes:
        """One line, of limited length."""
        parts = [self._pending]
        size = len(self._pending)
        while b'\n' not in parts[-1]:
            if size > values.MAX_BYTES:
                raise values.Oversize(f'a line of more than {values.MAX_BYTES} bytes')
            self._wait(self._answers, select.POLLIN, deadline)
            with contextlib.suppress(BlockingIOError):
                parts.append(os.read(self._answers, CHUNK))
                size += len(parts[-1])
                if not parts[-1]:
                    raise Gone('the program has ended')
        line, _, self._pending = b''.join(parts).partition(b'\n')
        return line

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        """Returns when a pipe is ready; a closed one is."""
        poll = select.poll()
        poll.register(descriptor, event)
        seconds = deadline - time.monotonic()
        if seconds <= 0 or not poll.poll(1000 * seconds):
            raise Stalled(f'no answer in {self._patience_seconds:g} s')

    def _stand_in(self, handle: int, kind: str) -> 'Proxy':
        return self._stand_ins.setdefault(handle, Proxy(self, handle, kind))


class Proxy:
    """Stands for an object of the program that is no data: an instance, a class, an iterator.

    It can be passed back, called, iterated, and its attributes read and set; each of these asks the
    program. It is equal to itself alone, whatever the program would say.
    """

    __slots__ = ('_channel', '_handle', '_kind')

    def __init__(self, channel: Channel, handle: int, kind: str) -> None:
        """Stands for the object of that number in the program behind the channel."""
        object.__setattr__(self, '_channel', channel)
        object.__setattr__(self, '_handle', handle)
        object.__setattr__(self, '_kind', kind)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """What the object returns."""
        return self._channel.call(self, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        return self._channel.request('get', self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._channel.request('set', self, [name, value])

    def __iter__(self) -> 'Proxy':
        return self._channel.request('iterate', self)

    def __next__(self) -> Any:
        return self._channel.request('next', self)

    def __repr__(self) -> str:
        return f'<{self._kind} {self._handle} of the program>'


def _handle_of(value: Any) -> int:
    """The number of a stand-in: nothing else that is no data can be sent to a program."""
    if isinstance(value, Proxy):
        return value._handle
    raise Unsendable(f'a {type(value).__name__} cannot be sent to the program')


def _raised(base: str, name: str, message: str) -> Exception:
    """An exception for one of the program's: of Python's own kind, or derived from it.

    A test that expects a `ValueError` catches it; `SystemExit` and the like do not end the tests.
    """
    kind = getattr(builtins, base, None)
    if not isinstance(kind, type) or not issubclass(kind, Exception):
        kind = Raised
    with contextlib.suppress(TypeError, ValueError):
        return type(name, (kind,), {'__module__': 'builtins'})(message)
    return Raised(f'{name}: {message}')


def _copy_back(old: Any, new: Any) -> Any:
    """The old value made equal to the new one, in place where it can be."""
    if type(old) is not type(new):
        return new
    if isinstance(old, list):
        old[:] = [*map(_copy_back, old, new), *new[len(old) :]]
    elif isinstance(old, dict):
        content = {k: _copy_back(old[k], v) if k in old else v for k, v in new.items()}
        old.clear()
        old.update(content)
    elif isinstance(old, set):
        old.clear()
        old.update(new)
    elif isinstance(old, tuple):
        return (*map(_copy_back, old, new), *new[len(old) :])
    else:
        return new
    return old


def one_line(text: str) -> str:
    """A text of a program's as something to show: one line, nothing that steers a terminal."""
    shown = (c if c.isprintable() else c.encode('unicode_escape').decode() for c in text[:MAX_TEXT])
    return ''.join(shown)


def _described(error: BaseException) -> str:
    return f'{type(error).__name__}: {error}' if str(error) else type(error).__name__
