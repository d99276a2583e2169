"""What a run of requests is told: where to ask, how fast, and what it may cost."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from typing import TypeVar

from phijax.data.settings import check
from phijax.errors import InputError

LIMIT_FIELDS = ('max_tokens', 'max_completion_tokens')
MICRO = 10**6
PICO = 10**12

T = TypeVar('T')


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server, and how hard it may be asked.

    Attributes:
        url: the base, such as `http://127.0.0.1:8000/v1`.
        key_variable: the environment variable with the key; '' sends none. The key itself is in no
            setting, file or message.
        requests_per_minute, tokens_per_minute: 0 is no limit.
        max_concurrency: requests in flight at most; after refusals it is fewer.
        timeout_seconds: of one attempt as a whole.
        breaker_seconds: how long there may be failures and nothing else before the run stops.
        max_attempts: of one request, until it is put off to the next run.
        backoff_seconds: the longest wait before the second attempt; it doubles up to a minute.
        pin_model: whether an endpoint that names another model than before is an error.
        limit_field: how the endpoint calls the limit of an answer's length.
    """

    url: str
    model: str
    key_variable: str = ''
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    max_concurrency: int = 64
    timeout_seconds: float = 300.0
    breaker_seconds: float = 600.0
    max_attempts: int = 6
    backoff_seconds: float = 1.0
    pin_model: bool = True
    limit_field: str = 'max_tokens'

    def __post_init__(self) -> None:
        """Raises InputError at a value that is not allowed."""
        check(self.url.startswith(('http://', 'https://')), 'url', self.url, 'http:// or https://')
        check(bool(self.model), 'model', self.model, 'the name of a model')
        for name in ('requests_per_minute', 'tokens_per_minute'):
            check(getattr(self, name) >= 0, name, getattr(self, name), '0 (no limit) or more')
        for name in ('max_concurrency', 'max_attempts'):
            check(getattr(self, name) >= 1, name, getattr(self, name), '1 or more')
        for name in ('timeout_seconds', 'breaker_seconds', 'backoff_seconds'):
            _check_positive(name, getattr(self, name))
        named = self.limit_field
        check(named in LIMIT_FIELDS, 'limit_field', named, ' or '.join(LIMIT_FIELDS))

    def key(self) -> str:
        """The key out of the environment; '' where none is named.

        Raises:
            InputError: if the variable is not set.
        """
        if not self.key_variable:
            return ''
        key = os.environ.get(self.key_variable, '')
        if not key:
            raise InputError(
                f'key_variable is {self.key_variable!r}, which is not set; put the key of '
                f'{self.url} into that environment variable, or name none.'
            )
        return key

    def share(self, index: int, count: int) -> Endpoint:
        """What shard `index` of `count` may use; all shards together use exactly the whole.

        Raises:
            InputError: if there is not enough for every shard.
        """
        limits = ('requests_per_minute', 'tokens_per_minute', 'max_concurrency')
        return _shared(self, [name for name in limits if getattr(self, name)], index, count)


@dataclass(frozen=True)
class Budget:
    """What may be spent in all, over all runs with the same journal.

    Attributes:
        max_tokens: of prompts and answers together.
        max_dollars: to a millionth; 0 only where tokens cost nothing.
        dollars_per_million_input, dollars_per_million_output: the price of tokens.
    """

    max_tokens: int
    max_dollars: float = 0.0
    dollars_per_million_input: float = 0.0
    dollars_per_million_output: float = 0.0

    def __post_init__(self) -> None:
        """Raises InputError at a value that is not allowed."""
        check(
            self.max_tokens > 0,
            'max_tokens',
            self.max_tokens,
            'above 0: there is no run without a budget, and this one admits no request',
        )
        for name in ('dollars_per_million_input', 'dollars_per_million_output', 'max_dollars'):
            value = getattr(self, name)
            check(0 <= value < math.inf, name, value, '0 or more')
        if self.prompt_price or self.completion_price:
            allowed = 'above 0 where tokens have a price'
            check(self.max_dollars > 0, 'max_dollars', self.max_dollars, allowed)

    @property
    def prompt_price(self) -> int:
        """Of one token of a prompt, in 10^-12 dollars, rounded up: sums are exact."""
        return math.ceil(self.dollars_per_million_input * (PICO // 10**6))

    @property
    def completion_price(self) -> int:
        """Of one token of an answer, in 10^-12 dollars, rounded up."""
        return math.ceil(self.dollars_per_million_output * (PICO // 10**6))

    def cost(self, prompt: int, completion: int) -> int:
        """What tokens cost, in 10^-12 dollars."""
        return prompt * self.prompt_price + completion * self.completion_price

    @property
    def max_cost(self) -> int:
        """The dollars that may be spent, in 10^-12 dollars."""
        return round(self.max_dollars * MICRO) * (PICO // MICRO)

    def share(self, index: int, count: int) -> Budget:
        """What shard `index` of `count` may spend; all shards together spend exactly the whole.

        Raises:
            InputError: if there is not enough for every shard.
        """
        money = _part('max_dollars', round(self.max_dollars * MICRO), index, count)
        part = _shared(self, ['max_tokens'], index, count)
        return dataclasses.replace(part, max_dollars=money / MICRO)


def _check_positive(field: str, value: float) -> None:
    check(0 < value < math.inf, field, value, 'above 0')


def _shared(whole: T, names: list[str], index: int, count: int) -> T:
    parts = {name: _part(name, getattr(whole, name), index, count) for name in names}
    return dataclasses.replace(whole, **parts)  # type: ignore[type-var]


def _part(name: str, whole: int, index: int, count: int) -> int:
    """The part of a whole number that is one shard's; the parts differ by one at most."""
    check(0 <= index < count, 'index', index, f'from 0 to {count - 1}, of {count} shards')
    part = whole * (index + 1) // count - whole * index // count
    check(part > 0 or whole == 0, name, whole, f'enough for each of {count} shards')
    return part
