"""Writing: topics, texts and plain texts as stages, which ask one teacher within one budget."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from phijax.data import attributes, document, progress
from phijax.data.client import Answer, Budget, Client, Endpoint, Request
from phijax.data.document import Document
from phijax.data.settings import tuples
from phijax.data.stage import Account, Task
from phijax.data.synthesis import (
    config,
    dialogue,
    diversity,
    exercises,
    prompts,
    records,
    taxonomy,
    texts,
    topics,
)
from phijax.data.synthesis.asking import Ask, Kind, Problem, Prompt, Result, Run, Teacher, Window
from phijax.data.synthesis.exercises import mining
from phijax.data.synthesis.factors import Cell, Sampler

# All stages pay out of one journal, so that the budget is of the whole run.
JOURNAL = 'journal'


@contextlib.contextmanager
def teacher(task: Task, name: str, total: int) -> Iterator[tuple[Ask, dict[str, Any]]]:
    """What asks the teacher of a task, with a bar; and what was spent, once it has ended."""
    asked, runtime = task.settings['teacher'], task.step.runtime
    endpoint = Endpoint(model=asked['model'], **runtime['endpoint'])
    spent: dict[str, Any] = {}
    with (
        Client(endpoint, Budget(**runtime['budget']), task.step.root / JOURNAL) as client,
        progress.bar(name, total, 'answers') as advance,
    ):

        def ask(requests: Iterable[Request]) -> Iterator[Answer]:
            for answer in client.complete(requests):
                advance(1)
                yield answer

        yield ask, spent
        spent |= client.spent._asdict()


def find_topics(task: Task) -> Account:
    """Writes the topics, after the teacher divided the taxonomy, and the tree as an outline."""
    settings = topics.Settings(**task.settings['topics'])
    spent: dict[str, Any] = {}
    if settings.leaves:
        with teacher(task, 'topics', settings.leaves) as (ask, spent):
            tree = topics.grow(settings, ask)
    else:
        tree = topics.Tree(taxonomy.load(settings.taxonomy))
    found = taxonomy.leaves(tree.paths)
    attributes.write(
        task.output('topics'), {'path': [taxonomy.SEPARATOR.join(path) for path in found]}
    )
    task.output('tree', suffix='.txt').write_text(taxonomy.draw(tree.paths), 'utf-8')
    dropped = {reason: count for reason, count in sorted(tree.dropped.items()) if count}
    facts = {
        'leaves': len(found),
        'wanted': settings.leaves,
        'subjects': sum(len(path) == 1 for path in tree.paths),
        'depths': dict(sorted(Counter(str(len(path)) for path in found).items())),
        'spent': spent,
    }
    return Account(tree.added + sum(dropped.values()), tree.added, dropped, facts=facts)


def write_texts(task: Task) -> Account:
    """Writes the texts, window by window."""
    settings = texts.Settings(**tuples(task.settings['texts']))
    kind = _exercises(task, settings) if settings.kind == exercises.KIND else _prose(task, settings)
    asked = Teacher(**task.settings['teacher'])
    # How many functions were mined, and so how many there are to complete, nobody knew before.
    most = kind.sampler.size if isinstance(kind, exercises.Completed) else settings.samples
    return _written(task, kind, asked, min(settings.samples, most), settings.kind)


def _prose(task: Task, settings: texts.Settings) -> Kind:
    step = task.input('topics')
    paths = attributes.read(step.part('topics', 0), 'path')['path']
    return texts.Texts(
        config.GENRES[settings.kind],
        settings,
        [tuple(path.split(taxonomy.SEPARATOR)) for path in paths],
        _extracts(task),
    )


def _exercises(task: Task, settings: texts.Settings) -> Kind:
    asked = mining.Settings(**task.settings['exercises'])
    words, found = mining.read(task.input('mine'))
    if asked.mode == 'completed':
        return exercises.Completed(
            asked, found, mining.protected(), seed=settings.seed, templates=settings.templates
        )
    return exercises.Written(
        asked,
        words,
        mining.protected(),
        _extracts(task),
        seed=settings.seed,
        templates=settings.templates,
        levels=settings.levels,
    )


def _extracts(task: Task) -> list[Document]:
    path = task.input('seeds').part('extracts', 0)
    return [each for group in document.read(path) for each in group]


def write_plain(task: Task) -> Account:
    """Writes texts that are all asked for in the same words."""
    settings = task.settings['plain']
    if not settings['samples']:
        return Account(0, 0)
    kind = Plain(task.settings['texts']['kind'], settings['words'], settings['samples'])
    # What comes is to be measured, however bad it is.
    asked = dataclasses.replace(Teacher(**task.settings['teacher']), max_rejected=1.0)
    return _written(task, kind, asked, settings['samples'], 'plain')


def write_pairs(task: Task) -> Account:
    """Writes the conversations as lines, and pairs of answers to some of them."""
    if task.settings['texts']['kind'] != dialogue.DIALOGUE.name:
        return Account(0, 0)
    found = [item for item, _ in records.read(task.input('texts'))]
    talks = [json.loads(item.text) for item in found]
    task.output('conversations', suffix='.jsonl').write_text(dialogue.lines(talks), 'utf-8')
    samples = task.settings['pairs']['samples']
    kind = dialogue.Flawed(found, task.settings['texts']['seed']) if samples and found else None
    if not kind:
        return Account(0, 0)
    pairs: list[dict[str, Any]] = []
    account = _written(
        task,
        kind,
        Teacher(**task.settings['teacher']),
        min(samples, kind.sampler.size),
        'pairs',
        lambda each: pairs.append(kind.pair(each.prompt, each.text)),
    )
    task.output('preferences', suffix='.jsonl').write_text(dialogue.lines(pairs), 'utf-8')
    return account


class Plain:
    """The same words for every index; a `Kind` of `asking`."""

    def __init__(self, genre: str, words: int, samples: int) -> None:
        """Of the genre's plain template."""
        self._template = prompts.load('plain')[genre]
        self._words = words
        self.sampler = Sampler({'sample': [str(number) for number in range(samples)]})

    def prompt(self, index: int, factors: Mapping[str, str]) -> Prompt:
        """The prompt, which is always the same; requests differ in their number."""
        messages = self._template.render({'words': str(self._words)})
        template = self._template
        most = 2 * self._words + texts.SPARE_TOKENS
        return Prompt(index, factors, template.name, template.digest, messages, most)

    def text(self, _: Prompt, answer: Answer, /) -> str:
        """What the teacher wrote."""
        return answer.text.strip()

    def check(self, prompt: Prompt, text: str) -> Problem | None:
        """Nothing is wrong but an empty text: what comes is to be measured as it is."""
        return None if text else Problem('malformed', f'it was empty ({prompt.template})')

    def said(self, text: str) -> str:
        """All of it."""
        return text


