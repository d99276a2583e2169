"""How likely a model finds given texts after given contexts: every benchmark with choices.

Requests that begin alike share that beginning: it goes through the model once, into a cache, and
the rest of each follows from there. The logits are computed only where a token is scored.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, Bool, Float, Int

from phijax import models
from phijax.errors import InputError

# Tokens that the device works on at once, and positions whose logits exist at once.
_AT_ONCE = {'cpu': 1024, 'gpu': 16_384}
_LOGITS_AT_ONCE = 1024
# A beginning that all requests share is worth a pass of its own from this length on.
_SHORTEST_PREFIX = 32
# Neighbours share what is more than this part of all that is before their answers.
_SHARED = 0.5
_MOST_TAILS = 16
# Of a token that goes on from a cache, more than of one that does not; measured on two cores.
_COST_OF_A_CACHE = 0.5
# Positions of caches that are there at once, or as many as tokens where these are more.
_POSITIONS_AT_ONCE = 4096
_UNSCORED = -1


class Request(NamedTuple):
    """Tokens to score after others; there must be some of both."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


class Score(NamedTuple):
    """What a model makes of a continuation.

    Attributes:
        log_likelihood: of all its tokens together, in nats.
        greedy: whether each of them is the likeliest there.
        cut: how many tokens of the context were left out, from its start, to fit into the model.
    """

    log_likelihood: float
    greedy: bool
    cut: int


class _Row(NamedTuple):
    """A request as the model reads it.

    Attributes:
        number: its place among the requests.
        tokens: those that go in.
        targets: those that are scored; they come after the last `len(targets)` of `tokens`.
        cut: tokens left out.
    """

    number: int
    tokens: tuple[int, ...]
    targets: tuple[int, ...]
    cut: int

    @property
    def stem(self) -> tuple[int, ...]:
        """The tokens before the first after which something is scored."""
        return self.tokens[: len(self.tokens) - len(self.targets)]


class _Group(NamedTuple):
    """Rows that begin with the same `stem`, and the number of tokens of the longest of them."""

    stem: tuple[int, ...]
    rows: list[_Row]

    @property
    def longest(self) -> int:
        return max(len(row.tokens) for row in self.rows)

    @property
    def size(self) -> tuple[int, int]:
        """What groups are sorted by: the room that they need, and what they share."""
        return _power(self.longest), len(self.stem)


class _Tail(NamedTuple):
    """The rest of a row after the stem of its group, which is row `owner` of a cache."""

    owner: int
    row: _Row
    tokens: tuple[int, ...]


def score(
    config: models.Config,
    params: models.Params,
    requests: Sequence[Request],
    *,
    tokens_at_once: int = 0,
) -> list[Score]:
    """The score of each request, in their order.

    Args:
        tokens_at_once: as of `score_each`.

    Raises:
        InputError: as `score_each`.
    """
    pairs = score_each(config, params, requests, tokens_at_once=tokens_at_once)
    return [value for _, value in sorted(pairs)]


def score_each(
    config: models.Config,
    params: models.Params,
    requests: Sequence[Request],
    *,
    tokens_at_once: int = 0,
) -> Iterator[tuple[int, Score]]:
    """The number of each request and its score, as soon as it is known, in any order.

    What does not fit into the model is left out from the start of the context, and counted. A
    score depends on its request alone, up to the order of summation.

    Args:
        tokens_at_once: tokens in one step of the device; 0 is its own measure.

    Raises:
        InputError: at once: a context or a continuation is empty, a token is outside the
            vocabulary, or a continuation alone is longer than the model's longest row.
    """
    if jax.default_backend() == 'gpu' and not config.unroll:
        # Many shapes are compiled, which takes long for a stack that is unrolled.
        config = dataclasses.replace(config, unroll=1)
    rows = [_row(config, number, request) for number, request in enumerate(requests)]
    at_once = tokens_at_once or _AT_ONCE.get(jax.default_backend(), _AT_ONCE['gpu'])
    by_factors = [[row for row in rows if _is_long(config, row) == long] for long in (False, True)]
    return itertools.chain.from_iterable(
        _scored(config, params, own, long, at_once)
        for own, long in zip(by_factors, (False, True), strict=True)
    )


def _is_long(config: models.Config, row: _Row) -> bool:
    """Whether a row has the long factors of LongRoPE, which then even its first tokens have."""
    return 0 < config.original_length < len(row.tokens)


