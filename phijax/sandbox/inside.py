"""What runs in the shut-in processes: a program that is asked, an oracle that asks, a probe.

Only trusted text is here, but everything in a program's process belongs to the program from the
moment it is loaded: it may read and overwrite all of this. What it can gain is another answer to a
call, never a verdict: that is another process's.
"""

import builtins
import io
import json
import os
import random
import socket
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

from phijax.sandbox import values
from phijax.sandbox.channel import (
    MAX_TEXT,
    Broken,
    Channel,
    Large,
    Missing,
    Stalled,
    one_line,
)

SEED = 0


class Output(io.TextIOBase):
    """What a program prints, as far as there is room; the rest is dropped."""

    def __init__(self, room: int) -> None:
        """Keeps at most `room` characters."""
        self.text = ''
        self._room = room

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """The number of characters, kept or not."""
        if not isinstance(text, str):
            raise TypeError(f'write() argument must be str, not {type(text).__name__}')
        self.text += text[: self._room - len(self.text)]
        return len(text)


class Program:
    """The program's module, and the objects of it that others hold numbers of."""

    def __init__(self, output: Output) -> None:
        """Has no text yet."""
        self._module = types.ModuleType('program')
        self._output = output
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}

    def answer(self, line: bytes) -> bytes:
        """The line that answers a request."""
        word, verb, target, content = values.read(line, lambda number, _: self._objects[number])
        try:
            if isinstance(target, str) and target not in self._module.__dict__:
                return self._line(word, 'missing', target)
            if isinstance(target, str):
                target = self._module.__dict__[target]
            return self._line(word, 'ok', getattr(self, f'_{verb}')(target, content))
        except values.Oversize as error:
            return self._line(word, 'large', str(error))
        except BaseException as error:  # noqa: BLE001 - the program's own, told to who asked
            return self._line(word, 'raised', _summary(error))

    def _line(self, word: str, kind: str, result: Any) -> bytes:
        return values.write([word, kind, result], self._number)

    def _number(self, value: Any) -> int:
        """The number of an object, which is kept from now on."""
        number = self._numbers.setdefault(id(value), len(self._numbers))
        self._objects[number] = value
        return number

    def _load(self, _: None, code: str) -> None:
        sys.modules['program'] = self._module
        exec(compile(code, '<program>', 'exec'), self._module.__dict__)

    def _call(self, function: Callable, passed: list) -> list:
        """The result, and the arguments where the call has changed them."""
        before = values.write(passed, self._number)
        arguments, keywords = passed
        result = function(*arguments, **keywords)
        after = values.write(passed, self._number)
        return [result, passed if after != before else None]

    def _get(self, owner: Any, name: str) -> Any:
        return getattr(owner, name)

    def _set(self, owner: Any, content: list) -> None:
        setattr(owner, *content)

    def _iterate(self, owner: Any, _: None) -> Iterator:
        return iter(owner)

    def _next(self, iterator: Iterator, _: None) -> Any:
        return next(iterator)

    def _printed(self, _: None, __: None) -> str:
        return self._output.text


def serve(requests: int, answers: int, output_kilobytes: int) -> None:
    """Answers requests about a program until there are no more."""
    output = Output(1024 * output_kilobytes)
    sys.stdout = sys.stderr = output
    random.seed(SEED)
    program = Program(output)
    with open(requests, 'rb') as lines, open(answers, 'wb', buffering=0) as out:
        for line in lines:
            answer = memoryview(program.answer(line) + b'\n')
            while answer:
                answer = answer[out.write(answer) or 0 :]


def judge(request: int, verdict: int, output: int, answers: int, patience_seconds: float) -> None:
    """Runs trusted tests on a program in another process and writes the verdict.

    Args:
        request: pipe with one line of JSON: the program's code, the tests, the set-up, the names.
        verdict: pipe for one line of JSON: the reason and the detail.
        output: pipe for requests to the program.
        answers: pipe with its answers.
        patience_seconds: how long each answer is waited for.
    """
    with open(request, 'rb') as file:
        job = json.loads(file.read())
    sys.stdout = sys.stderr = Output(0)
    random.seed(SEED)
    channel = Channel(output, answers, patience_seconds)
    reason, detail = _judged(channel, job)
    if channel.failure is not None:
        reason, detail = _GONE.get(type(channel.failure), 'gone'), str(channel.failure)
    elif reason == 'passed' and channel.requests < 2:
        reason, detail = 'vacuous', 'the tests have not called the program'
    with open(verdict, 'w', encoding='utf-8') as file:
        file.write(json.dumps([reason, one_line(detail)]))


_GONE: dict[type, str] = {
    Stalled: 'stalled',
    Missing: 'missing',
    Broken: 'protocol',
    Large: 'oversize',
}


def _judged(channel: Channel, job: dict[str, Any]) -> tuple[str, str]:
    """The reason and detail of a verdict, as the tests alone see it."""
    proxies = {name: _named(channel, name) for name in job['names']}
    space: dict[str, Any] = {'__name__': 'tests', **proxies}
    try:
        channel.load(job['code'])
    except BaseException as error:  # noqa: BLE001 - whatever the program raises is its verdict
        return 'syntax' if isinstance(error, SyntaxError) else _reason(error), _place(error)
    try:
        exec(compile(job['setup'], '<setup>', 'exec'), space)
        space.update(proxies)
        exec(compile(job['tests'], '<tests>', 'exec'), space)
    except AssertionError as error:
        return 'failed', _place(error)
    except BaseException as error:  # noqa: BLE001 - tests may end by any error; it is the verdict
        return _reason(error), _place(error)
    return 'passed', ''


def _reason(error: BaseException) -> str:
    return 'memory' if isinstance(error, MemoryError) else 'error'


def _named(channel: Channel, name: str) -> Callable:
    """A function that calls the program's one of that name."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        return channel.call(name, arguments, keywords)

    call.__name__ = name
    return call


def _place(error: BaseException | None) -> str:
    """An error in one line, with the line of the tests that it came from."""
    frames = traceback.extract_tb(error.__traceback__) if error else []
    lines = [frame.lineno for frame in frames if frame.filename == '<tests>']
    where = f' (line {lines[-1]} of the tests)' if lines else ''
    return f'{"".join(traceback.format_exception_only(error)).strip()[:MAX_TEXT]}{where}'


def _summary(error: BaseException) -> list[str]:
    """What is told of an exception: the nearest name of Python's own, its name, its message."""
    kinds = type(error).__mro__
    own = next(kind.__name__ for kind in kinds if getattr(builtins, kind.__name__, None) is kind)
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - an error whose text cannot be had is still an error
        message = ''
    return [own, type(error).__name__, message[:MAX_TEXT]]


def attempt() -> dict[str, bool]:
    """Which deeds were refused: each is one that a layer is there to refuse."""
    deeds: dict[str, Callable[[], Any]] = {
        'read a file': lambda: os.close(os.open(sys.executable, os.O_RDONLY)),
        'start a process': _fork,
        'open a socket': lambda: socket.socket().close(),
    }
    return {name: _refused(deed) for name, deed in deeds.items()}


def _refused(deed: Callable[[], Any]) -> bool:
    try:
        deed()
    except PermissionError:
        return True
    return False


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
