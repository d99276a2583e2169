"""Published test sets as texts in their published order, each item with its twin if it has one."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from phijax.evaluate import statistics, tasks
from phijax.evaluate.overfitting.twins import arithmetic, code
from phijax.evaluate.tasks import Problem, reading


@dataclasses.dataclass(frozen=True)
class Pair:
    """An item and its twin.

    Attributes:
        id: names the item, as in the results of an evaluation.
        text: the item with its solution, as published.
        twin: the same of the twin; None where the item admits none.
        problems: the two as a model is asked them; None where there is no twin.
        measures: of the item and of the twin, by name: values that should be alike.
    """

    id: str
    text: str
    twin: str | None
    problems: tuple[Problem, Problem] | None
    measures: Mapping[str, tuple[Sequence[float], Sequence[float]]]


def gsm8k(seed: int) -> list[Pair]:
    """The 1,319 test problems, with renumbered twins.

    Raises:
        AssetError: they cannot be had.
    """
    pairs = []
    documents = reading.documents('gsm8k/gold_bpb_5shot')
    asked = _problems('gsm8k')
    for number, (document, problem) in enumerate(zip(documents, asked, strict=True)):
        item = arithmetic.Item(document['question'], document['answer'])
        other = arithmetic.twin(item, seed)
        texts = [f'{each.question}\n{each.answer}' if each else None for each in (item, other)]
        measures = {} if other is None else arithmetic.measures(item, other)
        problems = None if other is None else (problem, _renumbered(problem, item, other))
        pairs.append(Pair(str(number), str(texts[0]), texts[1], problems, measures))
    return pairs


def humaneval(seed: int) -> list[Pair]:  # noqa: ARG001 - as the others
    """The 164 problems, with twins of other names and examples; the seed changes nothing.

    Raises:
        AssetError: they cannot be had.
    """
    pairs = []
    rows = reading.jsonl('humaneval', 'HumanEval.jsonl.gz')
    for row, asked in zip(rows, _problems('humaneval'), strict=True):
        fields = ('prompt', 'canonical_solution', 'test', 'entry_point')
        problem = code.Problem(*(row[field] for field in fields))
        other = code.twin(problem)
        text = problem.prompt + problem.solution
        twin = other.prompt + other.solution if other else None
        measures = {'characters': ([len(text)], [len(twin)])} if twin else {}
        problems = None if other is None else (asked, _renamed(asked, other))
        pairs.append(Pair(row['task_id'], text, twin, problems, measures))
    return pairs


def _problems(name: str) -> list[Problem]:
    """The problems of a task, as a model is asked them."""
    task = tasks.task(name)
    return [item for item in task.items(task.shots) if isinstance(item, Problem)]


def _renumbered(problem: Problem, item: arithmetic.Item, other: arithmetic.Item) -> Problem:
    """The problem with the twin's question at its end, after the same solved ones."""
    before = problem.context.removesuffix(f'Q: {item.question}\nA:')
    return dataclasses.replace(
        problem,
        id=f'{problem.id}, twin',
        context=f'{before}Q: {other.question}\nA:',
        reference={'answer': str(other.result)},
    )


def _renamed(problem: Problem, other: code.Problem) -> Problem:
    """The problem with the twin's words and tests."""
    reference = {'prompt': other.prompt, 'entry_point': other.name, 'test': other.test}
    return dataclasses.replace(
        problem, id=f'{problem.id}, twin', context=other.prompt, reference=reference
    )


SETS: Mapping[str, Callable[[int], list[Pair]]] = {'gsm8k': gsm8k, 'humaneval': humaneval}


def matching(pairs: Sequence[Pair]) -> dict[str, float]:
    """The share of items with a twin, and how far the twins' measures are from the items' (KS)."""
    twins = [pair for pair in pairs if pair.twin is not None]
    found = {'share with a twin': len(twins) / len(pairs)}
    for name in twins[0].measures if twins else ():
        sides = [[v for pair in twins for v in pair.measures[name][side]] for side in (0, 1)]
        found[f'{name}, KS distance'] = statistics.kolmogorov_smirnov(*sides)
    return found