def _row(config: models.Config, number: int, request: Request) -> _Row:
    context, continuation = request
    if not context or not continuation:
        raise InputError(f'request {number} lacks a context or a continuation')
    tokens = (*context, *continuation)
    for token in (min(tokens), max(tokens)):
        if not 0 <= token < config.vocab_size:
            raise InputError(
                f'request {number} has token {token}, allowed are 0..{config.vocab_size - 1}'
            )
    if len(continuation) > config.max_length:
        raise InputError(
            f'request {number} has a continuation of {len(continuation)} tokens; the longest row '
            f'of the model has {config.max_length}'
        )
    cut = max(len(tokens) - 1 - config.max_length, 0)
    return _Row(number, tokens[cut:-1], tuple(continuation), cut)


def _scored(
    config: models.Config, params: models.Params, rows: list[_Row], long: bool, at_once: int
) -> Iterator[tuple[int, Score]]:
    """The numbers and scores of rows, a batch after the other."""
    prefix = _common([row.stem for row in rows]) if len(rows) > 1 else ()
    prefix = prefix if len(prefix) >= _SHORTEST_PREFIX else ()
    begun: dict[int, models.Cache] = {}
    for most, groups in _batches(_groups(rows, len(prefix)), at_once, len(prefix)):
        room = min(most, config.max_length)
        if room not in begun:
            begun[room] = _begin(config, params, prefix, long, room)
        stems = [group.stem[len(prefix) :] for group in groups]
        empty = not any(stems)
        cache = None if empty and not prefix else begun[room]
        if cache is not None and not empty:
            cache = _extend(config, params, cache, *_padded(stems))
        tails = [
            _Tail(0 if empty else owner, row, row.tokens[len(group.stem) :])
            for owner, group in enumerate(groups)
            for row in group.rows
        ]
        yield from _finished(config, params, cache, tails, at_once, room)


def _finished(
    config: models.Config,
    params: models.Params,
    cache: models.Cache | None,
    tails: list[_Tail],
    at_once: int,
    room: int,
) -> Iterator[tuple[int, Score]]:
    """The numbers and scores of the rows of the tails, those of similar length together."""
    tails = sorted(tails, key=lambda tail: -len(tail.tokens))
    while tails:
        most = min(at_once // _width(len(tails[0].tokens)), _positions(at_once) // room)
        part, tails = tails[: max(most, 1)], tails[max(most, 1) :]
        tokens, lengths = _padded([tail.tokens for tail in part])
        owners = np.zeros(len(tokens), np.int32)
        owners[: len(part)] = [tail.owner for tail in part]
        targets = np.full(tokens.shape, _UNSCORED, np.int32)
        for line, tail in zip(targets, part, strict=False):
            end = len(tail.tokens)
            line[end - len(tail.row.targets) : end] = tail.row.targets
        found = _evaluate(config, params, cache, owners, tokens, lengths, targets)
        for tail, value, greedy in zip(part, *_on_host(found), strict=False):
            yield tail.row.number, Score(float(value), bool(greedy), tail.row.cut)


def _groups(rows: Sequence[_Row], shared: int) -> list[_Group]:
    """Neighbours that share most of what is before their answers, which they surely do by `shared`.

    The answers to a question have one context, or contexts that differ in a word near their end.
    """
    groups: list[_Group] = []
    for row in rows:
        if groups and len(groups[-1].rows) < _MOST_TAILS:
            stem = _common([groups[-1].stem, row.stem])
            longest = max(len(groups[-1].stem), len(row.stem))
            if len(stem) - shared > _SHARED * (longest - shared) or len(stem) == longest:
                groups[-1] = _Group(stem, [*groups[-1].rows, row])
                continue
        groups.append(_Group(row.stem, [row]))
    alone = [
        _Group(row.tokens[:shared], [row])
        for group in groups
        for row in group.rows
        if not _is_worth_sharing(group, shared)
    ]
    return [*alone, *(group for group in groups if _is_worth_sharing(group, shared))]


def _is_worth_sharing(group: _Group, shared: int) -> bool:
    """Whether what a pass of its own saves is more than what it costs to go on from a cache."""
    saved = (len(group.rows) - 1) * (len(group.stem) - shared)
    rest = sum(len(row.tokens) - len(group.stem) for row in group.rows)
    return saved > _COST_OF_A_CACHE * rest


def _batches(groups: list[_Group], at_once: int, shared: int) -> Iterator[tuple[int, list[_Group]]]:
    """Groups of similar length, with the room that their rows need in a cache."""
    groups = sorted(groups, key=lambda group: (len(group.stem) > shared, group.size))
    start = 0
    while start < len(groups):
        room, end = _power(groups[start].longest), start
        kind = len(groups[start].stem) > shared, room
        while end < len(groups) and (len(groups[end].stem) > shared, groups[end].size[0]) == kind:
            width, count = _width(len(groups[end].stem) - shared), end + 1 - start
            if count > 1 and (width * count > at_once or room * count > _positions(at_once)):
                break
            end += 1
        yield room, groups[start:end]
        start = end


def _positions(at_once: int) -> int:
    """Positions that the rows of a cache may have together."""
    return max(at_once, _POSITIONS_AT_ONCE)


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Int[np.ndarray, 'b t'], Int[np.ndarray, ' b']]:
    """Rows of any lengths as one array, padded to one of few shapes, and their lengths."""
    lengths = np.zeros(_power(len(rows)), np.int32)
    lengths[: len(rows)] = [len(row) for row in rows]
    tokens = np.zeros((len(lengths), _width(int(lengths.max()))), np.int32)
    for line, row in zip(tokens, rows, strict=False):
        line[: len(row)] = row
    return tokens, lengths


