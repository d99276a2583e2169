"""No line that was not asked for is an answer, and no answer is more than an answer."""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from phijax import sandbox
from phijax.sandbox import Failure, Job, run_tests
from phijax.sandbox.channel import Broken, Channel, Gone, Large, Missing, Raised, Stalled

KINDS = st.sampled_from(['ok', 'raised', 'missing', 'other'])
REPLIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(['ValueError', 'int']),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(st.just('WORD'), KINDS, inner)
        | st.fixed_dictionaries({'handle': st.tuples(st.integers(), st.text())})
    ),
    max_leaves=10,
)


class Peer:
    """The other end of a channel: a thread that answers each request with the same text."""

    def __init__(self, answer: bytes) -> None:
        self._requests, asking = os.pipe()
        answered, self._answers = os.pipe()
        self.channel = Channel(asking, answered, 5.0)
        self._ends = [asking, answered]
        self._thread = threading.Thread(target=self._serve, args=[answer])
        self._thread.start()

    def _serve(self, answer: bytes) -> None:
        with (
            contextlib.suppress(BrokenPipeError),
            open(self._requests, 'rb') as requests,
            open(self._answers, 'wb', buffering=0) as answers,
        ):
            for line in requests:
                word = json.loads(line)[0]
                answers.write(answer.replace(b'WORD', word.encode()) + b'\n')

    def close(self) -> None:
        for descriptor in self._ends:
            os.close(descriptor)
        self._thread.join()


@pytest.fixture
def peer() -> Iterator[Callable[[bytes], Channel]]:
    peers: list[Peer] = []

    def answering(answer: bytes) -> Channel:
        peers.append(Peer(answer))
        return peers[-1].channel

    yield answering
    for one in peers:
        one.close()


def test_answer_is_taken(peer: Callable) -> None:
    channel = peer(b'["WORD","ok",[{"tuple":[1,2]},null]]')
    assert channel.call('f') == (1, 2)
    assert channel.requests == 1


def test_arguments_change_in_place(peer: Callable) -> None:
    numbers, names, kinds, pair = [0, [1]], {'a': [1], 'z': 0}, {1, 2}, ([0],)
    inner, named, held = numbers[1], names['a'], pair[0]
    changed = (
        b'[[[0,[1,2],3],{"dict":[["b",3],["a",[2]]]},{"set":[7]},{"tuple":[[1]]},"text"],'
        b'{"dict":[]}]'
    )
    channel = peer(b'["WORD","ok",[0,' + changed + b']]')
    assert channel.call('f', (numbers, names, kinds, pair, 9)) == 0
    assert (numbers, names, kinds, pair) == ([0, [1, 2], 3], {'a': [2], 'b': 3}, {7}, ([1],))
    assert list(names) == ['b', 'a']
    assert (inner, named, held) == ([1, 2], [2], [1])


@hypothesis.given(st.lists(st.binary(max_size=60), max_size=4))
def test_forged_lines_are_no_answers(lines: list[bytes]) -> None:
    """Written before the request or without its word: the request fails, whatever they say."""
    forged = b'["0123456789abcdef","ok",[9,null]]'
    answers = os.pipe()
    requests = os.pipe()
    os.write(answers[1], b'\n'.join([*lines, forged]) + b'\n')
    os.close(answers[1])
    channel = Channel(requests[1], answers[0], 5.0)
    try:
        with pytest.raises(Gone):
            channel.call('f')
        assert isinstance(channel.failure, Gone)
        assert channel.requests == 0
    finally:
        for descriptor in (answers[0], *requests):
            os.close(descriptor)


@hypothesis.given(REPLIES)
@hypothesis.settings(max_examples=200)
def test_any_reply_is_an_answer_or_a_failure(reply: Any) -> None:
    other = Peer(json.dumps(reply).encode())
    try:
        other.channel.call('f')
        assert list(reply[:2]) == ['WORD', 'ok']
    except (Gone, Raised, ValueError):
        assert other.channel.failure or list(reply[:2]) == ['WORD', 'raised']
    finally:
        other.close()


@pytest.mark.parametrize(
    ('answer', 'failure'),
    [
        (b'[]', Broken),
        (b'["WORD","ok"]', Broken),
        (b'["WORD","ok",9]', Broken),
        (b'["WORD","fine",[9,null]]', Broken),
        (b'["word","ok",[9,null]]', Broken),
        (b'["WORD","raised",[1,2,3]]', Broken),
        (b'["WORD","missing","f"]', Missing),
        (b'"' + b'x' * (9 << 20) + b'"', Large),
    ],
)
def test_wrong_answer_is_a_failure(peer: Callable, answer: bytes, failure: type) -> None:
    channel = peer(answer)
    with pytest.raises(failure):
        channel.call('f')
    assert isinstance(channel.failure, failure)


