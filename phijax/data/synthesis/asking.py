"""Asking: prompts by their index, answers checked, each that is no use asked for once more.

The samples are asked for window by window. What is no use in one is asked for again together with
the next, so a window is complete, and judged, when the next one is; what it breaches counts from
the one after that.
"""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from phijax.data import document
from phijax.data.client import Answer, Request
from phijax.data.errors import QualityError, UnavailableError
from phijax.data.settings import check
from phijax.data.synthesis import diversity
from phijax.data.synthesis.diversity import Breach, Written
from phijax.data.synthesis.factors import Retired, Sampler

Ask = Callable[[Iterable[Request]], Iterator[Answer]]

# Texts of a window that are rejected for this alone still tell how much is copied.
COPIED = 'copied'
DUPLICATE = 'duplicate'
# What the client found out, and what the model is told when it is asked again.
_STATUSES = {
    'truncated': 'it had not come to its end when its limit was reached; write a shorter one',
    'refused': 'it was a refusal',
    'invalid': 'it did not have the form that was asked for',
}


class Problem(NamedTuple):
    """Why an answer is no use: a key of the counts, and words for the model."""

    reason: str
    words: str


@dataclass(frozen=True)
class Prompt:
    """What is asked for an index, and all that it was made of.

    Attributes:
        index: of the sample.
        factors: the level of each factor by name.
        template: the name of the template; `digest` is its hash.
        topic: what the prompt says the text is about; '' where it does not.
        extract: what the prompt shows of another document, whose id is in `seeds`.
        words: how long the text should be; 0 where nothing is said.
        schema: of an answer in JSON.
    """

    index: int
    factors: Mapping[str, str]
    template: str
    digest: str
    messages: tuple[Mapping[str, str], ...]
    max_tokens: int
    topic: str = ''
    extract: str = ''
    seeds: tuple[str, ...] = ()
    words: int = 0
    schema: Mapping[str, Any] | None = None


class Kind(Protocol):
    """A kind of text that a teacher writes."""

    @property
    def sampler(self) -> Sampler:
        """The combination of each index."""

    def prompt(self, index: int, factors: Mapping[str, str]) -> Prompt:
        """What is asked for an index."""

    def text(self, prompt: Prompt, answer: Answer, /) -> str:
        """The text of the document that an answer makes."""

    def check(self, prompt: Prompt, text: str) -> Problem | None:
        """What is wrong with a text, if anything is."""

    def said(self, text: str) -> str:
        """What of a text is language, and is compared with others."""


@dataclass(frozen=True)
class Teacher:
    """How the model is asked; all that its answers depend on.

    Attributes:
        model: as the endpoint calls it.
        temperature: differences are to come from the prompts: our choice is the plain one.
        seed: sent with a request, plus the index of its sample.
        max_rejected: the share of all samples so far that may be no use before the run stops.
    """

    model: str = ''
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    max_rejected: float = 0.5

    def __post_init__(self) -> None:
        """Checks the values; raises InputError at the first that cannot be used."""
        check(0 <= self.max_rejected <= 1, 'teacher.max_rejected', self.max_rejected, '[0, 1]')

    def request(self, prompt: Prompt, problem: Problem | None = None) -> Request:
        """The request of a prompt; with a problem, the one that follows an answer that had it.

        The answer is not shown again: a model that sees a bad text tends to go on with it.
        """
        *before, last = prompt.messages
        content = last['content']
        if problem:
            content += (
                f'\n\nAn earlier answer to this could not be used: {problem.words}. Answer anew.'
            )
        return Request(
            (*before, {'role': last['role'], 'content': content}),
            prompt.max_tokens,
            self.temperature,
            self.top_p,
            self.seed + prompt.index,
            prompt.schema,
            sample_index=prompt.index,
        )


@dataclass
class Result:
    """What became of a sample.

    Attributes:
        answer: the last one.
        text: the document, also where it is rejected.
        reason: why it is rejected; '' if it is kept.
        asked: how often.
        tokens: of all prompts and answers, as reported.
    """

    prompt: Prompt
    answer: Answer
    text: str = ''
    problem: Problem | None = None
    asked: int = 0
    tokens: tuple[int, int] = (0, 0)

    @property
    def reason(self) -> str:
        """Why it is rejected; '' if it is kept."""
        return self.problem.reason if self.problem else ''

    def receive(self, kind: Kind, answer: Answer) -> None:
        """Takes an answer and checks it."""
        self.answer, self.asked = answer, self.asked + 1
        usage = answer.usage or (0, 0)
        self.tokens = (self.tokens[0] + usage[0], self.tokens[1] + usage[1])
        self.text = kind.text(self.prompt, answer) if answer.status == 'ok' else answer.text
        self.problem = _problem_of(answer) or kind.check(self.prompt, self.text)


