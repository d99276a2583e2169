"""Topics: a taxonomy that the teacher divides further, node by node, until it has leaves enough.

The teacher names several parts of a node with the probability that another would name them too, and
what is taken is drawn with weights against that probability.
Source: verbalised sampling, arXiv:2510.01171; that the draw is without replacement is our choice.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phijax.data.client import Answer, Request
from phijax.data.settings import check
from phijax.data.synthesis import prompts, taxonomy
from phijax.data.synthesis.factors import Sampler
from phijax.data.synthesis.taxonomy import Path_

# Questions that are asked together, with the same knowledge of what is there. Our choice.
AT_ONCE = 256
# Questions for each that would do if every answer were new. Our choice.
_SPARE = 1.25
MOST_WORDS = 9
# Less certain than that is not asked about: it keeps the weights finite.
_LEAST = 0.01

Ask = Callable[[Iterable[Request]], Iterator[Answer]]


@dataclass(frozen=True)
class Settings:
    """How topics are found.

    Attributes:
        taxonomy: `code`, `commonsense` or the path of an outline.
        leaves: how many topics; with 0, those of the taxonomy are not divided.
            Source: arXiv:2309.05463, sec. 2.2: 20,000 topics.
        replies: how often a node is asked about, each time from another side.
        candidates: parts that are named in a reply. Our choice, as are the others.
        keep: of these, how many are drawn.
    """

    taxonomy: str = 'code'
    leaves: int = 0
    replies: int = 2
    candidates: int = 5
    keep: int = 3
    seed: int = 0
    temperature: float = 1.0
    max_tokens: int = 400

    def __post_init__(self) -> None:
        """Checks the values; raises InputError at the first that cannot be used."""
        check(self.leaves >= 0, 'topics.leaves', self.leaves, '0 or more')
        facets = len(prompts.load_levels('topics')['facet'])
        check(1 <= self.replies <= facets, 'topics.replies', self.replies, f'from 1 to {facets}')
        check(1 <= self.candidates <= 10, 'topics.candidates', self.candidates, 'from 1 to 10')
        check(1 <= self.keep <= self.candidates, 'topics.keep', self.keep, f'to {self.candidates}')


@dataclass
class Tree:
    """Topics, and what was dropped on the way, by reason."""

    paths: list[Path_]
    dropped: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    added: int = 0

    def __post_init__(self) -> None:
        """Takes the names that are there."""
        self.known = taxonomy.Known()
        for path in self.paths:
            self.known.take(path[-1])
        self.num_leaves = len(taxonomy.leaves(self.paths))
        self.children: dict[Path_, list[str]] = {}

    def add(self, parent: Path_, name: str) -> None:
        """Puts a topic below another."""
        self.known.take(name)
        self.paths.append((*parent, name))
        siblings = self.children.setdefault(parent, [])
        # The first child takes its parent's place among the leaves.
        self.num_leaves += bool(siblings)
        siblings.append(name)
        self.added += 1


def schema(most: int) -> dict[str, Any]:
    """What a reply must look like."""
    topic = {
        'type': 'object',
        'properties': {
            'name': {'type': 'string', 'minLength': 2, 'maxLength': 100},
            'probability': {'type': 'number', 'minimum': 0, 'maximum': 1},
        },
        'required': ['name', 'probability'],
    }
    topics = {'type': 'array', 'items': topic, 'minItems': 1, 'maxItems': 2 * most}
    return {'type': 'object', 'properties': {'topics': topics}, 'required': ['topics']}


def grow(settings: Settings, ask: Ask) -> Tree:
    """The taxonomy after it was divided until it has `settings.leaves`, or no more parts are found.

    Raises:
        InputError: as `ask` does, or if the taxonomy is wrong.
    """
    tree = Tree(taxonomy.load(settings.taxonomy))
    asked: set[Path_] = set()
    while tree.num_leaves < settings.leaves:
        nodes = [path for path in taxonomy.leaves(tree.paths) if path not in asked]
        if not nodes:
            break
        asked.update(nodes)
        _divide(tree, nodes, settings, ask)
    return tree


def _divide(tree: Tree, nodes: Sequence[Path_], settings: Settings, ask: Ask) -> None:
    """Asks about the nodes until there are leaves enough; all once before any twice."""
    facets = prompts.load_levels('topics')['facet']
    by_name = {taxonomy.SEPARATOR.join(path): path for path in nodes}
    sampler = Sampler({'node': list(by_name), 'facet': list(facets)}, settings.seed)
    samples = map(sampler, range(len(nodes) * settings.replies))
    while tree.num_leaves < settings.leaves:
        need = math.ceil(_SPARE * (settings.leaves - tree.num_leaves) / settings.keep)
        chosen = list(itertools.islice(samples, min(need, AT_ONCE)))
        if not chosen:
            return
        parents = [by_name[sample['node']] for sample in chosen]
        requests = [
            _request(tree, parent, facets[sample['facet']], settings)
            for parent, sample in zip(parents, chosen, strict=True)
        ]
        for parent, answer in zip(parents, ask(requests), strict=True):
            _take(tree, parent, answer, settings)


def _request(tree: Tree, parent: Path_, facet: str, settings: Settings) -> Request:
    values = {
        'path': taxonomy.SEPARATOR.join(parent),
        'count': str(settings.candidates),
        'facet': facet,
        'known': ', '.join(tree.children.get(parent, ())),
    }
    return Request(
        _template().render(values),
        settings.max_tokens,
        settings.temperature,
        seed=settings.seed,
        schema=schema(settings.candidates),
    )


@functools.cache
def _template() -> prompts.Template:
    return prompts.load('topics')['children']


def _take(tree: Tree, parent: Path_, answer: Answer, settings: Settings) -> None:
    """Adds what is drawn of an answer, as far as there is no such topic."""
    if answer.status != 'ok':
        tree.dropped[answer.status] += 1
        return
    fit = dict(_fit(tree, answer.value['topics']))
    drawn = draw(fit, settings.keep, f'{settings.seed}/{parent}/{answer.key}')
    tree.dropped['not_drawn'] += len(fit) - len(drawn)
    for name in drawn:
        # Two of one reply may say the same.
        reason = tree.known.find(name)[0] or 'enough' * (tree.num_leaves >= settings.leaves)
        if reason:
            tree.dropped[reason] += 1
        else:
            tree.add(parent, name)


def _fit(tree: Tree, candidates: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    for candidate in candidates:
        name = ' '.join(candidate['name'].split()).strip('.,;:-*• ')
        reason = '' if _is_name(name) else 'no_name'
        reason = reason or tree.known.find(name)[0]
        if reason:
            tree.dropped[reason] += 1
        else:
            yield name, candidate['probability']


def _is_name(name: str) -> bool:
    words = re.findall(r'\w+', name)
    return 1 <= len(words) <= MOST_WORDS and '#' not in name and taxonomy.SEPARATOR not in name


def draw(probabilities: Mapping[str, float], count: int, key: str) -> list[str]:
    """Some of the names, without replacement, each with a weight of 1 / probability.

    Source: Efraimidis and Spirakis, Information Processing Letters 97, 2006: the greatest of
    u ** (1 / weight), with u from 0 to 1; here u is a hash of the key and the name.
    """

    def place(name: str) -> tuple[float, str]:
        raw = hashlib.blake2b(f'{key}/{name}'.encode(), digest_size=8).digest()
        u = (int.from_bytes(raw) + 1) / (2**64 + 1)
        return math.log(u) * max(probabilities[name], _LEAST), name

    return sorted(probabilities, key=place, reverse=True)[:count]
