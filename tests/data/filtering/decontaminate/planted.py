"""Leaks that are planted: problems, changed as people and models change them."""

import ast
import builtins
import re
import sysconfig
from collections.abc import Callable
from pathlib import Path

from phijax.data.filtering.decontaminate import Item

KEPT = frozenset(dir(builtins))


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


class Rename(ast.NodeTransformer):
    """Gives every name that a program chose another one, and takes comments and docstrings out."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def new(self, name: str) -> str:
        return name if name in KEPT else self.names.setdefault(name, f'other_{len(self.names)}')

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.new(node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self.new(node.arg))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name, node.returns = self.new(node.name), None
        remarks = [n for n in node.body if isinstance(n, ast.Expr) and is_text(n.value)]
        node.body = [child for child in node.body if child not in remarks]
        return self.generic_visit(node)


class Restructure(ast.NodeTransformer):
    """Writes the same another way: a result has a name, and `x += 1` is `x = x + 1`."""

    def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
        result = ast.Assign([ast.Name('result', ast.Store())], node.value or ast.Constant(None))
        return [result, ast.Return(ast.Name('result', ast.Load()))]

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        read = ast.parse(ast.unparse(node.target), mode='eval').body
        return ast.Assign([node.target], ast.BinOp(read, node.op, node.value))


class Reorder(ast.NodeTransformer):
    """Swaps the first two neighbours in a body that are assignments."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        for number, pair in enumerate(zip(node.body, node.body[1:], strict=False)):
            if all(isinstance(each, ast.Assign) for each in pair):
                node.body[number : number + 2] = pair[::-1]
                break
        return node


def rewrite(code: str, *changes: ast.NodeTransformer) -> str:
    tree = ast.parse(code)
    for change in changes:
        tree = change.visit(tree)
    return ast.unparse(ast.fix_missing_locations(tree)) + '\n'


def without_docstrings(item: Item) -> str:
    return rewrite(item.code, Rename())


def reworded(text: str) -> str:
    """A text of which every fourth word is another one."""
    words = text.split()
    return ' '.join('rather' if n % 4 == 3 else word for n, word in enumerate(words))


def reordered(text: str) -> str:
    """The sentences of a text, the last one first."""
    return ' '.join(re.split(r'(?<=[.?!\n])\s+', text.strip())[::-1])


def documented(docstring: str, code: str) -> str:
    """Code after a text, as a docstring of its module."""
    text = docstring.replace('\\', '/').replace('"', "'")
    return f'"""\n{text}\n"""\n\n\n{code}'


CODE: dict[str, Callable[[Item], str]] = {
    'verbatim': lambda item: item.code,
    'docstring alone': lambda item: documented(item.question, 'def later():\n    pass\n'),
    'renamed, no comments': without_docstrings,
    'reordered docstring, renamed': lambda item: documented(
        reordered(item.question), without_docstrings(item)
    ),
    'reordered statements, renamed': lambda item: rewrite(item.code, Rename(), Reorder()),
    'reworded, renamed': lambda item: documented(reworded(item.question), without_docstrings(item)),
    'restructured, renamed': lambda item: rewrite(item.code, Rename(), Restructure()),
}

TEXT: dict[str, Callable[[Item], str]] = {
    'verbatim': lambda item: f'Q: {item.question}\nA: {item.answer}',
    'question alone': lambda item: item.question,
    'answer alone': lambda item: item.answer,
    'other layout, case and marks': lambda item: (
        re.sub(r"[.,;:!?'\u2019$]", ' ', item.question).upper().replace(' ', ' \n ')
    ),
    'reordered sentences': lambda item: reordered(item.question),
    'other numbers': lambda item: re.sub(r'\d+', '77', item.question),
    'reworded': lambda item: reworded(item.question),
}

# Problems that look like those of GSM8K, and are not.
BENIGN = [
    f'{name} has {first} {thing}. {name} buys {second} more {thing} and gives {third} of them to a '
    f'friend. How many {thing} does {name} have left at the end of the day?'
    for name in ('Janet', 'Tom', 'Maria', 'Wei')
    for thing in ('apples', 'books', 'eggs', 'marbles', 'pencils')
    for first, second, third in ((16, 3, 4), (20, 5, 7), (100, 12, 30))
]


def stdlib(limit: int = 1000) -> dict[str, str]:
    """The texts of Python's own library without its tests, by path."""
    root = Path(sysconfig.get_paths()['stdlib'])
    paths = [
        path
        for path in sorted(root.rglob('*.py'))
        if not {'site-packages', 'dist-packages', 'test', 'tests', 'idle_test'} & {*path.parts}
    ]
    return {str(path.relative_to(root)): path.read_text(errors='replace') for path in paths[:limit]}
