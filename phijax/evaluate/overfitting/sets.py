"""Published test sets as texts in their published order, each item with its twin if it has one."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from phijax.evaluate import statistics
from phijax.evaluate.overfitting.twins import arithmetic, code
from phijax.evaluate.tasks import reading


@dataclasses.dataclass(frozen=True)
class Pair:
    """An item and its twin.

    Attributes:
        id: names the item, as in the results of an evaluation.
        text: the item with its solution, as published.
        twin: the same of the twin; None where the item admits none.
        measures: of the item and of the twin, by name: values that should be alike.
    """

    id: str
    text: str
    twin: str | None
    measures: Mapping[str, tuple[Sequence[float], Sequence[float]]]


def gsm8k(seed: int) -> list[Pair]:
    """The 1,319 test problems, with renumbered twins.

    Raises:
        AssetError: they cannot be had.
    """
    pairs = []
    for number, document in enumerate(reading.documents('gsm8k/gold_bpb_5shot')):
        item = arithmetic.Item(document['question'], document['answer'])
        other = arithmetic.twin(item, seed)
        texts = [f'{each.question}\n{each.answer}' if each else None for each in (item, other)]
        measures = {} if other is None else arithmetic.measures(item, other)
        pairs.append(Pair(str(number), str(texts[0]), texts[1], measures))
    return pairs


def humaneval(seed: int) -> list[Pair]:
    """The 164 problems, with twins of other names and examples; the seed changes nothing.

    Raises:
        AssetError: they cannot be had.
    """
    pairs = []
    for row in reading.jsonl('humaneval', 'HumanEval.jsonl.gz'):
        fields = ('prompt', 'canonical_solution', 'test', 'entry_point')
        problem = code.Problem(*(row[field] for field in fields))
        other = code.twin(problem)
        text = problem.prompt + problem.solution
        twin = other and other.prompt + other.solution
        measures = {'characters': ([len(text)], [len(twin)])} if twin else {}
        pairs.append(Pair(row['task_id'], text, twin, measures))
    return pairs


SETS: Mapping[str, Callable[[int], list[Pair]]] = {'gsm8k': gsm8k, 'humaneval': humaneval}


def matching(pairs: Sequence[Pair]) -> dict[str, float]:
    """The share of items with a twin, and how far the twins' measures are from the items' (KS)."""
    twins = [pair for pair in pairs if pair.twin is not None]
    found = {'share with a twin': len(twins) / len(pairs)}
    for name in twins[0].measures if twins else ():
        sides = [[v for pair in twins for v in pair.measures[name][side]] for side in (0, 1)]
        found[f'{name}, KS distance'] = statistics.kolmogorov_smirnov(*sides)
    return found
