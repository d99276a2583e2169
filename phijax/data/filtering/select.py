"""Select: what is kept of a scored pile, in phases that lie within each other.

A phase takes the documents of the highest score that its amount has room for. Two bounds can be
added: on the share of a topic, and on what the documents ask a model of a given size to remember.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from phijax.data import attributes
from phijax.data.filtering import annotate, verdicts
from phijax.data.filtering.quality import look
from phijax.data.stage import Account, Task

# What a model can hold at best. Source: arXiv:2404.05405 (from memory, open): 2 bits a parameter.
BITS_PER_PARAMETER = 2.0
_HALVINGS = 40
_HIGHEST_PRICE = 1e6


def work(task: Task) -> Account:
    """Writes the verdict and the phase of every document, and what the scores say.

    `phases` counts the phases that a document is in: 0 is none, and all of 2 are in 1.
    """
    settings = task.settings['select']
    table, ends = _gather(task)
    phases, reasons = choose(table, settings)
    whole = np.zeros(len(table['alive']), np.int8)
    whole[table['alive']] = phases
    said = np.full(len(whole), '', object)
    said[table['alive']] = reasons
    for index, (part, words) in enumerate(
        zip(np.split(whole, ends[:-1]), np.split(said, ends[:-1]), strict=True)
    ):
        verdicts.write(task.output(verdicts.KIND, index), words)
        attributes.write(task.output('phases', index), {'phase': part})
    account = verdicts.account(said, table['alive'], table['num_bytes_all'])
    facts = look(table, phases, _annotations(task), task.settings['annotate']['cut'])
    return Account(account.given, account.kept, account.dropped, account.num_bytes, facts)


def choose(table: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """How many phases each row is in, and why it is in none.

    Args:
        table: columns `score`, `order`, `num_bytes`, `topic` and `memorise`, a row each.
        settings: the fields of `config.Select`.
    """
    count = len(table['score'])
    if settings['rule'] == 'threshold':
        phases = sum(table['score'] >= amount for amount in settings['amounts'])
        return np.asarray(phases, np.int8), np.where(phases == 0, 'low_score', '')
    weights = np.ones(count) if settings['rule'] == 'fraction' else table['num_bytes']
    unit = count if settings['rule'] == 'fraction' else settings['bytes_per_token']
    phases, reasons = np.zeros(count, np.int8), np.full(count, 'low_score', object)
    candidates = np.ones(count, bool)
    for amount in settings['amounts']:
        room = amount * unit
        chosen, full = _fill(table, settings, weights, room, candidates)
        if not phases.any():
            reasons[full] = 'topic_full'
        phases[chosen] += 1
        candidates = chosen
    reasons[phases > 0] = ''
    plain, _ = _best(table['score'], table, settings, weights, settings['amounts'][0] * unit)
    reasons[(phases == 0) & plain] = 'to_remember'
    return phases, reasons


def _fill(
    table: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    weights: np.ndarray,
    room: float,
    candidates: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The candidates to keep, and those that only their topic kept out."""
    score = np.where(candidates, table['score'], -np.inf)
    chosen, full = _best(score, table, settings, weights, room)
    capacity = BITS_PER_PARAMETER * settings['num_params']
    if not capacity or table['memorise'][chosen].sum() <= capacity:
        return chosen, full
    low, high = 0.0, 1.0
    density = table['memorise'] / np.maximum(weights, 1)
    density = density / density.max()
    while _asks(score - high * density, table, settings, weights, room) > capacity:
        if high > _HIGHEST_PRICE:  # the least that fills the room is too much: it stays unfilled
            return _until(capacity, table['memorise'], chosen, density), full
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fits = _asks(score - middle * density, table, settings, weights, room) <= capacity
        low, high = (low, middle) if fits else (middle, high)
    return _best(score - high * density, table, settings, weights, room)


def _until(
    capacity: float, bits: np.ndarray, chosen: np.ndarray, density: np.ndarray
) -> np.ndarray:
    """The chosen rows that ask least, as many as the capacity holds."""
    ranked = np.argsort(density, kind='stable')
    ranked = ranked[chosen[ranked]]
    kept = np.zeros(len(chosen), bool)
    kept[ranked[np.cumsum(bits[ranked], dtype=np.float64) <= capacity]] = True
    return kept


def _asks(
    score: np.ndarray,
    table: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    weights: np.ndarray,
    room: float,
) -> float:
    """The bits that the best documents by a score ask to remember."""
    chosen, _ = _best(score, table, settings, weights, room)
    return float(table['memorise'][chosen].sum())


def _best(
    score: np.ndarray,
    table: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    weights: np.ndarray,
    room: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the highest score that there is room for, and those whose topic was full."""
    ranked = np.lexsort((table['order'], -score))
    ranked = ranked[np.isfinite(score[ranked])]
    fits = np.ones(len(ranked), bool)
    if settings['max_topic_share'] < 1:
        topics = table['topic'][ranked]
        for topic in np.unique(topics):
            rows = np.flatnonzero(topics == topic)
            fits[rows] = np.cumsum(weights[ranked[rows]]) <= settings['max_topic_share'] * room
    used = np.cumsum(np.where(fits, weights[ranked], 0))
    chosen, full = np.zeros(len(score), bool), np.zeros(len(score), bool)
    chosen[ranked[fits & (used <= room)]] = True
    full[ranked[~fits & (used <= room)]] = True
    return chosen, full


def _gather(task: Task) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of the documents alive, with `alive` and `num_bytes_all` of all, and the ends."""
    ingest, score = task.input('ingest'), task.input('score')
    names = ('order', 'num_bytes', 'num_lines', 'comments', 'memorise')
    parts: list[dict[str, np.ndarray]] = []
    for index in range(ingest.num_shards):
        alive = verdicts.alive(task.step.inputs, index)
        facts = attributes.read(ingest.part('facts', index), *names)
        scores = attributes.read(score.part('scores', index), 'score', 'topic')
        place = np.stack([np.full(len(alive), index), np.arange(len(alive))], axis=1)
        columns = {**{n: facts[n][alive] for n in names}, **scores, 'place': place[alive]}
        parts.append({**columns, 'alive': alive, 'num_bytes_all': facts['num_bytes']})
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return table, np.cumsum([len(part['alive']) for part in parts])


def _annotations(task: Task) -> dict[str, Any]:
    """The first grades, with the place of each document, and whether the forest saw it."""
    columns = attributes.read(task.input('annotate').part('annotations', 0))
    rows = annotate.first_grades(columns)
    held_out = attributes.read(task.input('forest').part('split', 0), 'held_out')['held_out']
    return {
        'place': np.stack([columns['shard'][rows], columns['row'][rows]], axis=1),
        'level': np.array(columns['level'])[rows],
        'heldout': held_out,
    }
