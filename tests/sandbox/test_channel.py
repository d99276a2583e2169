"""No line that was not asked for is an answer, and no answer is more than an answer."""

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

REPLIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just('WORD') | st.just('ok'),
    lambda inner: st.lists(inner) | st.tuples(st.just('WORD'), st.sampled_from(KINDS), inner),
    max_leaves=10,
)
KINDS = ['ok', 'raised', 'missing', 'other']


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
        with open(self._requests, 'rb') as requests, open(self._answers, 'wb') as answers:
            for line in requests:
                word = json.loads(line)[0]
                answers.write(answer.replace(b'WORD', word.encode()) + b'\n')
                answers.flush()

    def close(self) -> None:
        os.close(self._ends[0])
        self._thread.join()
        os.close(self._ends[1])


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
    channel = peer(
        b'["WORD","ok",[0,[[[[1,5],{"dict":[["a",[2]],["b",3]]},{"set":[7]},'
        b'{"tuple":[[1]]},"x"],{"dict":[]}]]'.replace(b'{"dict":[]}]', b'{"dict":[]}')
        + b']]'
    )
    inner: list = []
    numbers, names, kinds, pair = [inner], {'a': inner}, {1, 2}, ([0],)
    held = pair[0]
    with pytest.raises(Gone):
        channel.call('f', (numbers, names, kinds, pair, 'y'))
    assert held == [0]


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
    except (Gone, Exception) as error:
        assert isinstance(error, Gone | Raised) or type(error).__module__ == 'builtins'
    else:
        assert reply[:2] == ['WORD', 'ok'] or tuple(reply[:2]) == ('WORD', 'ok')
    finally:
        other.close()
