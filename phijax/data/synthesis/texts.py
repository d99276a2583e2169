"""Texts: prompts from topics, levels of factors and extracts, for kinds of prose."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phijax.data.client import Answer
from phijax.data.document import Document
from phijax.data.settings import check
from phijax.data.synthesis import checks, prompts, taxonomy
from phijax.data.synthesis.asking import Problem, Prompt
from phijax.data.synthesis.factors import Permutation, Sampler
from phijax.data.synthesis.taxonomy import Path_

# Tokens of an answer besides those of its words. Our choice.
SPARE_TOKENS = 150


@dataclass(frozen=True)
class Genre:
    """A kind of text.

    Attributes:
        views: what prompts show, as a factor: a `topic`, an `extract`, or `both`.
        most_repeated: the share of runs of five words that a text may repeat.
        check: of a text alone: what is malformed about it in words, or ''.
        schema: of an answer in JSON, and `max_tokens` of it.
        text: the text of the document that an answer makes.
        said: what of that text is language, for the checks that every kind has.
    """

    name: str
    views: tuple[str, ...]
    most_repeated: float
    check: Callable[[str], str] = lambda text: ''
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 0
    text: Callable[[Answer], str] = lambda answer: answer.text.strip()
    said: Callable[[str], str] = lambda text: text


@dataclass(frozen=True)
class Settings:
    """What is written.

    Attributes:
        kind: `code`, `knowledge`, `commonsense`, `dialogue` or `exercises`.
        samples: how many texts are asked for.
        seed: of the order of levels and extracts.
        views: what prompts show, where it is not the kind's own choice.
        templates: a directory of templates, and `levels` a file of factors, instead of our own.
        tokens_per_word: that an answer may have.
        max_copied: the share of runs of eight words that a text may have from its extract.
    """

    kind: str = 'code'
    samples: int = 1000
    seed: int = 0
    views: tuple[str, ...] = ()
    templates: str = ''
    levels: str = ''
    tokens_per_word: float = 2.0
    max_copied: float = 0.2

    def __post_init__(self) -> None:
        """Checks the values; raises InputError at the first that cannot be used."""
        check(self.samples > 0, 'texts.samples', self.samples, 'more than 0')
        check(self.tokens_per_word > 0, 'texts.tokens_per_word', self.tokens_per_word, 'above 0')
        check(0 < self.max_copied <= 1, 'texts.max_copied', self.max_copied, '(0, 1]')
        for view in self.views:
            check(view in ('topic', 'extract', 'both'), 'texts.views', view, 'topic, extract, both')


class Texts:
    """Prompts of a genre, and the check of what was written; a `Kind` of `asking`.

    Factors are `topic`, `form` (a template), `view`, and those of the file of levels.
    """

    def __init__(
        self,
        genre: Genre,
        settings: Settings,
        topics: Sequence[Path_],
        extracts: Sequence[Document] = (),
    ) -> None:
        """Checks that there is all that the prompts need.

        Raises:
            InputError: if extracts are to be shown and there are none, a template needs a factor
                that there is not, or coverage could not be even.
        """
        self._genre, self._settings, self._extracts = genre, settings, extracts
        self._templates = prompts.load(genre.name, settings.templates)
        self._levels = prompts.load_levels(genre.name, settings.levels)
        self._topics = {path[-1]: path for path in topics}
        views = settings.views or genre.views
        check(
            bool(extracts) or views == ('topic',),
            'sources',
            'without a document',
            f'some to take extracts from, where texts.views has {", ".join(views)}',
        )
        self._sampler = Sampler(
            {
                'topic': list(self._topics),
                'form': list(self._templates),
                'view': views,
                **{name: list(levels) for name, levels in self._levels.items()},
            },
            settings.seed,
        )
        for form, view in itertools.product(self._templates, views):
            self.prompt(0, self._sampler(0) | {'form': form, 'view': view})

    @property
    def sampler(self) -> Sampler:
        """The combination of each index."""
        return self._sampler

    def prompt(self, index: int, factors: Mapping[str, str]) -> Prompt:
        """What is asked for an index."""
        template, path = self._templates[factors['form']], self._topics[factors['topic']]
        values = {name: levels[factors[name]] for name, levels in self._levels.items()}
        values['view'] = factors['view']
        if factors['view'] != 'extract':
            values |= {'topic': path[-1], 'area': taxonomy.area(path)}
        seeds = () if factors['view'] == 'topic' else (self._extract(index),)
        for seed in seeds:
            values['extract'] = seed.text
        words = _first_number(factors.get('length', ''))
        return Prompt(
            index,
            factors,
            template.name,
            template.digest,
            template.render(values),
            max_tokens=self._genre.max_tokens
            or round(words * self._settings.tokens_per_word) + SPARE_TOKENS,
            topic=values.get('topic', ''),
            extract=values.get('extract', ''),
            seeds=tuple(seed.id for seed in seeds),
            words=words,
            schema=self._genre.schema,
        )

    def text(self, _: Prompt, answer: Answer, /) -> str:
        """What the teacher wrote, as the document of its genre."""
        return self._genre.text(answer)

    def check(self, prompt: Prompt, text: str) -> Problem | None:
        """What is wrong with a text, if anything is."""
        repeated, copied = self._genre.most_repeated, self._settings.max_copied
        found = checks.problem(prompt, self.said(text), repeated, copied)
        wrong = '' if found else self._genre.check(text)
        return Problem('malformed', wrong) if wrong else found

    def said(self, text: str) -> str:
        """What of a text is language."""
        return self._genre.said(text)

    def _extract(self, index: int) -> Document:
        """Of two neighbours one shows an extract, where there are two views."""
        return self._extracts[self._order(index // 2 % len(self._extracts))]

    @functools.cached_property
    def _order(self) -> Permutation:
        return Permutation(len(self._extracts), f'{self._settings.seed}/extracts')


def _first_number(text: str) -> int:
    found = re.search(r'\d+', text)
    return int(found[0]) if found else 0


def identity(kinds: Sequence[str], settings: Settings) -> str:
    """The sha256 of the templates and levels of kinds: other wording makes other texts."""
    templates = {kind: prompts.load(kind, settings.templates) for kind in kinds}
    plain = [
        {kind: {n: each.digest for n, each in found.items()} for kind, found in templates.items()},
        prompts.load_levels(settings.kind, settings.levels),
        dataclasses.asdict(settings),
    ]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()