def test_silence_is_a_failure() -> None:
    requests, answers = os.pipe(), os.pipe()
    channel = Channel(requests[1], answers[0], 0.2)
    with pytest.raises(Stalled, match='no answer in'):
        channel.call('f')
    with pytest.raises(Stalled):
        channel.call('f', ['x' * (1 << 20)])
    for descriptor in (*requests, *answers):
        os.close(descriptor)


@pytest.mark.parametrize(
    ('told', 'kind', 'name'),
    [
        (b'["ValueError","ValueError","no"]', ValueError, 'ValueError'),
        (b'["ValueError","Mine","no"]', ValueError, 'Mine'),
        (b'["SystemExit","SystemExit","no"]', Raised, 'SystemExit'),
        (b'["KeyboardInterrupt","KeyboardInterrupt","no"]', Raised, 'KeyboardInterrupt'),
        (b'["UnicodeDecodeError","UnicodeDecodeError","no"]', Raised, 'Raised'),
        (b'["print","print","no"]', Raised, 'print'),
        (b'["int","int","no"]', Raised, 'int'),
        (b'["ValueError","a\\u0000b","no"]', Raised, 'Raised'),
    ],
)
def test_what_is_raised(peer: Callable, told: bytes, kind: type, name: str) -> None:
    with pytest.raises(kind, match='no') as caught:
        peer(b'["WORD","raised",' + told + b']').call('f')
    assert type(caught.value).__name__ == name


# Programs that speak past the worker that serves them.
FORGERS = {
    'lines before any request': (
        'import json\ndef f(x): return 0\n'
        'for word in ("", "0" * 16): say(json.dumps([word, "ok", [9, None]]))\n'
    ),
    'lines at each request': 'def f(x):\n    say(\'["0000000000000000","ok",[9,null]]\')\n',
    'its own request': 'def f(x):\n    say(\'["\' + word() + \'","ok",[8,null]]\')\n    return 9\n',
    'a verdict': 'def f(x): say(\'["passed",""]\')\n',
    'nothing any more': 'def f(x): os.closerange(3, 4096)\n',
    'another worker': (
        'import sys\ndef f(x):\n    frame = sys._getframe(1)\n'
        '    type(frame.f_locals["self"])._call = lambda *_: [8, None]\n    return 8\n'
    ),
    'an answer to a call that is not made': 'def f(x):\n    f.g = say\n    return f\n',
}
SPEAKS = """
import os, stat, sys
def say(text):
    for pipe in range(3, 4096):
        try:
            if stat.S_ISFIFO(os.fstat(pipe).st_mode): os.write(pipe, text.encode() + b'\\n')
        except OSError: pass
def word():
    frame = sys._getframe(1)
    while 'word' not in frame.f_locals: frame = frame.f_back
    return frame.f_locals['word']
"""


@pytest.mark.parametrize('name', FORGERS)
def test_forger_does_not_pass(name: str) -> None:
    job = Job(code=SPEAKS + FORGERS[name], tests='assert f(3) == 9', names=('f',))
    verdict = run_tests(job)
    assert verdict.reason in ('protocol', 'failed', 'crashed', 'exited'), verdict


def test_worker_in_whose_place_another_is_gives_answers_only() -> None:
    """Who knows the word of a request can answer it: with an answer, as any function can."""
    with sandbox.open(SPEAKS + FORGERS['its own request']) as program:
        assert program.call('f', [3]) == 8
        with pytest.raises(Failure, match='protocol'):
            program.call('f', [3])


def test_details_are_one_line() -> None:
    code = 'def f(x): raise ValueError("\\x1b[2J\\nno\\u2028" + "\\ud800")'
    verdict = run_tests(Job(code=code, tests='assert f(3) == 9', names=('f',)))
    assert verdict.detail.startswith(r'ValueError: \x1b[2J\nno\u2028\ud800')
    with sandbox.open(code) as program, pytest.raises(Failure) as caught:
        program.call('f', [3])
    assert str(caught.value) == r'error: ValueError: \x1b[2J\nno\u2028\ud800'


def test_swallowed_failure_is_no_pass() -> None:
    """Tests that catch everything do not turn a program that has ended into one that passes."""
    tests = 'try:\n    f(3)\nexcept BaseException:\n    pass\n'
    code = 'import os\ndef f(x): os._exit(0)'
    assert run_tests(Job(code=code, tests=tests, names=('f',))).reason == 'exited'
    raises = Job(code='def f(x): raise ValueError', tests=tests, names=('f',))
    assert run_tests(raises).passed