class Window(NamedTuple):
    """A window whose samples have all become something.

    Attributes:
        retired: how many combinations it did not ask for.
        values: of the measures of diversity, by name.
    """

    number: int
    results: Sequence[Result]
    retired: int
    values: Mapping[str, float]
    breaches: Sequence[Breach]


@dataclass
class Run:
    """The windows of a kind, one after the other, until there are `samples`.

    Raises, while it is iterated:
        QualityError: too much is no use, or all combinations are retired.
        UnavailableError: some requests failed for now; the same run goes on where it was.
        InputError: as the client does.
    """

    kind: Kind
    teacher: Teacher
    limits: diversity.Settings
    samples: int
    ask: Ask
    _ids: set[str] = field(default_factory=set)
    _reasons: collections.Counter[str] = field(default_factory=collections.Counter)

    def __iter__(self) -> Iterator[Window]:
        """The windows in their order."""
        retired = Retired(self.limits.window)
        last: list[Result] = []
        left = self.samples
        for number in itertools.count():
            chosen = itertools.islice(retired.indices(self.kind.sampler, number), left)
            prompts = [self.kind.prompt(index, factors) for index, factors in chosen]
            left -= len(prompts)
            results = self._wave(last, prompts)
            if number:
                window = self._finish(number - 1, last, retired)
                retired = retired.after(number - 1, [each.cell for each in window.breaches])
                yield window
            if not (results or left):
                return
            self._check_left(retired, number, results)
            last = results

    def _wave(self, last: Sequence[Result], prompts: Sequence[Prompt]) -> list[Result]:
        """Asks again for what was no use, and for the first time for what is new."""
        again = [each for each in last if each.problem and _may_repeat(each.answer)]
        requests = [self.teacher.request(each.prompt, each.problem) for each in again]
        requests += [self.teacher.request(prompt) for prompt in prompts]
        answers = iter(self._answers(requests))
        for each in again:
            each.receive(self.kind, next(answers))
        new = [Result(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        for each in new:
            each.receive(self.kind, each.answer)
        return new

    def _answers(self, requests: Sequence[Request]) -> list[Answer]:
        """All answers; those that failed for now are not in the journal, so nothing is final."""
        answers = list(self.ask(requests))
        failed = [answer for answer in answers if answer.status == 'failed_transient']
        if failed:
            raise UnavailableError(
                f'{len(failed)} of {len(answers)} requests failed for now, the first with '
                f'{failed[0].reason[:200]!r}. All answers are kept; the same command goes on.'
            )
        return answers

    def _finish(self, number: int, results: Sequence[Result], retired: Retired) -> Window:
        """The window, after texts that were there already are rejected and it was judged."""
        for each in results:
            if not each.problem:
                name = document.identify(each.text)
                if name in self._ids:
                    each.problem = Problem(DUPLICATE, '')
                self._ids.add(name)
        self._check_share(results)
        written = [
            Written(self.kind.said(each.text), each.prompt.extract, each.prompt.factors)
            for each in results
            if each.reason in ('', COPIED)
        ]
        values, breaches = diversity.judge(written, self.limits)
        return Window(number, results, len(retired.cells(number)), values, breaches)

    def _check_share(self, results: Sequence[Result]) -> None:
        self._reasons.update(each.reason for each in results)
        bad = self._reasons.total() - self._reasons['']
        if bad > self.teacher.max_rejected * self._reasons.total():
            found = {reason: count for reason, count in self._reasons.items() if reason}
            raise QualityError(
                f'{bad} of {self._reasons.total()} texts cannot be used ({found}), more than the '
                f'{self.teacher.max_rejected:.0%} that teacher.max_rejected allows.'
            )

    def _check_left(self, retired: Retired, number: int, results: Sequence[Result]) -> None:
        """Returns when there is something left to ask for."""
        sampler, factors = self.kind.sampler, self.limits.factors
        whole = math.prod(len(sampler.levels.get(name, '1')) for name in factors)
        over = (number + 1) * self.limits.window >= sampler.size
        if not results and (over or len(retired.cells(number)) >= whole):
            raise QualityError(
                f'Window {number} has nothing to ask for: of {whole} combinations of '
                f'{" and ".join(factors)}, {len(retired.cells(number))} are retired, and of '
                f'{sampler.size:,} samples all others were asked for. Add levels or topics, or '
                'ask for fewer samples.'
            )


def _problem_of(answer: Answer) -> Problem | None:
    """What the client says is wrong with an answer."""
    if answer.status == 'ok':
        return None
    words = _STATUSES.get(answer.status, answer.reason)
    reason = 'malformed' if answer.status == 'invalid' else answer.status
    return Problem(reason, words)


def _may_repeat(answer: Answer) -> bool:
    return answer.status != 'failed_permanent'
