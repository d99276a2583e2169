"""Examples in docstrings: which of them can be checked, and the tests that check them.

An example can be checked where it is one expression of calls with literals, and what follows is a
literal. The tests are made anew out of the two, so what a docstring says is data and never runs as
it stands.
"""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Sequence
from dataclasses import dataclass

# Functions that may stand around the call: they make plain values of what is none, or sum it up.
_AROUND = (
    'list tuple set frozenset dict sorted len sum min max any all next iter str repr abs round '
    'bool int float zip range enumerate'
)
AROUND = frozenset(_AROUND.split())
_NODES = (
    ast.Expression,
    ast.Call,
    ast.keyword,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.Set,
    ast.Dict,
    ast.UnaryOp,
    ast.unaryop,
    ast.BinOp,
    ast.operator,
    ast.Compare,
    ast.cmpop,
)
# Equal, and of the same type; trusted, and outside the program's process.
SETUP = """
def same(value, wanted):
    return type(value) is type(wanted) and value == wanted
"""


@dataclass(frozen=True)
class Example:
    """A call and the value that it has.

    Attributes:
        call: an expression.
        value: a literal.
    """

    call: str
    value: str

    @property
    def text(self) -> str:
        """As it stands in a docstring."""
        return f'>>> {self.call}\n{self.value}'


def split(docstring: str, name: str) -> list[str | Example | None]:
    """A docstring as prose and the examples in it, None for each that cannot be checked.

    Raises:
        ValueError: the examples are not written as doctest wants them.
    """
    pieces = doctest.DocTestParser().parse(docstring)
    return [piece if isinstance(piece, str) else _example(piece, name) for piece in pieces]


def tests(examples: Sequence[Example]) -> str:
    """Trusted tests of examples, for `phijax.sandbox`, after `SETUP`."""
    return '\n'.join(
        f'assert same({each.call}, {each.value}), {f"{each.call} is not {each.value}"!r}'
        for each in examples
    )


def _example(found: doctest.Example, name: str) -> Example | None:
    """The example in Python's own spelling; None where it cannot be checked."""
    if found.exc_msg or found.options or not _is_plain(found.want):
        return None
    try:
        call = ast.parse(found.source.strip(), mode='eval')
        value = ast.unparse(ast.parse(found.want.strip(), mode='eval'))
        ast.literal_eval(value)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return Example(ast.unparse(call), value) if _is_call(call, name) else None


def _is_call(expression: ast.Expression, name: str) -> bool:
    """Whether an expression has nothing but literals, and calls of a name and of what is around."""
    nodes = list(ast.walk(expression))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    plain = all(isinstance(node, _NODES) for node in nodes)
    return plain and {*map(type, called)} <= {ast.Name} and name in names <= AROUND | {name}


def _is_plain(wanted: str) -> bool:
    """Whether there is a value, in one piece, without an address or dots for what was left out."""
    return bool(wanted.strip()) and not re.search(r'\.\.\.|\bat 0x', wanted)
