"""Fit: a forest that learned the grades from the vectors, and where each topic lies among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from phijax.data import attributes
from phijax.data.filtering import annotate, forest, verdicts
from phijax.data.filtering.forest import Settings
from phijax.data.filtering.grading import TOPICS
from phijax.data.stage import Account, Task


def work(task: Task) -> Account:
    """Writes the forest, which of the graded documents it did not see, and the topics' middles.

    Raises:
        QualityError: if too few of the sample are valuable, or too few are not.
    """
    settings = Settings(**task.settings['forest'])
    columns = attributes.read(task.input('annotate').part('annotations', 0))
    rows = annotate.first_grades(columns)
    vectors = _vectors(task, columns['shard'][rows], columns['row'][rows])
    held_out = forest.split([columns['id'][row] for row in rows], settings)
    labels = np.array(columns['level'], np.int64)[rows]
    if settings.labels == 'valuable':
        labels = (labels >= task.settings['annotate']['cut']).astype(np.int64)
    embedder = task.input('embed').settings['embedder']
    made = forest.fit(vectors, labels, settings, held_out=held_out, embedder=embedder)
    facts = dict(made.report)
    timeless = {name: value for name, value in facts.items() if name != 'seconds'}
    dataclasses.replace(made, report=timeless).save(task.scratch)
    attributes.write(task.output('split'), {'held_out': held_out})
    attributes.write(task.output('topics'), middles(vectors, columns, rows))
    return Account(len(rows), len(rows), facts=facts)


def middles(
    vectors: np.ndarray, columns: Mapping[str, Any], rows: np.ndarray
) -> dict[str, np.ndarray | list[str]]:
    """The mean vector of each topic that a graded document has, of length 1."""
    topics = np.array([TOPICS.index(columns['topic'][row]) for row in rows])
    there = np.unique(topics)
    means = np.stack([vectors[topics == topic].mean(axis=0) for topic in there])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return {'topic': there.astype(np.int32), 'middle': means.astype(np.float32)}


def _vectors(task: Task, shards: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The vectors of documents by their places; those of a part are of the documents alive."""
    embed = task.input('embed')
    found: list[Any] = [None] * len(rows)
    for shard in np.unique(shards):
        vectors = attributes.read(embed.part('vectors', int(shard)), 'vector')['vector']
        place = np.cumsum(verdicts.alive(task.step.inputs, int(shard))) - 1
        for number in np.flatnonzero(shards == shard):
            found[number] = vectors[place[rows[number]]]
    return np.stack(found).astype(np.float32)
