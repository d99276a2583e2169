"""A language model's endpoint that is no model: real sockets, scripted faults, exact counts.

    python -m tests.data.client.server --port=0 --rates='{"error": 0.1}'

prints its port. What it answers depends on the request alone, and which fault it has on the request
and on how often it was asked, so that every run is the same. `/stats` says what it counted.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import hashlib
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WORDS = ('a', 'loop', 'over', 'the', 'list', 'returns', 'its', 'sum', 'if', 'it', 'is', 'empty')
OTHER_MODEL = 'another-model'


@dataclass(frozen=True)
class Script:
    """What goes wrong, and when.

    Attributes:
        plan: the first faults of a request, by the content of its first user message; '*' stands
            for all others. Afterwards, and for requests without a plan, the rates hold.
        rates: how often each fault happens; what is left is `ok`.
        latency: seconds before every answer.
        slow: seconds before one with the fault `slow`.
        key: that requests must have; '' takes all.
        write: the text of an answer to a request's body; None writes words without sense.
    """

    plan: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    latency: float = 0.0
    slow: float = 30.0
    key: str = ''
    headers: Mapping[str, str] = field(default_factory=dict)
    write: Callable[[Mapping[str, Any]], str] | None = None

    def fault(self, prompt: str, number: int) -> str:
        """The fault of the request with this prompt that comes as number `number`, from 0."""
        plan = self.plan.get(prompt, self.plan.get('*', ()))
        if number < len(plan):
            return plan[number]
        draw = int.from_bytes(_hash(f'{self.seed}/{prompt}/{number}')[:6]) / 2**48
        for kind, rate in self.rates.items():
            draw -= rate
            if draw < 0:
                return kind
        return 'ok'


@dataclass
class Stats:
    """What the server counted; `billed` are tokens of all that it generated, heard or not."""

    requests: int = 0
    answered: int = 0
    billed: int = 0
    billed_requests: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    prompts: collections.Counter[str] = field(default_factory=collections.Counter)
    at: list[float] = field(default_factory=list)


class Server:
    """The endpoint, in the loop that runs it."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.stats = Stats()
        self.bodies: list[dict[str, Any]] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == '/stats':
            kept = {k: v for k, v in vars(self.stats).items() if k not in ('prompts', 'at')}
            return web.json_response(kept)
        body = json.loads(await request.read())
        self.stats.requests += 1
        self.stats.in_flight += 1
        self.stats.at.append(asyncio.get_running_loop().time())
        self.stats.most_in_flight = max(self.stats.most_in_flight, self.stats.in_flight)
        try:
            return await self._answer(request, body)
        finally:
            self.stats.in_flight -= 1

    async def _answer(self, request: web.BaseRequest, body: dict[str, Any]) -> web.StreamResponse:
        self.bodies = [*self.bodies[-9:], body]
        prompt = next(m['content'] for m in body['messages'] if m['role'] == 'user')
        number = self.stats.prompts[prompt]
        self.stats.prompts[prompt] += 1
        fault = self.script.fault(prompt, number)
        if self.script.key and request.headers.get('Authorization') != f'Bearer {self.script.key}':
            sent = request.headers.get('Authorization', '')
            return _error(401, f'Incorrect API key provided: {sent}')
        if self.script.latency:
            await asyncio.sleep(self.script.latency)
        if fault in _ERRORS:
            status, headers, words = _ERRORS[fault]
            return _error(status, words, {**headers, **self.script.headers})
        reply = complete(body, fault, self.script.write)
        self.stats.billed += sum(_tokens(reply))
        self.stats.billed_requests += 1
        if fault == 'slow':
            await asyncio.sleep(self.script.slow)
        if fault in ('reset', 'half', 'flood', 'text'):
            return await _broken(request, fault, reply)
        self.stats.answered += 1
        return web.Response(body=json.dumps(reply).encode(), content_type='application/json')


# Those that no model saw: status, headers, words.
_ERRORS: dict[str, tuple[int, dict[str, str], str]] = {
    'limited': (429, {}, 'slow down'),
    'limited_after': (429, {'Retry-After': '0.05'}, 'slow down'),
    'limited_reset': (429, {'x-ratelimit-reset-requests': '50ms'}, 'slow down'),
    'unpaid': (429, {}, 'insufficient_quota'),
    'error': (500, {}, 'internal'),
    'busy': (503, {'Retry-After': '0.05'}, 'overloaded'),
    'filter': (400, {}, 'content_filter'),
    'long': (400, {}, 'context_length_exceeded'),
    'moved': (307, {'Location': 'http://127.0.0.1:1/v1'}, 'moved'),
    'missing': (404, {}, 'no such model'),
}


