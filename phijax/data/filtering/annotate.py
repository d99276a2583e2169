"""Annotate: grades for a sample of the documents, some of them twice, and how far those agree."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash

from phijax.data import attributes, progress
from phijax.data.client import Budget, Client, Endpoint, Request, pilot
from phijax.data.errors import QualityError
from phijax.data.filtering import grading, rubric, verdicts
from phijax.data.filtering.grading import LEVELS, Grade
from phijax.data.stage import Account, Task

GRADED = 'ok'
_RULES = {'code': grading.grade, 'web': grading.grade_prose}
# Asked first, for an estimate of the whole. Our choice.
PILOT = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sampled:
    """A document of the sample: where it is, and its text as far as a grader sees it."""

    shard: int
    row: int
    id: str
    path: str
    text: str


@dataclass(frozen=True)
class Annotation:
    """What came of asking once; `grade` is None unless `status` is `ok`."""

    sampled: Sampled
    turn: int
    status: str
    grade: Grade | None
    annotator: str


def work(task: Task) -> Account:
    """Writes the annotations of the sample.

    Raises:
        QualityError: if more than `max_bad_fraction` of them failed.
    """
    settings = task.settings['annotate']
    sample = _sample(task, settings)
    spent: dict[str, Any] = {}
    found = list(_GRADERS[settings['grader']](task, _asked(sample, settings), spent))
    _check_share(found, settings['max_bad_fraction'])
    attributes.write(task.output('annotations'), _columns(found))
    facts = {
        'grader': settings['grader'],
        'statuses': dict(Counter(each.status for each in found)),
        'levels': {str(level): _count(found, level) for level in LEVELS},
        'agreement': agreement(found, settings['cut']),
        'spent': spent,
    }
    return Account(len(sample), len(sample), facts=facts)


def first_grades(columns: Mapping[str, Any]) -> np.ndarray:
    """The rows of annotations that hold a document's first grade."""
    good = np.array([status == GRADED for status in columns['status']], bool)
    return np.flatnonzero(good & (columns['turn'] == 0))


def agreement(found: Iterable[Annotation], cut: int) -> dict[str, Any]:
    """How far two grades of the same document agree.

    Returns:
        the number of documents with two; Cohen's kappa of the levels, weighted by the square of
        their distance, and of being at least `cut`. None where it is not defined: without two
        different values there is nothing to agree on beyond chance.
    """
    by_id: dict[str, dict[int, int]] = {}
    for each in found:
        if each.grade:
            by_id.setdefault(each.sampled.id, {})[each.turn] = each.grade.level
    pairs = [(levels[0], levels[1]) for levels in by_id.values() if {0, 1} <= levels.keys()]
    binary = [(int(a >= cut), int(b >= cut)) for a, b in pairs]
    return {
        'documents': len(pairs),
        'kappa_of_levels': kappa(pairs, len(LEVELS)),
        'kappa_of_valuable': kappa(binary, 2),
        'same_level': sum(a == b for a, b in pairs) / len(pairs) if pairs else None,
    }


def kappa(pairs: Sequence[tuple[int, int]], num_levels: int) -> float | None:
    """Cohen's kappa with quadratic weights; None where chance alone agrees wholly.

    Source: Cohen, "Weighted kappa", Psychological Bulletin 70, 1968.
    """
    if not pairs:
        return None
    seen = np.zeros((num_levels, num_levels))
    for a, b in pairs:
        seen[a, b] += 1 / len(pairs)
    index = np.arange(num_levels)
    weights = (index[:, None] - index[None]) ** 2
    by_chance = (weights * np.outer(seen.sum(1), seen.sum(0))).sum()
    return float(1 - (weights * seen).sum() / by_chance) if by_chance else None


def allocate(sizes: Mapping[str, int], size: int) -> dict[str, int]:
    """How many of a sample come from each stratum: in proportion, and one at least of each.

    Where there are more strata than the sample has places, the largest have one each.
    """
    whole = sum(sizes.values())
    if whole <= size:
        return dict(sizes)
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))
    given = dict.fromkeys(largest[:size], 1)
    while (left := size - sum(given.values())) > 0:
        owed = {n: size * sizes[n] / whole - given[n] for n in given if given[n] < sizes[n]}
        for name in sorted(owed, key=lambda name: (-owed[name], name))[:left]:
            step = max(1, min(int(owed[name]), sizes[name] - given[name], left))
            given[name] += step
            left -= step
            if left <= 0:
                break
    return given


