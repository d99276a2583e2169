"""What an endpoint's reply means: an answer, a wait, a failure that passes, one that stays."""

from __future__ import annotations

import datetime
import email.utils
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

from phijax.data.client import schema as schemas
from phijax.data.client.request import Answer, Request, Usage
from phijax.data.errors import UnavailableError
from phijax.errors import InputError

# Of a reply that is an error, what is kept: enough for every message of a known endpoint.
_KEPT = 4000
_DURATION = re.compile(
    r'(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9}(?:\.\d*)?)s)?(?:(\d{1,9}(?:\.\d*)?)ms)?'
)
_UNITS = (3600.0, 60.0, 1.0, 0.001)


class Reply(NamedTuple):
    """What came over the wire, the names of the headers in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Completed:
    """The model wrote something; `refusal` says why it is no answer, where it is none."""

    text: str
    finish_reason: str
    usage: Usage | None
    model: str
    refusal: str


@dataclass(frozen=True)
class Limited:
    """Nobody saw the request: there were too many, or there was no connection.

    `wait` is in seconds, None where nothing was said.
    """

    wait: float | None


@dataclass(frozen=True)
class Broken:
    """A failure that may pass, after which nobody knows whether a model saw the request.

    `wait` is the seconds until the endpoint wants to be asked again, None where it did not say.
    """

    reason: str
    wait: float | None = None


@dataclass(frozen=True)
class Rejected:
    """The endpoint will never answer this request."""

    reason: str


@dataclass(frozen=True)
class Fatal:
    """The endpoint will answer no request."""

    error: InputError


Outcome = Completed | Limited | Broken | Rejected | Fatal


def interpret(reply: Reply, now: float) -> Outcome:
    """What a reply means.

    Args:
        now: seconds since 1970, for dates in headers.
    """
    status = reply.status
    said = f'{status}: {reply.content[:_KEPT].decode(errors="replace")}'
    if status == 200:
        return _completed(reply.content)
    fatal = _fatal(status, said)
    if fatal:
        return Fatal(fatal)
    if status == 429:
        return Limited(wait_of(reply.headers, now))
    if status >= 500 or status in (408, 409, 425):
        return Broken(said, wait=_retry_after(reply.headers, now))
    return Rejected(said)


def answer(request: Request, key: str, completed: Completed) -> Answer:
    """What a completion is worth to the request."""
    status, value, reason = 'ok', None, ''
    if completed.refusal:
        status, reason = 'refused', completed.refusal
    elif completed.finish_reason == 'length':
        status, reason = 'truncated', f'It is longer than {request.max_tokens} tokens.'
    elif request.schema is not None:
        value, reason = schemas.read(completed.text, request.schema)
    elif not completed.text.strip():
        reason = 'It is empty.'
    if reason and status == 'ok':
        status = 'invalid'
    return Answer(
        key=key,
        status=status,
        text=completed.text,
        value=value,
        usage=completed.usage,
        model=completed.model,
        finish_reason=completed.finish_reason,
        reason=reason,
    )


def wait_of(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that a refusal asks to wait; None where it says nothing.

    `Retry-After` comes first; without one, the resets of those limits that are used up, or of all
    where it is not said which.
    """
    wait = _retry_after(headers, now)
    if wait is not None:
        return wait
    resets = {
        name: seconds
        for name in ('requests', 'tokens')
        if (seconds := _duration(headers.get(f'x-ratelimit-reset-{name}', ''))) is not None
    }
    spent = [n for n in resets if headers.get(f'x-ratelimit-remaining-{n}', '').strip() == '0']
    return max((resets[name] for name in spent or resets), default=None)


def _fatal(status: int, said: str) -> InputError | None:
    """The error that ends a run, of a reply that every other request would get too."""
    if status == 402 or (status == 429 and 'insufficient_quota' in said):
        return UnavailableError(f'The endpoint wants to be paid first ({said})')
    if status in (401, 404) or 300 <= status < 400:
        return InputError(f'The endpoint takes no such request ({said})')
    return None


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    milliseconds = _number(headers.get('retry-after-ms', ''))
    if milliseconds is not None:
        return milliseconds / 1000
    stated = headers.get('retry-after', '')
    seconds = _number(stated)
    if seconds is not None or not stated:
        return seconds
    try:
        date = email.utils.parsedate_to_datetime(stated)
    except ValueError:
        return None
    # A date without a zone is in UTC: "-0000" of RFC 5322.
    aware = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
    return max(0.0, aware.timestamp() - now)


def _number(text: str) -> float | None:
    """A plain number that is not negative; neither `nan` nor `inf`."""
    return float(text) if re.fullmatch(r'\d{1,9}(\.\d*)?', text.strip()) else None


def _duration(text: str) -> float | None:
    """The seconds of `6m0s`, `1.5s`, `20ms` or a plain number."""
    match = _DURATION.fullmatch(text.strip())
    if not match or not text.strip():
        return _number(text)
    return sum(float(part or 0) * unit for part, unit in zip(match.groups(), _UNITS, strict=True))


def _completed(content: bytes) -> Outcome:
    try:
        body = json.loads(content)
        [choice] = body['choices']
        message = choice['message']
        text = message.get('content')
        refusal = message.get('refusal')
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        shown = content[:200].decode(errors='replace')
        return Broken(f'200, but no completion ({error!r}): {shown}')
    finish_reason = _text(choice.get('finish_reason'))
    return Completed(
        text=_text(text),
        finish_reason=finish_reason,
        usage=_usage(body.get('usage')),
        model=_text(body.get('model')),
        refusal=_text(refusal) or (finish_reason == 'content_filter') * finish_reason,
    )


def _usage(stated: Any) -> Usage | None:
    if not isinstance(stated, dict):
        return None
    prompt, completion = stated.get('prompt_tokens'), stated.get('completion_tokens')
    return Usage(prompt, completion) if _is_count(prompt) and _is_count(completion) else None


def _is_count(value: Any) -> TypeGuard[int]:
    # Not a bool, and no number that SQLite could not keep.
    return type(value) is int and 0 <= value < 2**53


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ''