def _written(
    task: Task,
    kind: Kind,
    asked: Teacher,
    samples: int,
    source: str,
    on_kept: Callable[[Result], None] = lambda each: None,
) -> Account:
    limits = diversity.Settings(**tuples(task.settings['diversity']))
    windows: list[dict[str, Any]] = []
    reasons: Counter[str] = Counter()
    num_bytes = 0
    with teacher(task, source, samples) as (ask, spent):
        for window in Run(kind, asked, limits, samples, ask):
            records.write(task, window, source)
            reasons.update(each.reason for each in window.results)
            for each in window.results:
                if not each.problem:
                    on_kept(each)
                    num_bytes += len(each.text.encode())
            windows.append(_facts(window))
    given, kept = reasons.total(), reasons.pop('', 0)
    facts = {'windows': windows, 'spent': spent}
    return Account(given, kept, dict(sorted(reasons.items())), num_bytes, facts)


def _facts(window: Window) -> dict[str, Any]:
    """What a report tells of a window."""
    kept = [each for each in window.results if not each.problem]
    return {
        'window': window.number,
        'asked': len(window.results),
        'kept': len(kept),
        'asked_again': sum(each.asked - 1 for each in window.results),
        'saved': sum(each.asked - 1 for each in kept),
        'retired': window.retired,
        'values': dict(window.values),
        'breaches': [each._asdict() | {'cell': _name(each.cell)} for each in window.breaches],
    }


def _name(cell: Cell) -> str:
    return ', '.join(f'{factor} {level}' for factor, level in cell)