def _sample(task: Task, settings: Mapping[str, Any]) -> list[Sampled]:
    """The documents of the sample; which they are depends on no shard."""
    ingest = task.input('ingest')
    by_stratum: dict[str, list[tuple[int, int, int]]] = {}
    for shard in range(ingest.num_shards):
        facts = attributes.read(ingest.part('facts', shard), 'id', 'stratum')
        for row in np.flatnonzero(verdicts.alive(task.step.inputs, shard)):
            # Not the bare id: the forest's split hashes that, and must not see a part of its range.
            drawn = f'sample\0{facts["id"][row]}'.encode()
            place = xxhash.xxh3_64_intdigest(drawn, seed=settings['seed'])
            by_stratum.setdefault(facts['stratum'][row], []).append((place, shard, int(row)))
    sizes = {name: len(rows) for name, rows in by_stratum.items()}
    wanted = set()
    for name, number in allocate(sizes, settings['sample']).items():
        wanted |= {(shard, row) for _, shard, row in sorted(by_stratum[name])[:number]}
    return sorted(_read(task, wanted, settings['max_characters']), key=lambda each: each.id)


def _read(task: Task, wanted: set[tuple[int, int]], max_characters: int) -> Iterator[Sampled]:
    for shard in sorted({shard for shard, _ in wanted}):
        for row, item in verdicts.documents(task, shard):
            if (shard, row) in wanted:
                yield Sampled(shard, row, item.id, item.path, item.text[:max_characters])


def _asked(sample: list[Sampled], settings: Mapping[str, Any]) -> Iterator[tuple[Sampled, int]]:
    """The documents with the number of the time they are asked about: some come twice."""
    twice = round(settings['double_fraction'] * len(sample))
    again = set(sorted(each.id for each in sample)[:twice])  # ids are hashes: any part is fair
    for each in sample:
        yield each, 0
        if each.id in again:
            yield each, 1


def _by_heuristic(
    task: Task, asked: Iterable[tuple[Sampled, int]], spent: dict[str, Any]
) -> Iterator[Annotation]:
    spent['tokens'] = 0
    by_rule = _RULES[task.settings['annotate']['rubric']]
    for each, turn in asked:
        if turn == 0:  # it would say the same again
            grade = by_rule(each.text, each.path)
            yield Annotation(each, turn, GRADED, grade, 'heuristic')


def _by_endpoint(
    task: Task, asked: Iterable[tuple[Sampled, int]], spent: dict[str, Any]
) -> Iterator[Annotation]:
    settings, runtime = task.settings['annotate'], task.step.runtime
    asked = list(asked)
    requests = [_request(each, turn, settings) for each, turn in asked]
    endpoint = Endpoint(model=settings['model'], **runtime['endpoint'])
    journal = task.step.root / 'journal' / 'annotate'
    with Client(endpoint, Budget(**runtime['budget']), journal) as client:
        if len(requests) > PILOT:
            log.info(
                'annotate, as far as %d say: %s', PILOT, pilot(client, requests, len(requests))
            )
        with progress.bar('annotate', len(requests), 'grades') as advance:
            answers = client.complete(requests)
            for (each, turn), answer in zip(asked, answers, strict=True):
                advance(1)
                grade = Grade(**answer.value) if answer.status == GRADED else None
                yield Annotation(each, turn, answer.status, grade, answer.model)
        spent |= client.spent._asdict()


def _request(each: Sampled, turn: int, settings: Mapping[str, Any]) -> Request:
    """The second time is another sample, at a temperature at which a judge may waver."""
    return Request(
        messages=rubric.messages(settings['rubric'], each.text),
        max_tokens=settings['max_tokens'],
        temperature=settings['temperature'],
        seed=settings['seed'] + turn,
        schema=rubric.SCHEMA,
        sample_index=turn,
    )


_GRADERS = {'heuristic': _by_heuristic, 'endpoint': _by_endpoint}
GRADERS = tuple(_GRADERS)


def _check_share(found: Sequence[Annotation], allowed: float) -> None:
    statuses = Counter(each.status for each in found)
    bad = len(found) - statuses[GRADED]
    if bad > allowed * len(found):
        raise QualityError(
            f'{bad} of {len(found)} grades cannot be used ({dict(statuses)}), more than the '
            f'{allowed:.0%} that annotate.max_bad_fraction allows.'
        )


def _count(found: Sequence[Annotation], level: int) -> int:
    return sum(
        each.turn == 0 and each.grade is not None and each.grade.level == level for each in found
    )


def _columns(found: Sequence[Annotation]) -> dict[str, Any]:
    ungraded = Grade(-1, False, False, False, '', '')
    grades = [dataclasses.asdict(each.grade or ungraded) for each in found]
    sampled = [each.sampled for each in found]
    return {
        'id': [each.id for each in sampled],
        'path': [each.path for each in sampled],
        'shard': np.array([each.shard for each in sampled], np.int32),
        'row': np.array([each.row for each in sampled], np.int64),
        'turn': np.array([each.turn for each in found], np.int32),
        'status': [each.status for each in found],
        'annotator': [each.annotator for each in found],
        **{name: [grade[name] for grade in grades] for name in grades[0]},
    }
