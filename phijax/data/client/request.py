"""What is asked and what came back, as values: a request is known by the hash of all it says."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from phijax.data.client import schema as schemas
from phijax.data.settings import check
from phijax.errors import InputError

ROLES = ('system', 'user', 'assistant')
STATUSES = ('ok', 'truncated', 'invalid', 'refused', 'failed_permanent', 'failed_transient')

# What a chat template may put around a message, and before the first: our choice, generous. What
# the body of a request says besides its texts counts too, as its bytes are what is counted.
TOKENS_A_MESSAGE = 16
TOKENS_A_TEMPLATE = 64

# Of a rejected answer, what is shown to the model again.
_SHOWN = 8000
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(',', ':'))


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model, with everything that influences the answer.

    Attributes:
        messages: `{'role': …, 'content': …}` each.
        max_tokens: of the answer.
        seed: sent where it is not None.
        schema: of the JSON value that is wanted; None wants text. See `schema.KEYWORDS`.
        stop: texts that end the answer.
        sample_index: tells requests apart that ask the same; it is not sent.
    """

    messages: tuple[Mapping[str, str], ...]
    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    stop: tuple[str, ...] = ()
    sample_index: int = 0

    def __post_init__(self) -> None:
        """Raises InputError at a value that is not allowed."""
        check(bool(self.messages), 'messages', self.messages, 'one or more')
        for message in self.messages:
            fits = message.keys() == {'role', 'content'} and message['role'] in ROLES
            check(fits, 'messages', dict(message), f'role ({", ".join(ROLES)}) and content')
        check(self.max_tokens >= 1, 'max_tokens', self.max_tokens, '1 or more')
        check(0 <= self.temperature <= 2, 'temperature', self.temperature, 'from 0 to 2')
        check(0 < self.top_p <= 1, 'top_p', self.top_p, 'above 0 and at most 1')
        if self.schema is not None:
            schemas.check_schema(self.schema)

    def key(self, model: str) -> bytes:
        """The sha256 of the request to a model: equal for equal questions, and only for them.

        Raises:
            InputError: if a text is not valid Unicode.
        """
        stated = [model, [[m['role'], m['content']] for m in self.messages], self.max_tokens]
        stated += [float(self.temperature), float(self.top_p), self.seed, self.schema, self.stop]
        return hashlib.sha256(_json([*stated, self.sample_index])).digest()

    def body(self, model: str, limit_field: str) -> bytes:
        """The JSON that is sent.

        Raises:
            InputError: if a text is not valid Unicode.
        """
        sent: dict[str, Any] = {'model': model, 'messages': [dict(m) for m in self.messages]}
        sent |= {limit_field: self.max_tokens, 'temperature': self.temperature, 'top_p': self.top_p}
        if self.seed is not None:
            sent['seed'] = self.seed
        if self.stop:
            sent['stop'] = list(self.stop)
        if self.schema is not None:
            named = {'name': 'answer', 'schema': self.schema, 'strict': True}
            sent['response_format'] = {'type': 'json_schema', 'json_schema': named}
        return _json(sent)

    def corrected(self, text: str, problem: str) -> Request:
        """The question after an answer that was no use: the answer, and what was wrong with it."""
        words = f'That is not what was asked for: {problem} Answer again, with the JSON alone.'
        shown = text[:_SHOWN].encode(errors='replace').decode()
        added = ({'role': 'assistant', 'content': shown}, {'role': 'user', 'content': words})
        return dataclasses.replace(self, messages=(*self.messages, *added))


def most_prompt_tokens(body: bytes, messages: int) -> int:
    """No fewer tokens than the prompt has: a token of a tokenizer over bytes has one or more."""
    return len(body) + TOKENS_A_TEMPLATE + TOKENS_A_MESSAGE * messages


class Usage(NamedTuple):
    """Tokens, as the endpoint counted them or as they were reserved."""

    prompt: int
    completion: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request.

    Attributes:
        key: of the request, in hexadecimal.
        status: one of `STATUSES`; only `ok` is an answer to use. `failed_transient` is asked again
            by the next run, all others are kept.
        text: what the model wrote, also where it is no use.
        value: the JSON value, where the request has a schema and the status is `ok`.
        usage: tokens that the endpoint reported; None where it did not.
        model: as the endpoint named it.
        reason: why the status is not `ok`.
        attempts: requests that were sent for it, without those that a rate limit turned away.
        seconds: that the last of them took.
    """

    key: str
    status: str
    text: str = ''
    value: Any = None
    usage: Usage | None = None
    model: str = ''
    finish_reason: str = ''
    reason: str = ''
    attempts: int = field(default=1, compare=False)
    seconds: float = field(default=0.0, compare=False)

    def dump(self) -> bytes:
        """As JSON, without the value, which is in the text."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del fields['key'], fields['value']
        return json.dumps(fields).encode()

    @classmethod
    def load(cls, key: bytes, raw: bytes, schema: Mapping[str, Any] | None) -> Answer:
        """The answer that `dump` wrote."""
        fields = json.loads(raw)
        usage = fields.pop('usage')
        value = None
        if schema is not None and fields['status'] == 'ok':
            value = schemas.read(fields['text'], schema).value
        return cls(key.hex(), value=value, usage=usage and Usage(*usage), **fields)


def combine(first: Answer, second: Answer) -> Answer:
    """What a request gave whose first answer was no use and which was therefore asked again."""
    kept = second
    if second.status in ('failed_permanent', 'refused', 'truncated'):
        kept = dataclasses.replace(first, reason=f'{first.reason} Asked again: {second.status}.')
    usage = None
    if first.usage and second.usage:
        usage = Usage(*(sum(pair) for pair in zip(first.usage, second.usage, strict=True)))
    attempts = first.attempts + second.attempts
    return dataclasses.replace(kept, key=first.key, usage=usage, attempts=attempts)


def _json(value: Any) -> bytes:
    try:
        return _JSON.encode(value).encode()
    except UnicodeEncodeError as error:
        part = error.object[error.start : error.end]
        raise InputError(f'A message has {part!r}, which is not valid Unicode.') from error