def _common(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The longest beginning that all rows have: that of the first and the last in order."""
    if not rows:
        return ()
    pairs = zip(min(rows), max(rows), strict=False)
    return tuple(token for token, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _power(size: int) -> int:
    """The least power of two that is not below `size`."""
    return 1 << max(size - 1, 0).bit_length()


def _width(length: int) -> int:
    """The least of 4, 6, 8, 12, 16, 24, 32, ... that is not below `length`."""
    power = max(_power(length), 4)
    return power if length > power * 3 // 4 or power == 4 else power * 3 // 4


def _on_host(arrays: Sequence[Array]) -> Sequence[np.ndarray]:
    return multihost_utils.process_allgather(arrays, tiled=True)


def _begin(
    config: models.Config, params: models.Params, prefix: tuple[int, ...], long: bool, room: int
) -> models.Cache:
    """A cache of one row that holds the prefix."""
    cache = models.init_cache(config, 1, room)._replace(long=jnp.array([long]))
    return _extend(config, params, cache, *_padded([prefix])) if prefix else cache


@functools.partial(jax.jit, static_argnames='config')
def _extend(
    config: models.Config,
    params: models.Params,
    cache: models.Cache,
    tokens: Int[Array, 'b t'],
    lengths: Int[Array, ' b'],
) -> models.Cache:
    """A cache with these tokens in its rows, or each after the one row that it has."""
    rows = _rows(cache, jnp.zeros(len(tokens), jnp.int32))
    return cast(models.Cache, models.hidden(config, params, tokens, lengths=lengths, cache=rows)[1])


@functools.partial(jax.jit, static_argnames='config')
def _evaluate(
    config: models.Config,
    params: models.Params,
    cache: models.Cache | None,
    owners: Int[Array, ' b'],
    tokens: Int[Array, 'b t'],
    lengths: Int[Array, ' b'],
    targets: Int[Array, 'b t'],
) -> tuple[Float[Array, ' b'], Bool[Array, ' b']]:
    """The log-likelihood of the targets of each row, and whether each of them is the likeliest.

    Args:
        cache: what the rows go on from; None where they begin here.
        owners: the row of the cache that each row goes on from.
        targets: what comes after each token, negative where it is not scored.
    """
    kept = None if cache is None else _rows(cache, owners)
    x, _ = models.hidden(config, params, tokens, lengths=lengths, cache=kept)
    at_once = min(_LOGITS_AT_ONCE, targets.size)

    def chosen(part: tuple[Array, Array]) -> tuple[Array, Array]:
        """The log-probability of one target after one position, and whether it is the likeliest."""
        [[logits]] = models.head(config, params, part[0][None, None])
        taken = logits[part[1]]
        return taken - jax.nn.logsumexp(logits), taken >= logits.max()

    flat = (x.reshape(-1, x.shape[-1]), targets.reshape(-1))
    values, likeliest = jax.lax.map(chosen, flat, batch_size=at_once)
    scored = targets != _UNSCORED
    sums = jnp.where(scored, values.reshape(targets.shape), 0).sum(axis=1)
    return sums, (likeliest.reshape(targets.shape) | ~scored).all(axis=1)


def _rows(cache: models.Cache, owners: Int[Array, ' b']) -> models.Cache:
    layers = jax.tree.map(lambda x: x[:, owners], cache.layers)
    return cache._replace(lengths=cache.lengths[owners], long=cache.long[owners], layers=layers)