def complete(
    body: Mapping[str, Any],
    fault: str = 'ok',
    write: Callable[[Mapping[str, Any]], str] | None = None,
) -> dict[str, Any]:
    """The reply to a request; the same for the same request."""
    stated = json.dumps([body['messages'], body.get('seed')])
    source = _hash(stated)
    text = write(body) if write else _text(body, source)
    if fault == 'wrong':
        text = json.dumps({'nothing': 'of the kind'})
    if fault == 'fenced':
        text = f'Here it is:\n```json\n{text}\n```\nI hope it helps.'
    if fault == 'empty':
        text = ''
    prompt = len(stated) // 4
    completion = min(body['max_tokens'], len(text.split()) + 1)
    usage = {'prompt_tokens': prompt, 'completion_tokens': completion}
    reasons = {'length': 'length', 'filtered': 'content_filter'}
    message = {'role': 'assistant', 'content': text}
    if fault == 'refusal':
        message = {'role': 'assistant', 'content': None, 'refusal': 'I will not.'}
    return {
        'id': 'x',
        'object': 'chat.completion',
        'model': OTHER_MODEL if fault == 'renamed' else body['model'],
        'choices': [{'index': 0, 'message': message, 'finish_reason': reasons.get(fault, 'stop')}],
        'usage': None if fault == 'uncounted' else usage,
    }


def _text(body: Mapping[str, Any], source: bytes) -> str:
    if 'response_format' in body:
        schema = body['response_format']['json_schema']['schema']
        return json.dumps(_value(schema, source))
    return ' '.join(WORDS[byte % len(WORDS)] for byte in source[: body['max_tokens'] - 1])


def _value(schema: Mapping[str, Any], source: bytes) -> Any:
    """A value that fits, as the bytes have it."""
    low = schema.get('minimum', 0)
    return {
        'object': lambda: {
            name: _value(inner, _hash(name + source.hex()))
            for name, inner in schema.get('properties', {}).items()
        },
        'array': lambda: [_value(schema['items'], source)],
        'string': lambda: schema.get('enum', [WORDS[source[0] % len(WORDS)]])[0],
        'integer': lambda: low + source[0] % (schema.get('maximum', low + 9) - low + 1),
        'number': lambda: low + source[0] / 256,
        'boolean': lambda: source[0] > 127,
    }[schema['type']]()


async def _broken(
    request: web.BaseRequest, fault: str, reply: dict[str, Any]
) -> web.StreamResponse:
    assert request.transport is not None
    raw = json.dumps(reply).encode()
    if fault == 'text':
        return web.Response(body=b'<html>It works!</html>')
    if fault == 'reset':
        request.transport.abort()
        return web.Response()
    response = web.StreamResponse(
        headers={'Content-Length': str(len(raw) + (fault == 'flood') * 2**28)}
    )
    await response.prepare(request)
    await response.write(raw[: len(raw) // 2])
    if fault == 'flood':
        with contextlib.suppress(ConnectionError):
            for _ in range(2**10):
                await response.write(b' ' * 2**18)
    request.transport.abort()
    return response


def _tokens(reply: Mapping[str, Any]) -> tuple[int, int]:
    usage = reply['usage'] or {'prompt_tokens': 0, 'completion_tokens': 0}
    return usage['prompt_tokens'], usage['completion_tokens']


def _error(status: int, words: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {'error': {'message': words, 'code': words}}
    return web.json_response(body, status=status, headers=headers)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def _serve(server: Server, port: int, ready: Any, stop: asyncio.Event) -> None:
    runner = web.ServerRunner(web.Server(server.handle))
    await runner.setup()
    site = web.TCPSite(runner, '127.0.0.1', port, backlog=1024)
    await site.start()
    ready(runner.addresses[0][1])
    await stop.wait()
    await runner.cleanup()


class Running:
    """A server in a thread of this process.

    Attributes:
        url: for `Endpoint`.
        stats: what it counted.
    """

    def __init__(self, url: str, server: Server) -> None:
        self.url = url
        self.server = server

    @property
    def stats(self) -> Stats:
        return self.server.stats


@contextlib.contextmanager
def run(script: Script | None = None) -> Iterator[Running]:
    """A server in a thread, for as long as the context lasts."""
    server = Server(script or Script())
    ports: list[int] = []
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def ready(port: int) -> None:
        ports.append(port)
        started.set()

    thread = threading.Thread(
        target=lambda: loop.run_until_complete(_serve(server, 0, ready, stop))
    )
    thread.start()
    assert started.wait(30)
    try:
        yield Running(f'http://127.0.0.1:{ports[0]}/v1', server)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def stats_of(url: str) -> dict[str, Any]:
    """What a server in another process counted."""
    with urllib.request.urlopen(url.removesuffix('/v1') + '/stats') as reply:
        return json.loads(reply.read())


def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--rates', type=json.loads, default={})
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--latency', type=float, default=0.0)
    flags = parser.parse_args()
    script = Script(rates=flags.rates, seed=flags.seed, latency=flags.latency)

    def ready(port: int) -> None:
        print(port, flush=True)

    asyncio.run(_serve(Server(script), flags.port, ready, asyncio.Event()))


if __name__ == '__main__':
    main()
