"""What a benchmark is made of: items whose answers are compared, or written."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from phijax.evaluate.tasks.execution import Execution, Oracle
from phijax.sandbox import Verdict


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """An item that asks which of some answers is right.

    Attributes:
        id: names the item in its benchmark, for good.
        contexts: the text before what is scored: one for all answers, or one for each.
        continuations: the text that is scored: one for each answer, or one for all.
        answers: as a person says them; their lengths normalise, and a chat model is scored on them.
        message: the question as it is put to a chat model.
        gold: place of the right answer.
        group: the part of the benchmark that the item is of, such as a subject.
    """

    id: str
    contexts: tuple[str, ...]
    continuations: tuple[str, ...]
    answers: tuple[str, ...]
    message: str
    gold: int
    group: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """An item whose answer is written.

    Attributes:
        id: names the item in its benchmark, for good.
        context: the text that a base model goes on from.
        message: the same as it is put to a chat model.
        reference: what the answer is graded by; values of JSON.
        group: the part of the benchmark that the item is of.
    """

    id: str
    context: str
    message: str
    reference: dict[str, Any]
    group: str = ''


class Grade(NamedTuple):
    """What came of one written answer.

    Attributes:
        correct: whether it is right.
        found: what was taken out of the answer: a number, a program; None where there was nothing
            to take, which counts as an extraction failure.
        reason: a word on what went wrong or right: `passed`, `wrong`, `no answer`, or a verdict of
            the sandbox.
        values: further measures of this answer, such as `f1`.
    """

    correct: bool
    found: str | None
    reason: str
    values: dict[str, float] = {}  # noqa: RUF012


@dataclasses.dataclass(frozen=True, kw_only=True)
class Writing:
    """How the answers to problems are written and graded: by their words, or by running them.

    Attributes:
        stops: an answer ends before any of these, where the model goes on from a context.
        max_new_tokens: most tokens of an answer.
        mark: the grade of an answer's words.
        program: the program in an answer, None where there is none, and what decides on it. Its
            last argument is whether the answer is that of a chat model to a message, not a way to
            go on from a context.
    """

    stops: tuple[str, ...]
    max_new_tokens: int
    mark: Callable[[Problem, str], Grade] | None = None
    program: Callable[[Problem, str, bool], tuple[str | None, Oracle]] | None = None

    @property
    def runs_code(self) -> bool:
        """Whether grading runs what the model wrote, in the sandbox."""
        return self.program is not None

    def grade(
        self, problems: Sequence[Problem], texts: Sequence[str], execution: Execution, chat: bool
    ) -> list[Grade]:
        """The grades of answers to problems, in their order.

        Raises:
            SandboxError: this machine cannot contain programs, or the sandbox failed.
        """
        pairs = list(zip(problems, texts, strict=True))
        if self.program is None:
            assert self.mark is not None
            return [self.mark(*pair) for pair in pairs]
        return _run([self.program(*pair, chat) for pair in pairs], execution)


def _run(written: Sequence[tuple[str | None, Oracle]], execution: Execution) -> list[Grade]:
    """The grades of programs, those that there are."""
    verdicts = iter(execution.judge([(code, oracle) for code, oracle in written if code]))
    return [
        Grade(False, None, 'no answer') if not code else _judged(code, next(verdicts))
        for code, _ in written
    ]


def _judged(code: str, verdict: Verdict) -> Grade:
    return Grade(verdict.passed, code, verdict.reason)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A benchmark.

    Attributes:
        name: as commands and configs call it.
        title: as tables call it.
        items: the items, with so many solved ones in front of each.
        metrics: what is measured, the one that tables show first: of a `Choice` `accuracy`,
            `accuracy_per_character`, `accuracy_per_byte`; of a `Problem` `accuracy`, and `f1`.
        chance: what guessing scores.
        most_shots: how many solved items there are.
        shots: how many are shown where the config does not say.
        writing: for problems, None for choices.
        harness: the task of lm-evaluation-harness that asks the same in the same words, if any.
        source: where the items and the words of the prompt come from.
    """

    name: str
    title: str
    items: Callable[[int], list[Choice] | list[Problem]]
    metrics: tuple[str, ...]
    chance: float
    most_shots: int
    source: str
    shots: int = 0
    writing: Writing | None = None
    harness: str = ''
