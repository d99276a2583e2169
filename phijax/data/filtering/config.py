"""What to filter, and how, as frozen values that are checked before any work is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phijax.data.client import Budget, Endpoint
from phijax.data.filtering import annotate, decontaminate, deduplicate, features, forest, rubric
from phijax.data.settings import build, check, tuples
from phijax.data.tokenize.config import source
from phijax.errors import check_keys

SOURCES = ('files', 'stdlib', 'installed', 'hub')
LANGUAGES = ('python', 'text')
RULES = ('threshold', 'fraction', 'tokens', 'all')


@dataclass(frozen=True)
class Ingest:
    """How documents come in.

    Attributes:
        shards: how many parts the pile is cut into; about 100 MB each works well.
        language: `python` also drops what is minified, generated or no Python 3; `text` does not.
        min_characters, max_document_bytes: of a document.
        max_bytes: of text, over all shards; 0 is no bound.
    """

    shards: int = 16
    language: str = 'python'
    min_characters: int = 100
    max_document_bytes: int = 10_000_000
    max_bytes: int = 0

    def __post_init__(self) -> None:
        """Checks the values; raises InputError at the first that cannot be used."""
        check(self.shards > 0, 'ingest.shards', self.shards, 'more than 0')
        check(
            self.language in LANGUAGES,
            'ingest.language',
            self.language,
            f'one of {", ".join(LANGUAGES)}',
        )
        for name in ('min_characters', 'max_document_bytes', 'max_bytes'):
            check(getattr(self, name) >= 0, f'ingest.{name}', getattr(self, name), '0 or more')


@dataclass(frozen=True)
class Annotate:
    """How a sample is graded.

    Attributes:
        grader: `heuristic`, which sees form and no meaning, or `endpoint`, a language model.
        rubric: what the model is asked for: `code` or `web`.
        sample: how many documents. Source: arXiv:2306.11644, sec. 2.1: about 100,000.
        double_fraction: of the sample, graded twice.
        max_characters: of a document that a grader sees.
        max_bad_fraction: of grades that may fail before the run stops.
        cut: the level from which a document is valuable. Source: arXiv:2406.17557, sec. 4.
        model: that the endpoint is asked for.
    """

    grader: str = 'heuristic'
    rubric: str = 'code'
    sample: int = 100_000
    double_fraction: float = 0.05
    max_characters: int = 6000
    max_bad_fraction: float = 0.02
    cut: int = 3
    seed: int = 0
    model: str = ''
    max_tokens: int = 200
    temperature: float = 0.3

    def __post_init__(self) -> None:
        """Checks the values; raises InputError at the first that cannot be used."""
        graders, rubrics = annotate.GRADERS, rubric.RUBRICS
        check(
            self.grader in graders, 'annotate.grader', self.grader, f'one of {", ".join(graders)}'
        )
        check(
            self.rubric in rubrics, 'annotate.rubric', self.rubric, f'one of {", ".join(rubrics)}'
        )
        check(self.cut in range(1, 6), 'annotate.cut', self.cut, 'from 1 to 5')
        check(self.sample > 0, 'annotate.sample', self.sample, 'more than 0')
        for name in ('double_fraction', 'max_bad_fraction'):
            check(0 <= getattr(self, name) <= 1, f'annotate.{name}', getattr(self, name), '[0, 1]')
        if self.grader == 'endpoint':
            check(bool(self.model), 'annotate.model', self.model, 'the name of a model')


@dataclass(frozen=True)
class Select:
    """What is kept.

    Attributes:
        rule: what `amounts` are: scores to reach, fractions of the documents, or tokens. With `all`
            nothing is graded or scored, for text that was made to be learned from: `amounts` is 1.
        amounts: one for each phase of a curriculum, the widest phase first.
            Source: arXiv:2306.11644, sec. 2.1: 6B of 35B tokens are kept, 17 in 100.
        max_topic_share: of what a phase keeps, for each topic; 1 is no bound.
        num_params: of the model that will learn from it; with 0, nothing is held against a
            document for what it asks to remember.
        bytes_per_token: for the rule `tokens`.
    """

    rule: str = 'fraction'
    amounts: tuple[float, ...] = (0.17,)
    max_topic_share: float = 1.0
    num_params: int = 0
    bytes_per_token: float = 4.0

    def __post_init__(self) -> None:
        """Checks the values; raises InputError at the first that cannot be used."""
        check(self.rule in RULES, 'select.rule', self.rule, f'one of {", ".join(RULES)}')
        check(bool(self.amounts), 'select.amounts', self.amounts, 'one number or more')
        ordered = sorted(self.amounts, reverse=self.rule != 'threshold')
        check(
            list(self.amounts) == ordered,
            'select.amounts',
            self.amounts,
            'from the widest phase to the narrowest',
        )
        high = 1.0 if self.rule == 'fraction' else float('inf')
        for amount in self.amounts:
            check(0 < amount <= high, 'select.amounts', self.amounts, f'above 0, at most {high}')
        check(
            0 < self.max_topic_share <= 1, 'select.max_topic_share', self.max_topic_share, '(0, 1]'
        )
        check(
            self.rule != 'threshold' or (self.max_topic_share == 1 and not self.num_params),
            'select.rule',
            self.rule,
            'fraction or tokens, where topics or what to remember are bounded',
        )
        plain = (self.amounts, self.max_topic_share, self.num_params) == ((1.0,), 1.0, 0)
        check(
            self.rule != 'all' or plain,
            'select.rule',
            self.rule,
            'fraction or tokens, where amounts, topics or what to remember are bounded',
        )
        check(self.bytes_per_token > 0, 'select.bytes_per_token', self.bytes_per_token, 'above 0')
        check(self.num_params >= 0, 'select.num_params', self.num_params, '0 or more')


@dataclass(frozen=True)
class Tokenize:
    """How what is kept becomes tokens; as of `phijax.data.tokenize`."""

    tokenizer: str = ''
    vocab_size: int = 8192
    heldout_fraction: float = 0.01


@dataclass(frozen=True)
class Config:
    """What to filter, and how: a group for each stage.

    Attributes:
        sources: plain values by name, as of `phijax.data.tokenize`.
        endpoint, budget: of the language model; they do not decide what its answers are.
    """

    sources: Mapping[str, Mapping[str, Any]]
    endpoint: Mapping[str, Any]
    budget: Mapping[str, Any]
    ingest: Ingest
    annotate: Annotate
    embed: features.Settings
    forest: forest.Settings
    select: Select
    deduplicate: deduplicate.Plan
    decontaminate: decontaminate.Settings
    tokenize: Tokenize

    def group(self, name: str) -> dict[str, Any]:
        """The plain values of a group."""
        value = getattr(self, name)
        return dict(value) if isinstance(value, Mapping) else dataclasses.asdict(value)


_GROUPS: dict[str, Any] = {
    'ingest': Ingest,
    'annotate': Annotate,
    'embed': features.Settings,
    'forest': forest.Settings,
    'select': Select,
    'deduplicate': deduplicate.Plan,
    'decontaminate': decontaminate.Settings,
    'tokenize': Tokenize,
}


def from_dict(values: Mapping[str, Any]) -> Config:
    """The config of nested plain values.

    Raises:
        InputError: if a group or field is unknown, or a value cannot be used.
    """
    known = ('sources', 'endpoint', 'budget', *_GROUPS)
    check_keys('', {name: {} for name in known} | dict(values), known)
    sources = values.get('sources', {})
    check(bool(sources), 'sources', sources, 'one group of fields or more, by name')
    for name, fields in sources.items():
        check(
            fields.get('kind') in SOURCES,
            f'sources.{name}.kind',
            fields.get('kind'),
            f'one of {", ".join(SOURCES)}',
        )
        source(name, fields)
    groups = {
        name: build(make, tuples(values.get(name, {})), f'{name}.')
        for name, make in _GROUPS.items()
    }
    config = Config(
        sources, endpoint=values.get('endpoint', {}), budget=values.get('budget', {}), **groups
    )
    _check_endpoint(config)
    return config


def _check_endpoint(config: Config) -> None:
    """Returns when what the grader needs is there; a run must not stop for it after an hour."""
    if config.annotate.grader == 'endpoint':
        build(Budget, config.budget, 'budget.')
        build(Endpoint, {'model': config.annotate.model, **config.endpoint}, 'endpoint.')
