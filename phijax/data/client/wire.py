"""Requests over HTTP through the openai package: its client's settings, its aiohttp transport.

The only module that imports it. `AsyncOpenAI` builds no request here and parses no
reply: that is most of what a call of it costs (docs/design/0014-llm-client.md), and we need the raw
bytes and headers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from types import TracebackType
from typing import Any

from phijax.data.client import replies
from phijax.data.client.settings import Endpoint

# What a reply may have in bytes: room for errors and headers of JSON, and for each token the
# longest that vocabularies have, escaped. More is a server that has gone wrong.
_MOST_BYTES = 1 << 20
_MOST_BYTES_A_TOKEN = 1024


class Wire:
    """Connections to an endpoint, inside `async with`."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Connects to nothing yet.

        Raises:
            InputError: if the endpoint's key is not in the environment.
        """
        self._endpoint = endpoint
        self._key = endpoint.key()

    async def __aenter__(self) -> Wire:
        """Opens the pool of connections."""
        import httpx2
        import openai

        self._failures = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError)
        most = self._endpoint.max_concurrency
        # A time limit of a read would begin anew with each byte: ours is of the whole.
        self._http: Any = openai.DefaultAioHttpClient(
            limits=httpx2.Limits(max_connections=most, max_keepalive_connections=most),
            timeout=httpx2.Timeout(None),
            follow_redirects=False,
        )
        client = openai.AsyncOpenAI(
            base_url=self._endpoint.url,
            api_key=self._key or 'none',
            max_retries=0,
            http_client=self._http,
        )
        # Without the dozen that describe the platform: each costs microseconds a request.
        headers = {'Content-Type': 'application/json', 'User-Agent': client.user_agent}
        self._headers = httpx2.Headers(headers | (client.auth_headers if self._key else {}))
        self._url = httpx2.URL(str(client.base_url).rstrip('/') + '/chat/completions')
        self._request = httpx2.Request
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def ask(self, body: bytes, max_tokens: int) -> replies.Outcome:
        """What came of sending a request once, whatever it is."""
        most = _MOST_BYTES + _MOST_BYTES_A_TOKEN * max_tokens
        try:
            async with asyncio.timeout(self._endpoint.timeout_seconds):
                reply = await self._exchange(body, most)
        except TimeoutError:
            return replies.Broken(f'no answer within {self._endpoint.timeout_seconds} seconds')
        except self._failures as error:
            if hasattr(error.__cause__, 'os_error'):
                # Only what aiohttp raises before there is a connection has it.
                return replies.Limited(None)
            return replies.Broken(self._without_key(f'{type(error).__name__}: {error}'))
        if reply is None:
            return replies.Broken(f'a reply of more than {most} bytes')
        if self._key and reply.status != 200:
            hidden = reply.content.replace(self._key.encode(), b'...')
            reply = reply._replace(content=hidden)
        return replies.interpret(reply, time.time())

    async def _exchange(self, body: bytes, most: int) -> replies.Reply | None:
        """The reply; None where it is longer than `most`."""
        request = self._request('POST', self._url, headers=self._headers, content=body)
        response = await self._http.send(request, stream=True)
        async with contextlib.aclosing(response):
            chunks, size = [], 0
            async for chunk in response.aiter_bytes():
                chunks.append(chunk)
                size += len(chunk)
                if size > most:
                    return None
        headers = {} if response.status_code == 200 else response.headers
        return replies.Reply(response.status_code, headers, b''.join(chunks))

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, '...') if self._key else text
