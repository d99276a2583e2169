"""The books of a run: what is spent, what is reserved, and whether the next request may be sent."""

from __future__ import annotations

from typing import NamedTuple

from phijax.data.client.request import Usage
from phijax.data.client.settings import PICO, Budget
from phijax.data.errors import BudgetError


class Spent(NamedTuple):
    """What was spent so far, over all runs with the same journal.

    Attributes:
        prompt_tokens, completion_tokens: as the endpoint reported them.
        unknown_tokens: reserved by requests of which nobody said what they cost: the connection or
            this process ended. They are charged in full.
        dollars: of all these.
        requests: that were sent.
        replays: answers of this process that came out of the journal.
    """

    prompt_tokens: int
    completion_tokens: int
    unknown_tokens: int
    dollars: float
    requests: int
    replays: int = 0

    @property
    def tokens(self) -> int:
        """All that is charged to the budget."""
        return self.prompt_tokens + self.completion_tokens + self.unknown_tokens


class Ledger:
    """Reserves the most that a request can cost before it is sent, and settles what it did cost.

    The sum of what is spent, unknown and reserved never exceeds the budget, as long as no answer
    costs more than was reserved for it. One that does teaches the ledger to reserve more.
    """

    def __init__(self, budget: Budget, used: Usage, unknown: Usage, requests: int) -> None:
        """Goes on from what the journal says."""
        self._budget = budget
        self._used = used
        self._unknown = unknown
        self._reserved = Usage(0, 0)
        self._margin = Usage(0, 0)
        self._bound, self._measured = 0, 0
        self.requests = requests

    def reservation(self, prompt: int, completion: int) -> Usage:
        """What to reserve for a request that should cost no more than this."""
        return _plus(Usage(prompt, completion), self._margin)

    def admits(self, reservation: Usage) -> bool:
        """Whether the budget has room for a request."""
        tokens, cost = self._charged(_plus(self._reserved, reservation))
        return tokens <= self._budget.max_tokens and cost <= self._budget.max_cost

    def reserve(self, reservation: Usage) -> None:
        """Takes the room of a request that is about to be sent."""
        self._reserved = _plus(self._reserved, reservation)
        self.requests += 1

    def settle(self, reservation: Usage, usage: Usage | None) -> None:
        """Enters what a request cost; None is charged as reserved, and shown as unknown."""
        self._reserved = _minus(self._reserved, reservation)
        if usage is None:
            self._unknown = _plus(self._unknown, reservation)
            return
        self._used = _plus(self._used, usage)
        if any(usage):
            self._bound += sum(reservation)
            self._measured += sum(usage)
        excess = _minus(usage, reservation)
        self._margin = _plus(self._margin, Usage(*(max(0, tokens) for tokens in excess)))

    def expected(self, reservation: Usage) -> int:
        """How many tokens a request will cost, by those before it: for rates, not for the budget.

        The bound on a prompt is several times what it has; the budget's own bound stays as it is,
        because what is reserved too much is given back, and what is reserved too little is not.
        """
        share = self._measured / self._bound if self._bound else 1.0
        return round(sum(reservation) * share)

    def spent(self, replays: int = 0) -> Spent:
        """What is charged so far; what is reserved is not yet."""
        cost = self._charged(Usage(0, 0))[1]
        used, unknown = self._used, sum(self._unknown)
        return Spent(used.prompt, used.completion, unknown, cost / PICO, self.requests, replays)

    def refusal(self, reservation: Usage) -> BudgetError:
        """The error that says that the budget has no room for a request."""
        spent, budget = self.spent(), self._budget
        next_cost = budget.cost(*reservation) / PICO
        return BudgetError(
            f'The budget is {budget.max_tokens:,} tokens and ${budget.max_dollars:,.2f}; spent are '
            f'{spent.tokens:,} tokens (of these {spent.unknown_tokens:,} unknown) and '
            f'${spent.dollars:,.4f}, and the next request may cost {sum(reservation):,} tokens and '
            f'${next_cost:,.4f}. All answers are kept; with a larger max_tokens or max_dollars the '
            'same command goes on.'
        )

    def _charged(self, reserved: Usage) -> tuple[int, int]:
        """Tokens, and 10^-12 dollars, of all that is spent, unknown and reserved."""
        prompt, completion = _plus(_plus(self._used, self._unknown), reserved)
        return prompt + completion, self._budget.cost(prompt, completion)


def _plus(one: Usage, other: Usage) -> Usage:
    return Usage(one.prompt + other.prompt, one.completion + other.completion)


def _minus(one: Usage, other: Usage) -> Usage:
    return Usage(one.prompt - other.prompt, one.completion - other.completion)
