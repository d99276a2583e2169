"""The documents that are left, phase by phase; a later phase lies within the one before it."""

from __future__ import annotations

import itertools

from phijax.data import attributes, document
from phijax.data.filtering import verdicts
from phijax.data.stage import Account, Step, Task


def work(task: Task) -> Account:
    """Writes the documents of each phase of the shard: the only time that texts are copied."""
    left = list(verdicts.documents(task, task.index))
    if 'select' in task.step.inputs:
        path = task.input('select').part('phases', task.index)
        phases = attributes.read(path, 'phase')['phase']
    else:
        phases = {row: 1 for row, _ in left}
    count = len(task.settings['select']['amounts'])
    for number in range(1, count + 1):
        kept = [item for row, item in left if phases[row] >= number]
        document.write_part(kept, task.output(f'phase-{number}'))
    num_bytes = document.num_bytes(item for _, item in left)
    return Account(len(left), len(left), num_bytes=num_bytes)


def check_nested(step: Step, count: int) -> None:
    """Returns when each phase's documents are among those of the phase before.

    Raises:
        AssertionError: if one is not, which is a defect.
    """
    for index in range(step.num_shards):
        ids = [_ids(step, number, index) for number in range(1, count + 1)]
        for wide, narrow in itertools.pairwise(ids):
            if not narrow <= wide:
                raise AssertionError(
                    f'{step.directory}: shard {index} has a phase outside the last'
                )


def _ids(step: Step, number: int, index: int) -> set[str]:
    return set(attributes.read(step.part(f'phase-{number}', index), 'id')['id'])
