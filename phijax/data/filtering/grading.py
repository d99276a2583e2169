"""Grades of educational value: the scale, and a grader without a model that says what it sees.

A grade has a level, the defects that the phi-1 paper names (sec. 2.1: not self-contained; not
meaningful, such as definitions, parameters and GUI configuration; complex and poorly documented; a
topic, for an unbalanced distribution), and a reason.

Source: arXiv:2306.11644, sec. 2.1 (what is judged); the scale and the wording are our own: the
paper's prompt, its scale and its cut are not published.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

LEVELS = (0, 1, 2, 3, 4, 5)
TOPICS = (
    'algorithms',
    'data structures',
    'mathematics',
    'text processing',
    'files and formats',
    'networking',
    'databases',
    'user interface',
    'testing',
    'configuration',
    'data science',
    'systems',
    'language features',
    'other',
)


@dataclass(frozen=True)
class Grade:
    """What a grader says of a document.

    Attributes:
        level: educational value for a student of basic coding concepts, 0 to 5.
        self_contained: whether it can be understood without other files.
        meaningful: whether it computes something, rather than listing definitions or settings.
        clear: whether it is simple, or explained where it is not.
        topic: one of `TOPICS`.
        reason: a few words.
    """

    level: int
    self_contained: bool
    meaningful: bool
    clear: bool
    topic: str
    reason: str


_ALGORITHMIC = (ast.For, ast.While, ast.If, ast.BinOp, ast.AugAssign, ast.Compare, ast.Subscript)
_LISTED = re.compile(r'\s*(?:[-*+#|>]|\d+[.)]|https?:)')
_TEST_PATH = re.compile(r'(?:^|/|_)(?:tests?|conftest)(?:/|_|\.|$)')
_LIBRARY = sys.stdlib_module_names
_GUI = frozenset({'tkinter', 'PyQt5', 'PySide6', 'wx', 'gi', 'ctypes', 'distutils', 'setuptools'})
_TOPIC_WORDS = {
    'algorithms': r'sort|search|graph|recurs|dynamic|greedy|dijkstra|heap|backtrack|permut',
    'data structures': r'tree|queue|stack|linked|node|deque|heap|trie|set|dict',
    'mathematics': r'prime|matrix|polynom|integer|math|sqrt|modul|factor|gcd|fraction|random',
    'text processing': r'token|pars|regex|string|lexer|unicode|encod|text|word',
    'files and formats': r'file|path|json|csv|xml|zip|tar|archive|yaml|header',
    'networking': r'http|socket|request|url|server|client|protocol|ssl',
    'databases': r'sql|database|query|cursor|table|schema|transaction',
    'user interface': r'widget|window|button|tkinter|canvas|style|color|cursor|menu',
    'testing': r'test|assert|mock|fixture',
    'configuration': r'config|setting|option|setup|default|environment',
    'data science': r'tensor|array|numpy|model|train|feature|cluster|gradient|statistic',
    'systems': r'process|thread|signal|memory|async|lock|kernel|daemon|event',
    'language features': r'decorator|generator|iterator|context|descriptor|metaclass|closure',
}


@dataclass(frozen=True)
class _Sight:
    """What the heuristic looks at, each from 0 to 1 unless it is a count."""

    functions: int
    documented: float
    short: float
    algorithmic: float
    literal: float
    foreign: float
    commented: float
    nested: float
    examples: bool
    is_test: bool
    is_gui: bool

    @property
    def meaningful(self) -> bool:
        """Whether it computes something."""
        computes = self.functions > 0 and self.algorithmic >= 0.05
        return computes and self.literal <= 0.4 and not self.is_gui

    @property
    def clear(self) -> bool:
        """Whether it is short, and explained or flat."""
        explained = self.documented >= 0.5 or self.commented >= 0.15
        return self.short >= 0.6 and (explained or self.nested <= 0.1)


def grade(text: str, path: str = '') -> Grade:
    """The grade of a Python file by a rule that can be read: it sees form, and no meaning.

    One point each for functions of a size to read, for docstrings, for code that computes, for
    explanation in comments or examples, and for standing alone; a file of tests, of settings or of
    a user interface, or one that is mostly literals, has at most 1. It is no substitute for a
    judge that reads: it makes the chain run, and its answers repeat.

    Source: our choice.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            seen = _look(ast.parse(text), text, path)
    except (SyntaxError, ValueError, RecursionError):
        return Grade(0, False, False, False, 'other', 'it does not parse')
    return _judge(seen, topic_of(text))


