"""Taxonomies: trees of topics in which no leaf says what another says."""

from __future__ import annotations

import collections
import functools
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from phijax.data.errors import MissingDataError
from phijax.data.settings import check
from phijax.data.synthesis import outline
from phijax.errors import InputError

HERE = Path(__file__).parent / 'taxonomies'
SEPARATOR = ' > '
# Names whose words agree to this part are one topic. Our choice.
SIMILAR = 0.8

_EMPTY_WORDS = frozenset(['a', 'an', 'and', 'as', 'at', 'by', 'for', 'from', 'in', 'into', 'of'])
_EMPTY_WORDS |= {'on', 'or', 'the', 'to', 'with'}

Path_ = tuple[str, ...]


@functools.lru_cache(1 << 16)
def normal(name: str) -> frozenset[str]:
    """The words that a name is known by: no case, no plurals, and none that say nothing."""
    folded = unicodedata.normalize('NFKC', name).casefold()
    words = {_singular(word) for word in re.findall(r'\w+', folded)}
    return frozenset(words - _EMPTY_WORDS) or frozenset(words)


def _singular(word: str) -> str:
    if word.endswith('ies') and len(word) > 4:
        return word[:-3] + 'y'
    if re.search(r'(?:ss|x|ch|sh)es$', word):
        return word[:-2]
    return word[:-1] if len(word) > 3 and re.search(r'[^su]s$', word) else word


class Known:
    """Names that are taken; finds those that say the same, in time that does not grow with them.

    Two sets with a Jaccard similarity of t share one of the first n - ceil(t n) + 1 of the n words
    of each, in any order that both keep. Long words come first here, as they are in fewer names.
    """

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._by_words: dict[frozenset[str], str] = {}
        self._by_first: dict[str, list[frozenset[str]]] = collections.defaultdict(list)

    def find(self, name: str) -> tuple[str, str]:
        """Why a name cannot be taken, and the name that was before; two empty texts if it can."""
        words = normal(name)
        if words in self._by_words:
            return 'duplicate', self._by_words[words]
        for first in _prefix(words):
            for other in self._by_first[first]:
                if len(words & other) >= SIMILAR * len(words | other):
                    return 'near_duplicate', self._by_words[other]
        return '', ''

    def take(self, name: str) -> None:
        """Takes a name."""
        words = normal(name)
        self._by_words[words] = name
        for first in _prefix(words):
            self._by_first[first].append(words)


def _prefix(words: frozenset[str]) -> list[str]:
    ordered = sorted(words, key=lambda word: (-len(word), word))
    return ordered[: len(words) - math.ceil(SIMILAR * len(words)) + 1]


def load(taxonomy: str) -> list[Path_]:
    """The paths of a taxonomy's entries: one of ours by its name, or a file.

    Raises:
        MissingDataError: if there is no such file.
        InputError: if it is empty, or two entries have one name; with both lines.
    """
    path = HERE / f'{taxonomy}.txt'
    if not path.is_file():
        path = Path(taxonomy)
    if not path.is_file():
        ours = ', '.join(sorted(each.stem for each in HERE.glob('*.txt')))
        raise MissingDataError(f'topics.taxonomy is {taxonomy!r}; it must be a file, or {ours}.')
    entries = outline.parse(path.read_text('utf-8'), path.name)
    check(bool(entries), path.name, 'empty', 'an outline with a topic or more')
    _check_unlike(entries, path.name)
    return [entry.path for entry in entries]


def _check_unlike(entries: Iterable[outline.Entry], file: str) -> None:
    known = Known()
    lines: dict[str, int] = {}
    for path, line in entries:
        name = path[-1]
        reason, other = known.find(name)
        if reason:
            raise InputError(
                f'{file}, line {line}: {name!r} repeats {other!r} of line {lines[other]}. A name '
                'must tell its topic from all others: take one away, or say what is different.'
            )
        known.take(name)
        lines[name] = line


def leaves(paths: Sequence[Path_]) -> list[Path_]:
    """The paths that no other goes on from, in their order."""
    inner = {path[:-1] for path in paths}
    return [path for path in paths if path not in inner]


def area(path: Path_) -> str:
    """The way to a topic, in words for a prompt: the nearest first."""
    return ', within '.join(reversed(path[:-1])) or path[0]


def draw(paths: Iterable[Path_]) -> str:
    """The tree as an outline, with the number of leaves below each entry: `load` reads it again."""
    paths = list(paths)
    counts = collections.Counter(
        leaf[:depth] for leaf in leaves(paths) for depth in range(1, len(leaf))
    )
    return ''.join(f'{line}\n' for line in _lines(paths, counts))


def _lines(paths: Sequence[Path_], counts: collections.Counter[Path_]) -> Iterator[str]:
    children = collections.defaultdict(list)
    for path in paths:
        children[path[:-1]].append(path)
    waiting = list(reversed(children[()]))
    while waiting:
        path = waiting.pop()
        remark = f'  # {counts[path]}' if counts[path] else ''
        yield ' ' * outline.INDENT * (len(path) - 1) + path[-1] + remark
        waiting += reversed(children[path])
