"""Stages whose work is small, for the tests of stages and engines; workers import them by name."""

import os
import time

import numpy as np

from phijax.data import attributes
from phijax.data.errors import QualityError
from phijax.data.stage import Account, Stage, Task


def count(task: Task) -> Account:
    """Writes the numbers of the shard; every third is dropped."""
    numbers = np.arange(task.index * 10, task.index * 10 + 10)
    attributes.write(task.output('numbers'), {'number': numbers})
    with (task.step.root / f'made-{task.step.name}-{task.index}').open('a') as file:
        file.write(f'{os.getpid()}\n')
    return Account(10, 7, {'third': 3}, 70)


def add(task: Task) -> Account:
    """Writes the sum of all numbers of the step before."""
    step = task.input('count')
    parts = [attributes.read(step.part('numbers', i), 'number') for i in range(step.num_shards)]
    whole = sum(int(part['number'].sum()) for part in parts)
    attributes.write(task.output('sum'), {'sum': np.array([whole])})
    return Account(1, 1, facts={'sum': whole})


def die(task: Task) -> Account:
    """Kills its process in the middle of writing the third shard, the first time."""
    before = task.step.root / 'died'
    attributes.write(task.output('numbers'), {'number': np.arange(task.index)})
    if task.index == 2 and not before.exists():
        before.touch()
        os.kill(os.getpid(), 9)
    return Account(1, 1)


def refuse(task: Task) -> Account:
    """Refuses every shard but the first."""
    if task.index:
        raise QualityError(f'shard {task.index} is bad')
    return count(task)


def linger(task: Task) -> Account:
    """Takes a while."""
    time.sleep(0.3)
    return count(task)


COUNT = Stage('count', count, groups=('count',))
ADD = Stage('add', add, ('count',), is_single=True)
DIE = Stage('die', die)
REFUSE = Stage('refuse', refuse)
LINGER = Stage('linger', linger)
