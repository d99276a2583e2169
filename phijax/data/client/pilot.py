"""What a whole run will take, estimated from a few of its requests."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable
from typing import NamedTuple

from phijax.data.client.client import Client
from phijax.data.client.request import Answer, Request
from phijax.data.client.settings import PICO
from phijax.data.settings import check

# Of a normal distribution, for 95 %: how far from the mean.
_Z = 1.96


class Interval(NamedTuple):
    """A figure, and where it lies in 95 of 100 cases."""

    expected: float
    low: float
    high: float


class Estimate(NamedTuple):
    """What a run will take.

    Attributes:
        requests: of the whole run; `asked` of the sample.
        bad: the share of the sample that is no use.
        hours: at the endpoint's limits, and at the pace at which the sample was answered: what is
            slower. The sample is small, so a busy server may take longer.
    """

    requests: int
    asked: int
    bad: float
    prompt_tokens: Interval
    completion_tokens: Interval
    dollars: Interval
    hours: Interval


def pilot(client: Client, requests: Iterable[Request], total: int, sample: int = 50) -> Estimate:
    """The tokens, dollars and hours of `total` requests, by sending the first `sample` of them.

    Their answers are in the journal and are not paid for again.

    Raises:
        InputError: if there are fewer than two requests, or an error as `Client.complete` has.
    """
    answers = list(client.complete(itertools.islice(requests, sample)))
    check(len(answers) >= 2, 'requests', len(answers), 'two or more, to see how they differ')
    known = [answer for answer in answers if answer.usage is not None]
    check(len(known) >= 2, 'answers with usage', len(known), 'two or more')
    prompts = [answer.usage.prompt for answer in known if answer.usage]
    completions = [answer.usage.completion for answer in known if answer.usage]
    pairs = zip(prompts, completions, strict=True)
    costs = [client.budget.cost(*pair) / PICO for pair in pairs]
    bad = sum(answer.status != 'ok' for answer in answers) / len(answers)
    return Estimate(
        requests=total,
        asked=len(answers),
        bad=bad,
        prompt_tokens=_whole(prompts, total),
        completion_tokens=_whole(completions, total),
        dollars=_whole(costs, total),
        hours=_hours(client, known, total),
    )


def _hours(client: Client, answers: list[Answer], total: int) -> Interval:
    endpoint = client.endpoint
    tokens = _whole([sum(answer.usage or ()) for answer in answers], total)
    seconds = _whole([answer.seconds / endpoint.max_concurrency for answer in answers], total)
    limits = (
        (total, endpoint.requests_per_minute),
        (tokens.expected, endpoint.tokens_per_minute),
    )
    least = max((amount / limit / 60 for amount, limit in limits if limit), default=0.0)
    return Interval(*(max(second / 3600, least) for second in seconds))


def _whole(values: list[float] | list[int], total: int) -> Interval:
    """The sum over all, by the mean of a sample."""
    mean = statistics.fmean(values)
    error = _Z * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean * total, max(0.0, mean - error) * total, (mean + error) * total)
