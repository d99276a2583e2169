"""Programs of exercises: one function, its docstring and its body as texts."""

from __future__ import annotations

import ast
import copy
import re
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

INDENT = ' ' * 4
_FENCE = r'^ {0,3}```'
_BLOCK = re.compile(rf'{_FENCE}[ \t]*(?:python|py)?[ \t]*\n(.*?){_FENCE}', re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Function:
    """A function and the imports above it.

    Attributes:
        arguments: as they are written, without annotations.
        docstring: without its indentation; '' if there is none.
        body: what comes after the docstring, without indentation; '' if nothing does.
    """

    name: str
    arguments: str
    docstring: str
    body: str
    imports: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """The signature and docstring, as a question shows them."""
        docstring = textwrap.indent(quoted(self.docstring), INDENT)
        return f'def {self.name}({self.arguments}):\n{docstring}'

    @property
    def text(self) -> str:
        """The whole program."""
        above = '\n'.join(self.imports) + '\n\n\n' if self.imports else ''
        return f'{above}{self.head}\n{textwrap.indent(self.body, INDENT)}\n'


def quoted(docstring: str) -> str:
    """A docstring between its marks."""
    raw = 'r' * ('\\' in docstring)
    end = '\n' * ('\n' in docstring or docstring.endswith('"'))
    return f'{raw}"""{docstring}{end}"""'


def code_in(answer: str) -> str:
    """The first block of code in an answer, or all of it where there are no marks of one."""
    block = _BLOCK.search(answer)
    return block[1] if block else answer


def parse(code: str) -> ast.Module:
    """The tree of a program.

    Raises:
        SyntaxError: it is no Python.
    """
    try:
        with warnings.catch_warnings(action='ignore'):
            return ast.parse(code)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error)) from error


def find(code: str, name: str) -> Function | None:
    """The function of a name at the top of a program, the last of several; None without one.

    Raises:
        SyntaxError: it is no Python.
    """
    tree = parse(code)
    named = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    return take(code, named[-1], imports) if named else None


def take(code: str, node: ast.FunctionDef, imports: Sequence[ast.stmt] = ()) -> Function:
    """A function of a program, without its decorators."""
    docstring = ast.get_docstring(node)
    return Function(
        node.name,
        arguments(node),
        docstring or '',
        _source(code, node.body if docstring is None else node.body[1:]),
        tuple(map(ast.unparse, imports)),
    )


def arguments(node: ast.FunctionDef) -> str:
    """The arguments of a function, without annotations."""
    bare = copy.deepcopy(node.args)
    for each in ast.walk(bare):
        if isinstance(each, ast.arg):
            each.annotation = None
    return ast.unparse(bare)


def _source(code: str, statements: list[ast.stmt]) -> str:
    """The lines of statements with the comments between them, without indentation."""
    if not statements:
        return ''
    first, last = statements[0], statements[-1]
    lines = code.split('\n')[first.lineno - 1 : last.end_lineno]
    if lines[0][: first.col_offset].strip():  # `def f(x): return x`
        return '\n'.join(map(ast.unparse, statements))
    return textwrap.dedent('\n'.join(lines))
