"""Leaks as stages: what is common speech in the documents, then what they have of benchmarks."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from phijax.data import attributes, document
from phijax.data.files import read_json, write_json
from phijax.data.filtering import decontaminate, verdicts
from phijax.data.filtering.decontaminate import Index, Item, Settings, distances, sweep
from phijax.data.settings import build
from phijax.data.stage import Account, Step, Task

COUNTS, SUFFIX = 'counts', '.json'
SPLITS = 'leaked_items.json'
QUARTERS = (0.25, 0.5, 0.75, 1.0)


def identity(settings: Settings) -> str:
    """The digest of the items that are protected: others are another step.

    Raises:
        AssetError: if a package of items cannot be had.
    """
    return decontaminate.digest(_items(settings))


def count(task: Task) -> Account:
    """Writes of how many documents of the shard each n-gram of an item is."""
    items = [item for _, item in verdicts.documents(task, task.index)]
    index = _built(_settings(task.step), frozenset())
    counts = index.count([item.text for item in items])
    write_json(task.output(COUNTS, suffix=SUFFIX), counts)
    return Account(len(items), len(items), num_bytes=document.num_bytes(items))


def work(task: Task) -> Account:
    """Writes the verdicts, and beside every document that is alive what it has of the items."""
    items = [item for _, item in verdicts.documents(task, task.index)]
    index = _index(task.step)
    findings = index.inspect([item.text for item in items])
    was_alive = verdicts.alive(task.step.inputs, task.index)
    reasons = np.full(len(was_alive), '', object)
    reasons[was_alive] = [f'leak_{each.reason}' if each.reason else '' for each in findings]
    verdicts.write(task.output(verdicts.KIND), reasons)
    rows = [finding.as_row() for finding in findings]
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    attributes.write(task.output('leaks'), {'id': [item.id for item in items], **columns})
    num_bytes = attributes.read(task.input('ingest').part('facts', task.index), 'num_bytes')
    account = verdicts.account(reasons, was_alive, num_bytes['num_bytes'])
    return verdicts.sum_of([account], sweep.tally(findings, [i.path for i in items], index))


def found(step: Step, embed: distances.Embed) -> dict[str, Any]:
    """What the step found in all shards, as plain values, after the split of items is written.

    The split, `leaked_items.json` in the step's directory, has for each match rate the items with
    and without a function that is like theirs, by which an evaluation can be divided.

    Args:
        embed: from texts to rows of numbers, for the distances of the pairs that are told.
    """
    index = _index(step)
    total = sweep.merge([dict(account.facts) for account in step.accounts()], index)
    sweep.write_splits(step.directory / SPLITS, total, index)
    return {
        'total': total,
        'sweep': sweep.table(total, index),
        'coverage': index.coverage(),
        'distances': _apart([*total['above'], *total['below']], index.settings.sweep, embed),
    }


def _apart(
    pairs: Sequence[Mapping[str, Any]], rates: Sequence[float], embed: distances.Embed
) -> list[dict[str, float]]:
    """How many of the pairs are alike by syntax and by embedding, at the quarters of distance."""
    apart = distances.distances(pairs, embed)
    limits = np.unique(np.quantile(apart, QUARTERS)).tolist() if len(apart) else []
    return distances.survivors(pairs, apart, rates, limits)


def _index(step: Step) -> Index:
    """The index without what many documents say anyway."""
    phrases = step.inputs['phrases']
    counts: Counter[str] = Counter()
    for shard in range(phrases.num_shards):
        counts.update(read_json(phrases.part(COUNTS, shard, SUFFIX)))
    common = frozenset(decontaminate.common_grams(counts, _settings(step)))
    return _built(_settings(step), common)


@functools.lru_cache(maxsize=1)
def _built(settings: Settings, common: frozenset[str]) -> Index:
    """The index, kept for the next shard of this process."""
    return Index.build(_items(settings), settings, common)


def _settings(step: Step) -> Settings:
    fields = step.settings['decontaminate'].items()
    return build(Settings, {n: tuple(v) if isinstance(v, list) else v for n, v in fields})


@functools.lru_cache(maxsize=1)
def _items(settings: Settings) -> tuple[Item, ...]:
    return tuple(decontaminate.load(settings.benchmarks, settings.own_items))
