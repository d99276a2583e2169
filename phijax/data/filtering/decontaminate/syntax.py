"""Functions that are built like the solution of a problem, whatever their names.

A function's signature is the types of its AST's nodes in pre-order, a character each. It has no
names, values, comments or docstrings, and neither annotations nor decorators: `x: int = 1` is
`x = 1`, and a statement that is a constant alone is nothing. A function inside another one is of
both. The match rate of two signatures is 1 - d / n, where d is their Levenshtein distance and n the
length of the longer one.
Source: arXiv:2306.11644, sec. 5.2: edits between ASTs, as a match rate tau. How it is normalised
and what is of the AST is not published: the above is our choice.

A small function is like too many others: it has to be the same in its spelling, which is its
signature with the constants, the names of attributes and of what Python has built in, and for all
other names which of them are the same.

Only whole documents of Python 3 are parsed: code in
Markdown or inside of texts is not looked at.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import gc
import warnings
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from phijax.data.filtering.decontaminate.rules import Settings

Node = Any
Spelling = tuple[Hashable, ...]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Fields that hold statements, or what holds them.
_BLOCKS = ('body', 'handlers', 'cases', 'orelse', 'finalbody')
# Fields without nodes, and those that are no part of a signature.
_LEFT_OUT = frozenset(
    {'annotation', 'decorator_list', 'returns', 'type_comment', 'type_ignores', 'type_params'}
    | {'arg', 'asname', 'attr', 'id', 'kwd_attrs', 'module', 'name', 'rest'}
    | {'conversion', 'ctx', 'is_async', 'kind', 'level', 'simple', 'tag'}
)
_ONLY_VALUES = (ast.Constant, ast.MatchSingleton, ast.Global, ast.Nonlocal)


class Function(NamedTuple):
    """A function of a document.

    Attributes:
        signature: a character for each node.
        spelling: what of a small function does not change with its names; empty of a larger one.
        first: its first line, from 1, decorators left out.
        last: its last line.
    """

    name: str
    signature: str
    spelling: Spelling
    first: int
    last: int


def parse(text: str, settings: Settings) -> tuple[list[Function], str]:
    """The functions of a document, methods among them; or none, and the reason why.

    Reasons: `no_functions`, `too_large`, `not_python` (Python 2 among them), `too_deep`.
    """
    if 'def ' not in text:
        return [], 'no_functions'
    if len(text) > settings.max_bytes:
        return [], 'too_large'
    try:
        with warnings.catch_warnings(action='ignore'):
            tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return [], 'not_python'
    except (RecursionError, MemoryError):
        return [], 'too_deep'
    found = [each for node in _outermost(tree) for each in _sign(node, settings.min_nodes)]
    return found, '' if found else 'no_functions'


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Holds the garbage collector off: it would look at every node again, and trees have no cycles.

    Parsing takes a quarter less of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _outermost(tree: ast.Module) -> Iterator[Node]:
    """The functions of a module that are in no other function."""
    pending: list[Node] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, _FUNCTIONS):
            yield node
        else:
            blocks = [getattr(node, name, ()) for name in reversed(_BLOCKS)]
            pending += [child for block in blocks if type(block) is list for child in block[::-1]]


def _sign(function: Node, min_nodes: int) -> Iterator[Function]:
    """A function and those inside of it."""
    nodes, spans = _walk(function)
    signature = ''.join([_CHARACTERS[node.__class__] for node in nodes])
    for start, end in spans:
        node = nodes[start]
        small = end - start < min_nodes
        spelling = _spell(nodes[start:end]) if small else ()
        yield Function(node.name, signature[start:end], spelling, node.lineno, node.end_lineno)


def _walk(function: Node) -> tuple[list[Node], list[list[int]]]:
    """The nodes of a signature in pre-order, and from where to where each function among them is.

    A loop without calls: it is run for every node of a corpus.
    """
    nodes: list[Node] = []
    spans: list[list[int]] = []
    pending: list[Node] = [function]
    while pending:
        node = pending.pop()
        kind = node.__class__
        if kind is int:
            spans[node].append(len(nodes))
            continue
        # A missing default, and a statement that says something to a reader only.
        if node is None or (kind is ast.Expr and node.value.__class__ is ast.Constant):
            continue
        if kind in _FUNCTIONS:
            pending.append(len(spans))
            spans.append([len(nodes)])
        nodes.append(node)
        for field in _CHILDREN[kind]:
            value = getattr(node, field)
            if value.__class__ is list:
                pending += value[::-1]
            else:
                pending.append(value)
    return nodes, spans


def _spell(nodes: Sequence[Node]) -> Spelling:
    """The types of nodes with their values, and names: a number for those that are free to choose.

    The number says where a name was met first, so that renaming changes nothing.
    """
    numbers: dict[str, int] = {}
    spelling: list[Hashable] = []
    for node in nodes:
        kind = node.__class__
        value: Hashable = None
        if kind is ast.Constant:
            # To Python 1, 1.0 and True are equal.
            value = (node.value.__class__, node.value)
        elif kind in _OWN_NAME:
            name = getattr(node, _OWN_NAME[kind])
            value = name if name in _BUILTINS else numbers.setdefault(name, len(numbers))
        elif kind is ast.Attribute:
            value = node.attr
        spelling.append((kind, value))
    return tuple(spelling)


def _kinds() -> list[type[ast.AST]]:
    """All types of nodes that Python has."""
    found = [kind for kind in vars(ast).values() if isinstance(kind, type)]
    return sorted({k for k in found if issubclass(k, ast.AST)}, key=lambda kind: kind.__name__)


def _children(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields of a type of node that hold nodes, the last one first."""
    fields = () if issubclass(kind, _ONLY_VALUES) else kind._fields
    return tuple(field for field in fields[::-1] if field not in _LEFT_OUT)


# The field with a name that a function's author chose, or that Python has built in.
_OWN_NAME = dict.fromkeys(_FUNCTIONS, 'name') | {ast.Name: 'id', ast.arg: 'arg'}
_BUILTINS = frozenset(dir(builtins))
_CHILDREN = {kind: _children(kind) for kind in _kinds()} | {ast.AnnAssign: ('value', 'target')}
_CHARACTERS = {kind: chr(ord('!') + number) for number, kind in enumerate(_kinds())}
_CHARACTERS[ast.AnnAssign] = _CHARACTERS[ast.Assign]
