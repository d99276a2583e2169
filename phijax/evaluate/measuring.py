"""What a model answers to the items of a task: one record for each item, ready for JSON."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from phijax import models
from phijax.data import chat
from phijax.evaluate import encoding, likelihood
from phijax.evaluate.tasks import Choice, Execution, Grade, Problem, Task
from phijax.generate import completion

if TYPE_CHECKING:
    from phijax.data.tokenizer import Tokenizer

Record = dict[str, Any]
T = TypeVar('T')


class Model(NamedTuple):
    """What is evaluated."""

    config: models.Config
    params: models.Params
    tokenizer: Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a model is asked.

    Attributes:
        style: one of `encoding.STYLES`.
        num_samples: answers written for each problem.
        temperature: 0 takes the likeliest token; several samples need more.
        top_p: draw from the fewest tokens that reach this sum.
        max_new_tokens: most tokens of an answer; 0 is what the task says.
        seed: number of the random draw.
        rows_at_once: answers written at once.
        tokens_at_once: tokens scored at once; 0 is the device's measure.
        execution: how programs that the model writes are run.
    """

    style: str = encoding.COMPLETION
    num_samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 0
    seed: int = 0
    rows_at_once: int = 16
    tokens_at_once: int = 0
    execution: Execution = dataclasses.field(default_factory=Execution)


def first(items: Sequence[Choice] | Sequence[Problem], limit: int) -> list[Choice | Problem]:
    """The first so many items, those of each group in turn; all where the limit is 0."""
    seen: collections.Counter[str] = collections.Counter()
    turns = []
    for item in items:
        turns.append(seen[item.group])
        seen[item.group] += 1
    order = sorted(range(len(items)), key=turns.__getitem__)
    return [items[place] for place in sorted(order[: limit or None])]


def measure(
    model: Model, task: Task, items: Sequence[Choice | Problem], settings: Settings
) -> Iterator[Record]:
    """The record of each item, in any order, as soon as there is one.

    It has the item's `id` and `group`; `values`, for each metric of the task what this item adds to
    it; `correct`, whether the first metric counts it; `cut`, the tokens of the prompt that did not
    fit into the model; and what the model said.
    """
    if task.writing is None:
        return _choose(model, task, [x for x in items if isinstance(x, Choice)], settings)
    return _write(model, task, [x for x in items if isinstance(x, Problem)], settings)


def _choose(
    model: Model, task: Task, items: Sequence[Choice], settings: Settings
) -> Iterator[Record]:
    # Items of one group share the words that introduce it, and with them a pass of the model.
    for group in dict.fromkeys(item.group for item in items):
        own = [item for item in items if item.group == group]
        for item, scores in _scored(model, own, settings):
            yield _chosen(task, item, scores)


def _scored(
    model: Model, items: Sequence[Choice], settings: Settings
) -> Iterator[tuple[Choice, list[likelihood.Score]]]:
    """Each item with the scores of its answers, as soon as it has all."""
    asked = encoding.requests(items, settings.style, model.tokenizer)
    flat = list(itertools.chain.from_iterable(asked))
    ends = list(itertools.accumulate(map(len, asked)))
    scores: dict[int, likelihood.Score] = {}
    for number, score in likelihood.score_each(
        model.config, model.params, flat, tokens_at_once=settings.tokens_at_once
    ):
        scores[number] = score
        place = bisect.bisect(ends, number)
        own = range(ends[place] - len(asked[place]), ends[place])
        if all(i in scores for i in own):
            yield items[place], [scores[i] for i in own]


def _chosen(task: Task, item: Choice, scores: Sequence[likelihood.Score]) -> Record:
    """The record of an item whose answers are scored; the first of equal answers is chosen.

    Source: lm-evaluation-harness 0.4.13, `acc`, `acc_norm` and `acc_bytes` of multiple choice.
    """
    nats = [score.log_likelihood for score in scores]
    characters = [len(answer) for answer in item.answers]
    num_bytes = [len(answer.encode()) for answer in item.answers]
    choices = {
        'accuracy': _best(nats, [1] * len(nats)),
        'accuracy_per_character': _best(nats, characters),
        'accuracy_per_byte': _best(nats, num_bytes),
    }
    return {
        'id': item.id,
        'group': item.group,
        'correct': choices[task.metrics[0]] == item.gold,
        'values': {metric: float(choices[metric] == item.gold) for metric in task.metrics},
        'cut': max(score.cut for score in scores),
        'gold': item.gold,
        'chosen': choices[task.metrics[0]],
        'log_likelihoods': nats,
        'greedy': [score.greedy for score in scores],
        'characters': characters,
    }


