"""Names of functions: their words, as people who publish code choose them.

An exercise is told apart by the name of its function. Source: arXiv:2306.11644, sec. 2.3
(diversity by constraining function names); which names is not published. Ours are put together of
a verb, an object and a qualifier, each of which is in the names of several packages.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

# What functions do that are an exercise; the code decides which of them are taken. Our choice.
_VERBS = """
    add align append apply batch build calculate capitalize cast center chain check chunk clamp
    clean collapse collect combine compact compare compress compute concat convert copy count
    decode deduplicate delete detect diff divide drop encode ensure enumerate escape estimate
    evaluate exclude expand explode extend extract fill filter find flatten flip fold format
    generate group grow guess hash indent index insert interleave interpolate intersect invert
    iterate join label limit list load locate look lookup make map mark mask match max measure
    merge min mirror move multiply name normalize number order pack pad pair parse partition
    permute pick place pop predict print prune push quote rank read reduce remove rename reorder
    repeat replace resize resolve reverse rotate round sample scale scan score search select
    separate set shift shorten show shuffle simplify skip slice smooth sort split squeeze stack
    strip sum summarize swap take test tokenize total transform translate transpose traverse trim
    truncate unescape unify unpack unquote update validate verify walk weight wrap zip"""
VERBS = frozenset(_VERBS.split())
# Where the qualifier of a name begins.
_PREPOSITIONS = """
    above after as at before below between by for from in inside into of on onto over per to
    under until up using via when where while with within without"""
PREPOSITIONS = frozenset(_PREPOSITIONS.split())
# Words of an object and of a qualifier.
_SIZES = frozenset(itertools.product((0, 1, 2), (0, 2, 3)))
_WORD = re.compile(r'[a-z]{2,12}')
_LETTERS = re.compile(r'[^a-z]')
# Such short names are near nothing: `add` and `and` are two names.
_SHORT = 6


class Parts(NamedTuple):
    """What a name is made of; `object` or `qualifier` may be ''."""

    verb: str
    object: str
    qualifier: str

    def __str__(self) -> str:
        """The name."""
        return '_'.join(filter(None, self))


def divide(name: str) -> Parts | None:
    """The parts of a name, None where it is not made so.

    `sort_rows_by_key` sorts `rows` `by_key`. An object has one or two words, a qualifier two or
    three.
    """
    verb, *words = name.strip('_').split('_')
    if verb not in VERBS or not words or not all(_WORD.fullmatch(word) for word in words):
        return None
    cut = next((n for n, word in enumerate(words) if word in PREPOSITIONS), len(words))
    thing, how = words[:cut], words[cut:]
    fits = (len(thing), len(how)) in _SIZES
    return Parts(verb, '_'.join(thing), '_'.join(how)) if fits else None


def in_code(tree: ast.Module) -> Iterator[Parts]:
    """The parts of the names of all functions of a program, of those that have parts."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        parts = divide(node.name) if isinstance(node, ast.FunctionDef) else None
        if parts:
            yield parts
        # Statements alone: to walk through all expressions takes ten times as long.
        for block in ('body', 'orelse', 'finalbody', 'handlers', 'cases'):
            left += getattr(node, block, ())


class Count:
    """How many packages use each part of names."""

    def __init__(self) -> None:
        """Of no code yet."""
        self._users: Mapping[str, dict[str, set[str]]] = {
            field: defaultdict(set) for field in Parts._fields
        }

    def add(self, package: str, found: Iterable[Parts]) -> None:
        """Counts the parts of names in a package."""
        for parts in found:
            for field, word in parts._asdict().items():
                if word:
                    self._users[field][word].add(package)

    def most_used(self, field: str, most: int, least: int = 1) -> list[str]:
        """The parts that most packages use, `least` of them at least."""
        users = self._users[field]
        found = [word for word, packages in users.items() if len(packages) >= least]
        return sorted(found, key=lambda word: (-len(users[word]), word))[:most]


class Protected:
    """The names of benchmarks' functions, which no exercise may have, nor one that is near."""

    def __init__(self, names: Iterable[str]) -> None:
        """Of names as they are written."""
        self._names = {_LETTERS.sub('', name.lower()) for name in names} - {''}

    def __contains__(self, name: str) -> bool:
        """Whether a name is one of them, but for a letter, for case and for what is no letter."""
        letters = _LETTERS.sub('', name.lower())
        near = len(letters) >= _SHORT and any(is_near(letters, other) for other in self._names)
        return near or letters in self._names

    def clashes(
        self, verbs: Collection[str], objects: Sequence[str], qualifiers: Collection[str]
    ) -> set[str]:
        """The objects that some verb and qualifier would make such a name with.

        A letter's difference inside of the verb or qualifier is not looked for here.
        """
        ends = [_LETTERS.sub('', qualifier) for qualifier in qualifiers]
        middles = {
            name[len(verb) : len(name) - len(end)]
            for verb, end, name in itertools.product(verbs, ends, self._names)
            if name.startswith(verb) and name.endswith(end) and len(name) > len(verb) + len(end)
        }
        letters = {word: _LETTERS.sub('', word) for word in objects}
        pairs = itertools.product(letters, middles)
        return {word for word, middle in pairs if is_near(letters[word], middle)}


def is_near(one: str, other: str) -> bool:
    """Whether two words are the same but for one letter that is changed, added or left out."""
    short, long = sorted((one, other), key=len)
    differ = (place for place, letter in enumerate(short) if letter != long[place])
    same = next(differ, len(short))
    rest = long[same + 1 :]
    return rest in (short[same:], short[same + 1 :])
