"""Figures of a task out of the records of its items: scores, intervals, and what went wrong."""

import collections
import math
from collections.abc import Sequence
from typing import Any

from phijax.evaluate import statistics
from phijax.evaluate.measuring import Record
from phijax.evaluate.tasks import Task


def summarise(task: Task, records: Sequence[Record], ks: Sequence[int] = ()) -> dict[str, Any]:
    """What the records of a task come to, ready for JSON.

    Each metric has its `value`, the `stderr` of its mean and the 95 % interval from `low` to
    `high`: Wilson's for shares, that of the bootstrap for other means. `groups` are the subjects of
    a task that has some.

    Args:
        ks: the k of pass@k, for problems with several answers.
    """
    metrics = {metric: figure([r['values'][metric] for r in records]) for metric in task.metrics}
    summary = {
        'task': task.name,
        'title': task.title,
        'n': len(records),
        'primary': task.metrics[0],
        'chance': task.chance,
        'metrics': metrics,
        'prompts_cut': sum(record['cut'] > 0 for record in records),
    }
    if task.writing:
        summary |= _writing(records)
        metrics |= _passing(records, ks) if task.writing.runs_code else {}
    groups = _groups(task, records)
    return summary | ({'groups': groups} if len(groups) > 1 else {})


def figure(values: Sequence[float]) -> dict[str, float]:
    """The mean of values, its standard error, and its 95 % interval."""
    whole = all(value in (0, 1) for value in values)
    estimate = statistics.share(round(sum(values)), len(values)) if whole else None
    estimate = estimate or statistics.mean(values)
    spread = sum((value - estimate.value) ** 2 for value in values)
    stderr = math.sqrt(spread / max(len(values) - 1, 1) / len(values))
    return {
        'value': estimate.value,
        'stderr': stderr,
        'low': estimate.low,
        'high': estimate.high,
    }


def _writing(records: Sequence[Record]) -> dict[str, Any]:
    """What became of the written answers."""
    answers = [answer for record in records for answer in record['answers']]
    return {
        'answers': len(answers),
        'extraction_failures': sum(answer['found'] is None for answer in answers),
        'unfinished': sum(record['unfinished'] for record in records),
        'reasons': dict(collections.Counter(a['reason'] for a in answers).most_common()),
    }


def _passing(records: Sequence[Record], ks: Sequence[int]) -> dict[str, dict[str, float]]:
    """pass@k for each k."""
    correct = [[answer['correct'] for answer in record['answers']] for record in records]
    return {
        f'pass@{k}': figure([statistics.pass_at_k(len(own), sum(own), k) for own in correct])
        for k in ks
    }


def _groups(task: Task, records: Sequence[Record]) -> dict[str, dict[str, float]]:
    values = collections.defaultdict(list)
    for record in records:
        values[record['group']].append(record['values'][task.metrics[0]])
    return {
        group: {'n': len(own), 'value': sum(own) / len(own)}
        for group, own in sorted(values.items())
    }