def _best(nats: Sequence[float], lengths: Sequence[int]) -> int:
    values = [value / length for value, length in zip(nats, lengths, strict=True)]
    return values.index(max(values))


def _write(
    model: Model, task: Task, problems: Sequence[Problem], settings: Settings
) -> Iterator[Record]:
    at_once = max(settings.rows_at_once // settings.num_samples, 1)
    for start in range(0, len(problems), at_once):
        part = problems[start : start + at_once]
        yield from _written(model, task, part, settings)


def _written(
    model: Model, task: Task, problems: Sequence[Problem], settings: Settings
) -> Iterator[Record]:
    """The records of problems whose answers are written and graded together."""
    assert task.writing is not None
    config, params, tokenizer = model
    most = min(settings.max_new_tokens or task.writing.max_new_tokens, config.max_length // 2)
    asked, cuts = _fitting(model, problems, settings.style, most)
    count = settings.num_samples
    stops, ends = _endings(task, settings.style, tokenizer)
    texts, whole = completion.go_on(
        config,
        params,
        tokenizer,
        _each(asked, count),
        stop=stops,
        ends=ends,
        streams=[_stream(problem, number) for problem in problems for number in range(count)],
        max_new_tokens=most,
        temperature=settings.temperature,
        top_p=settings.top_p,
        seed=settings.seed,
        rows_at_once=settings.rows_at_once,
    )
    grades = task.writing.grade(
        _each(problems, count),
        texts,
        settings.execution,
        settings.style != encoding.COMPLETION,
    )
    for place, problem in enumerate(problems):
        own = slice(place * count, (place + 1) * count)
        record = _record(task, problem, texts[own], grades[own])
        yield record | {'cut': cuts[place], 'unfinished': whole[own].count(False)}


def _fitting(
    model: Model, problems: Sequence[Problem], style: str, most: int
) -> tuple[list[list[int]], list[int]]:
    """Prompts that leave room for so many tokens, and how many each has lost from its start."""
    encoded = encoding.prompts(problems, style, model.tokenizer)
    cuts = [max(len(ids) + most - model.config.max_length, 0) for ids in encoded]
    end = [model.tokenizer.end_of_text]
    return [(ids or end)[cut:] for ids, cut in zip(encoded, cuts, strict=True)], cuts


def _each(values: Sequence[T], count: int) -> list[T]:
    """Each of the values so many times."""
    return [value for value in values for _ in range(count)]


def _record(task: Task, problem: Problem, texts: Sequence[str], grades: Sequence[Grade]) -> Record:
    answers = [
        {'text': text, 'found': grade.found, 'correct': grade.correct, 'reason': grade.reason}
        for text, grade in zip(texts, grades, strict=True)
    ]
    values = {'accuracy': _mean([grade.correct for grade in grades])}
    for metric in grades[0].values:
        values[metric] = _mean([grade.values[metric] for grade in grades])
    return {
        'id': problem.id,
        'group': problem.group,
        'correct': grades[0].correct,
        'values': {metric: values[metric] for metric in task.metrics},
        'answers': answers,
    }


def _endings(task: Task, style: str, tokenizer: Tokenizer) -> tuple[tuple[str, ...], Sequence[int]]:
    """The texts and the tokens that an answer ends before."""
    if style == encoding.COMPLETION:
        return task.writing.stops if task.writing else (), tokenizer.ends
    ends = dict.fromkeys((*chat.ends(style, tokenizer), *tokenizer.ends))
    return chat.stop_strings(style), tuple(ends)


def _stream(problem: Problem, number: int) -> int:
    """The stream of random numbers of an answer, which depends on nothing but the two."""
    digest = hashlib.blake2b(f'{problem.id}/{number}'.encode(), digest_size=4).digest()
    return int.from_bytes(digest, 'little')


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
