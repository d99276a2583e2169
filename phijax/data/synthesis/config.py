"""What to write, and how, as frozen values that are checked before anything is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from phijax.data.client import Budget, Endpoint
from phijax.data.settings import build, check, tuples
from phijax.data.synthesis import (
    commonsense,
    dialogue,
    diversity,
    exercises,
    seeds,
    textbooks,
    texts,
    topics,
)
from phijax.data.synthesis.asking import Teacher
from phijax.data.synthesis.exercises import mining
from phijax.data.tokenize.config import source
from phijax.errors import check_keys

GENRES = {
    each.name: each
    for each in (
        textbooks.CODE,
        textbooks.KNOWLEDGE,
        commonsense.COMMONSENSE,
        dialogue.DIALOGUE,
    )
}


KINDS = (*GENRES, exercises.KIND)


def said(kind: str) -> Callable[[str], str]:
    """What of a text of a kind is language."""
    return exercises.said if kind == exercises.KIND else GENRES[kind].said


def wording(kind: str) -> tuple[str, ...]:
    """The folders of templates that a kind is asked for with."""
    return (kind, exercises.COMPLETED) if kind == exercises.KIND else (kind,)


@dataclass(frozen=True)
class Plain:
    """The same teacher without factors, to compare with.

    Attributes:
        samples: how many texts; as many of those with factors are measured beside them.
        words: that are asked for.
    """

    samples: int = 0
    words: int = 400

    def __post_init__(self) -> None:
        """Checks the values; raises InputError at the first that cannot be used."""
        check(self.samples >= 0, 'plain.samples', self.samples, '0 or more')
        check(self.words > 0, 'plain.words', self.words, 'more than 0')


@dataclass(frozen=True)
class Pairs:
    """Pairs of answers, of conversations.

    Attributes:
        samples: how many are asked for; at most one for each conversation and flaw.
    """

    samples: int = 0

    def __post_init__(self) -> None:
        """Raises InputError at a value that cannot be used."""
        check(self.samples >= 0, 'pairs.samples', self.samples, '0 or more')


@dataclass(frozen=True)
class Config:
    """What to write, and how: a group for each stage.

    Attributes:
        sources: of extracts: plain values by name, as of `phijax.data.tokenize`.
        endpoint, budget: of the teacher; they do not decide what its answers are.
    """

    sources: Mapping[str, Mapping[str, Any]]
    endpoint: Mapping[str, Any]
    budget: Mapping[str, Any]
    topics: topics.Settings
    seeds: seeds.Settings
    texts: texts.Settings
    exercises: mining.Settings
    teacher: Teacher
    diversity: diversity.Settings
    plain: Plain
    pairs: Pairs

    def group(self, name: str) -> dict[str, Any]:
        """The plain values of a group."""
        value = getattr(self, name)
        return dict(value) if isinstance(value, Mapping) else dataclasses.asdict(value)


_GROUPS: dict[str, Any] = {
    'topics': topics.Settings,
    'seeds': seeds.Settings,
    'texts': texts.Settings,
    'exercises': mining.Settings,
    'teacher': Teacher,
    'diversity': diversity.Settings,
    'plain': Plain,
    'pairs': Pairs,
}
GROUPS = ('sources', *_GROUPS, 'endpoint', 'budget')


def from_dict(values: Mapping[str, Any]) -> Config:
    """The config of nested plain values.

    Raises:
        InputError: if a group or field is unknown, or a value cannot be used.
    """
    check_keys('', {name: {} for name in GROUPS} | dict(values), GROUPS)
    groups = {
        name: build(make, tuples(values.get(name, {})), f'{name}.')
        for name, make in _GROUPS.items()
    }
    plain = {name: values.get(name, {}) for name in ('sources', 'endpoint', 'budget')}
    for name, fields in plain['sources'].items():
        source(name, fields)
    config = Config(**plain, **groups)
    _check_kind(config)
    check(bool(config.teacher.model), 'teacher.model', config.teacher.model, 'the name of a model')
    build(Budget, config.budget, 'budget.')
    build(Endpoint, {'model': config.teacher.model, **config.endpoint}, 'endpoint.')
    return config


def _check_kind(config: Config) -> None:
    kind, pairs, mode = config.texts.kind, config.pairs.samples, config.exercises.mode
    check(kind in KINDS, 'texts.kind', kind, f'one of {", ".join(KINDS)}')
    fits = not pairs or kind == dialogue.DIALOGUE.name
    check(fits, 'pairs.samples', pairs, '0, where texts.kind is not dialogue')
    wanted = ' or '.join(mining.MODES) if kind == exercises.KIND else "''"
    fits = bool(mode) == (kind == exercises.KIND)
    check(fits, 'exercises.mode', mode, f'{wanted}, where texts.kind is {kind}')
