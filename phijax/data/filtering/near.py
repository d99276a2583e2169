"""Near-duplicates among what was selected: a sketch of each shard, then one join of all."""

from __future__ import annotations

import numpy as np

from phijax.data import attributes
from phijax.data.filtering import deduplicate, verdicts
from phijax.data.filtering.deduplicate import Plan
from phijax.data.stage import Account, Task

SUFFIX = '.sketch'


def sketch(task: Task) -> Account:
    """Writes the sketch of the shard's documents that are alive."""
    plan = Plan(**task.settings['deduplicate'])
    items = [item for _, item in verdicts.documents(task, task.index)]
    made = deduplicate.sketch([item.text for item in items], plan)
    ids = [item.id for item in items]
    deduplicate.write_sketch(task.output('sketch', suffix=SUFFIX), ids, made, plan)
    return Account(len(items), len(items), num_bytes=int(made.lengths.sum()))


def join(task: Task) -> Account:
    """Writes the verdicts, and the cluster of each document: of each, the best by score stays."""
    plan = Plan(**task.settings['deduplicate'])
    sketches = task.input('sketch')
    count = sketches.num_shards
    paths = [sketches.part('sketch', index, SUFFIX) for index in range(count)]
    scores = np.concatenate([_scores(task, index) for index in range(count)])
    found = deduplicate.join(paths, plan, scores)
    accounts = []
    for index in range(count):
        columns = found.shard(index)
        attributes.write(task.output('clusters', index), columns)
        was_alive = verdicts.alive(task.step.inputs, index)
        reasons = np.full(len(was_alive), '', object)
        reasons[was_alive] = np.where(columns['keep'], '', 'near_duplicate')
        verdicts.write(task.output(verdicts.KIND, index), reasons)
        num_bytes = attributes.read(task.input('ingest').part('facts', index), 'num_bytes')
        accounts.append(verdicts.account(reasons, was_alive, num_bytes['num_bytes']))
    return verdicts.sum_of(accounts, found.report)


def _scores(task: Task, index: int) -> np.ndarray:
    """The scores of the documents alive; those of the shard's that were scored are more.

    Where nothing was scored all are alike.
    """
    alive = verdicts.alive(task.step.inputs, index)
    if 'score' not in task.step.inputs:
        return np.zeros(int(alive.sum()), np.float32)
    scored = verdicts.read(task.input('exact'), index)
    scores = attributes.read(task.input('score').part('scores', index), 'score')['score']
    return scores[alive[scored]]
