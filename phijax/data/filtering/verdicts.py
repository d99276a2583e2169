"""Verdicts: which documents a stage keeps, and why it drops the others, beside the documents."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phijax.data import attributes, document
from phijax.data.document import Document
from phijax.data.stage import Account, Step, Task, total

KIND = 'verdicts'
# The stages that drop documents of a pile that was ingested, in the order of the chain.
DROPPING = ('exact', 'select', 'near', 'decontaminate')


def write(path: Path, reasons: Sequence[str] | np.ndarray) -> None:
    """Writes the reason of every document of a part; nothing for one that stays."""
    attributes.write(path, {'reason': [str(reason) for reason in reasons]})


def read(step: Step, index: int) -> np.ndarray:
    """Which documents of a part a step keeps."""
    reasons = attributes.read(step.part(KIND, index), 'reason')['reason']
    return np.array([not reason for reason in reasons], bool)


def alive(inputs: Mapping[str, Step], index: int) -> np.ndarray:
    """Which documents of a part no step among the inputs has dropped."""
    steps = [inputs[name] for name in DROPPING if name in inputs]
    return np.logical_and.reduce([read(step, index) for step in steps])


def documents(task: Task, index: int) -> Iterator[tuple[int, Document]]:
    """The documents of a part that are alive for a task, with their rows."""
    keep = alive(task.step.inputs, index)
    row = 0
    for group in document.read(task.input('ingest').part('documents', index)):
        for item in group:
            if keep[row]:
                yield row, item
            row += 1


def account(reasons: np.ndarray, was_alive: np.ndarray, num_bytes: np.ndarray) -> Account:
    """The account of a shard: only what was alive before is given."""
    given = reasons[was_alive].astype(str)
    kept = given == ''
    dropped = Counter(given[~kept].tolist())
    size = int(num_bytes[was_alive][kept].sum())
    return Account(len(given), int(kept.sum()), dict(sorted(dropped.items())), size)


def sum_of(accounts: Sequence[Account], facts: Mapping[str, Any]) -> Account:
    """The account of a stage that saw all shards at once, and what it has to tell."""
    return dataclasses.replace(total(accounts), facts=facts)
