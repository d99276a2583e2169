"""Exact duplicates: of the documents whose texts differ in white space only, one is kept."""

from __future__ import annotations

import numpy as np

from phijax.data import attributes
from phijax.data.filtering import verdicts
from phijax.data.stage import Account, Task


def work(task: Task) -> Account:
    """Writes the verdict on every document: the one of the smallest `order` of its kind stays."""
    ingest = task.input('ingest')
    columns = ('normal_high', 'normal_low', 'order', 'num_bytes')
    shards = [attributes.read(ingest.part('facts', i), *columns) for i in range(ingest.num_shards)]
    whole = {name: np.concatenate([shard[name] for shard in shards]) for name in columns}
    keep = first_of_each(whole['normal_high'], whole['normal_low'], whole['order'])
    ends = np.cumsum([len(shard['order']) for shard in shards])
    for index, part in enumerate(np.split(keep, ends[:-1])):
        verdicts.write(task.output('verdicts', index), np.where(part, '', 'exact_duplicate'))
    kept = int(keep.sum())
    return Account(
        len(keep), kept, {'exact_duplicate': len(keep) - kept}, int(whole['num_bytes'][keep].sum())
    )


def first_of_each(high: np.ndarray, low: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Which rows have the smallest `order` among those with the same (high, low)."""
    ranked = np.lexsort((order, low, high))
    is_first = np.ones(len(ranked), bool)
    same = (np.diff(high[ranked]) == 0) & (np.diff(low[ranked]) == 0)
    is_first[1:] = ~same
    keep = np.empty(len(ranked), bool)
    keep[ranked] = is_first
    return keep
