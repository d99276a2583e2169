"""Embed: a vector for every document that is not a copy, in half precision."""

from __future__ import annotations

import dataclasses

import numpy as np

from phijax.data import attributes, document
from phijax.data.filtering import features, verdicts
from phijax.data.stage import Account, Step, Task


def identity(settings: features.Settings) -> str:
    """The digest of what makes the vectors: another model is another step."""
    return features.make(settings).digest


def embedder(step: Step) -> features.Embedder:
    """What makes the vectors of a step."""
    return features.make(features.Settings(**step.settings['embed']))


def work(task: Task) -> Account:
    """Writes the vectors of the shard, a row for each document that is alive."""
    made_by = embedder(task.step)
    items = [item for _, item in verdicts.documents(task, task.index)]
    vectors = made_by.embed([item.text for item in items])
    attributes.write(task.output('vectors'), {'vector': vectors.astype(np.float16)})
    num_bytes = document.num_bytes(items)
    return Account(
        len(items), len(items), num_bytes=num_bytes, facts=dataclasses.asdict(made_by.counts)
    )