_CONNECTED = re.compile(
    r'(?i)\b(?:because|therefore|thus|hence|since|so that|for example|for instance|in order to|'
    r'if|then|when|which means|however|consider|suppose|instead|as a result)\b'
)


def grade_prose(text: str, _: str = '') -> Grade:
    """The grade of a page of prose by a rule that can be read: it sees form, and no meaning.

    One point each for sentences, for sentences of a length to read, for words that connect, for
    paragraphs rather than lists, and for asking to remember little.

    Source: our choice.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    words = re.findall(r"[A-Za-z']+", text)
    sentences = re.findall(r'[^.!?\n]+[.!?]', text)
    if not lines or not words:
        return Grade(0, False, False, False, 'other', 'no words')
    length = len(words) / max(len(sentences), 1)
    connected = len(_CONNECTED.findall(text)) / max(len(sentences), 1)
    long_lines = _share(lambda line: len(line) >= 60, lines)
    listed = _share(lambda line: bool(_LISTED.match(line)), lines)
    numbers = len(re.findall(r'\d', text)) / len(text)
    points = {
        'sentences': len(sentences) >= 5,
        'of a length to read': 8 <= length <= 30,
        'connected': connected >= 0.25,
        'paragraphs': long_lines >= 0.4 and listed <= 0.2,
        'little to remember': numbers <= 0.02,
    }
    level = sum(points.values())
    meaningful = len(sentences) >= 5 and connected >= 0.1
    said = ', '.join(name for name, holds in points.items() if holds) or 'none of it'
    return Grade(
        level if meaningful else min(level, 1), True, meaningful, length <= 30, topic_of(text), said
    )


def _judge(seen: _Sight, topic: str) -> Grade:
    points = {
        'functions of a size to read': seen.functions > 0 and seen.short >= 0.75,
        'documented': seen.documented >= 0.5,
        'computes': seen.algorithmic >= 0.06 and seen.functions > 0,
        'explained': seen.examples or seen.commented >= 0.2,
        'stands alone': seen.foreign <= 0.15,
    }
    level = sum(points.values())
    if seen.is_test or not seen.meaningful:
        level = min(level, 1)
    elif not seen.clear:
        level = min(level, 3)
    said = [name for name, holds in points.items() if holds]
    said += ['a test'] if seen.is_test else []
    reason = ', '.join(said) or 'none of it'
    return Grade(level, seen.foreign <= 0.34, seen.meaningful, seen.clear, topic, reason)


def _look(tree: ast.Module, text: str, path: str) -> _Sight:
    nodes = list(ast.walk(tree))
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    modules = list(_imported(nodes))
    docstrings = [ast.get_docstring(node) or '' for node in functions]
    comments = sum(map(len, re.findall(r'(?m)^\s*#.*$', text)))
    said = comments + sum(map(len, [ast.get_docstring(tree) or '', *docstrings]))
    return _Sight(
        functions=len(functions),
        documented=_share(bool, docstrings),
        short=_share(_is_short, functions),
        algorithmic=_share(lambda node: isinstance(node, _ALGORITHMIC), nodes),
        literal=_share(lambda node: isinstance(node, ast.Constant), nodes),
        foreign=_share(_is_foreign, modules),
        commented=said / max(len(text), 1),
        nested=_share(lambda node: _depth(node) > 4, functions),
        examples=bool(re.search(r'>>>|__name__ == [\'"]__main__', text)),
        is_test=bool(_TEST_PATH.search(path)) or text.count('assert') > 2 * max(len(functions), 4),
        is_gui=not _GUI.isdisjoint(name.split('.')[0] for name in modules),
    )


def topic_of(text: str) -> str:
    """The topic whose words a text has most of; `other` when it has few of any."""
    words = text[:20_000].lower()
    counts = {topic: len(re.findall(pattern, words)) for topic, pattern in _TOPIC_WORDS.items()}
    best = max(counts, key=lambda topic: counts[topic])
    return best if counts[best] >= 3 else 'other'


def _imported(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield '.' * node.level + (node.module or '')


def _is_foreign(name: str) -> bool:
    return name.startswith('.') or name.split('.', maxsplit=1)[0] not in _LIBRARY


def _depth(node: ast.AST) -> int:
    inner = [_depth(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
    return 1 + max(inner, default=0)


def _is_short(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return (node.end_lineno or node.lineno) - node.lineno < 40


def _share(holds: Callable[[Any], bool], values: Sequence[Any]) -> float:
    """Of how many of the values it holds, from 0 to 1."""
    return sum(map(holds, values)) / max(len(values), 1)
