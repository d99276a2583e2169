import ast
import gc
import sys
import warnings

import pytest

from phijax.data.filtering.decontaminate import Item, Settings
from phijax.data.filtering.decontaminate.syntax import Function, parse, without_collection
from tests.data.filtering.decontaminate import planted

SETTINGS = Settings(min_nodes=3)


def functions(text: str, settings: Settings = SETTINGS) -> list[Function]:
    found, reason = parse(text, settings)
    assert bool(found) != bool(reason)
    return found


def signature(text: str) -> str:
    return functions(text)[0].signature


PLAIN = 'def f(a, b):\n    x = a + b\n    return g(x)\n'


@pytest.mark.parametrize(
    'same',
    [
        'def other(left, right):\n    both = left + right\n    return call(both)\n',
        'def f(a, b):\n    """Adds."""\n    # Now add.\n    x = a + b\n    return g(x)  # done\n',
        'def f(a: int, b: "str" = None) -> int:\n'.replace(' = None', '')
        + '    x: int = a + b\n    return g(x)\n',
        '@cached\ndef f(a, b):\n\n    x = (a + b)\n\n    return (g((x)))\n',
        'def f(a, b):\n    ...\n    x = a + b\n    "a remark"\n    return g(x)\n',
    ],
)
def test_what_is_no_part_of_a_signature(same: str) -> None:
    assert signature(same) == signature(PLAIN)


@pytest.mark.parametrize(
    'other',
    [
        'def f(a, b):\n    x = a - b\n    return g(x)\n',
        'def f(a, b):\n    x = a + b\n    return x\n',
        'def f(a, b):\n    x = a + 1\n    return g(x)\n',
        'def f(a, *b):\n    return g(a + b)\n',
        'async def f(a, b):\n    x = a + b\n    return g(x)\n',
    ],
)
def test_what_is_part_of_a_signature(other: str) -> None:
    assert signature(other) != signature(PLAIN)


def test_order_counts() -> None:
    first, second = 'def f(a):\n    g()\n    return a\n', 'def f(a):\n    return a\n    g()\n'
    assert signature(first) != signature(second)
    assert sorted(signature(first)) == sorted(signature(second))


PLACES = """if True:
    def a(): pass
else:
    class C:
        @property
        def b(self):
            def c(): return 1
            return c
        async def d(self): pass
try:
    pass
except E:
    def e(): pass
finally:
    with x:
        def f(): pass
match x:
    case 1:
        def g(): pass
"""


def test_every_function_is_found_with_its_place() -> None:
    found = {each.name: (each.first, each.last) for each in functions(PLACES)}
    assert found == {
        'a': (2, 2),
        'b': (6, 8),
        'c': (7, 7),
        'd': (9, 9),
        'e': (13, 13),
        'f': (16, 16),
        'g': (19, 19),
    }


def test_a_function_inside_is_of_both() -> None:
    outer, inner = functions('def f(a):\n    def g(b):\n        return b\n    return g(a)\n')
    assert inner.signature == signature('def g(b):\n    return b\n')
    assert inner.signature in outer.signature
    assert len(outer.signature) > len(inner.signature)


def expected(text: str) -> list[type]:
    """The types of nodes of a function by Python's own walk, where nothing is left out."""
    found: list[type] = []

    def walk(node: ast.AST) -> None:
        if not isinstance(node, ast.expr_context):
            found.append(type(node))
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(ast.parse(text).body[0])
    return found


def test_nodes_are_those_that_python_walks(items: list[Item]) -> None:
    """Python's library and all solutions, written without what a signature leaves out."""
    kinds: dict[str, type] = {}
    with warnings.catch_warnings(action='ignore'):
        codes = [item.code for item in items if item.code]
        trees = [ast.parse(text) for text in (*planted.stdlib(30).values(), *codes)]
    for tree in trees:
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            bare = ast.unparse(Bare().visit(node))
            walked, [made, *_] = expected(bare), functions(bare)
            assert len(made.signature) == len(walked), bare
            for character, kind in zip(made.signature, walked, strict=True):
                assert kinds.setdefault(character, kind) is kind
    assert len(kinds) > 60


class Bare(ast.NodeTransformer):
    """Takes out what a signature leaves out."""

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.decorator_list, node.returns = [], None
        return node

    def visit_ClassDef(self, node):
        self.generic_visit(node)
        node.decorator_list = []
        return node

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        self.generic_visit(node)
        return ast.Assign([node.target], node.value or ast.Constant(0), lineno=1)

    def visit_Expr(self, node):
        self.generic_visit(node)
        is_remark = isinstance(node.value, ast.Constant)
        return ast.Pass() if is_remark else node


@pytest.mark.parametrize(
    ('first', 'second', 'is_same'),
    [
        ('def f(a): return len(a)', 'def g(text): return len(text)', True),
        ('def f(a): return len(a)', 'def f(a): return max(a)', False),
        ('def f(a): return a % 2', 'def f(a): return a % 3', False),
        ('def f(a): return a.upper()', 'def f(a): return a.lower()', False),
        ('def f(a): return g(g(a))', 'def f(a): return h(h(a))', True),
        ('def f(a): return g(g(a))', 'def f(a): return g(h(a))', False),
        ('def f(a, b): return a', 'def f(a, b): return b', False),
        ('def f(a): return f(a)', 'def g(a): return g(a)', True),
        ('def f(a): return a + 1', 'def f(a): return a + True', False),
        ('def f(a): return f(a)', 'def f(a): return g(a)', False),
    ],
)
def test_spelling(first: str, second: str, is_same: bool) -> None:
    found = [functions(text, Settings(min_nodes=20))[0] for text in (first, second)]
    assert (found[0].spelling == found[1].spelling) == is_same
    assert all(each.spelling for each in found)


def test_only_small_functions_are_spelled() -> None:
    size = len(signature(PLAIN))
    assert functions(PLAIN, Settings(min_nodes=size + 1))[0].spelling
    assert not functions(PLAIN, Settings(min_nodes=size))[0].spelling


DEEP = 50_000
HOSTILE = {
    'nothing': ('', 'no_functions'),
    'prose': ('A word on the def of words.', 'not_python'),
    'a module': ('x = "def "\n', 'no_functions'),
    'null bytes': ('def f():\n    return "\0"\n', 'not_python'),
    'lone surrogate': ('def f():\n    return "\ud800"\n', 'not_python'),
    'Python 2': ('def f():\n    print "x"\n', 'not_python'),
    'Python 2, except': ('def f():\n    try: pass\n    except E, e: pass\n', 'not_python'),
    'tabs and spaces': ('def f():\n\tif x:\n        y\n', 'not_python'),
    'cut off': ('def f(a, b', 'not_python'),
    'a fence': ('```python\ndef f(): pass\n```\n', 'not_python'),
    'coding': ('# coding: nonsense\ndef f(): pass\n', ''),
    'parentheses': ('def f(): return ' + '(' * DEEP + ')' * DEEP, 'not_python'),
    'signs': ('def f(): return ' + '-' * DEEP + '1', 'too_deep'),
    'sums': ('def f(): return ' + '1+' * DEEP + '1', 'too_deep'),
    'attributes': ('def f(): return a' + '.b' * DEEP, 'too_deep'),
    'calls': ('def f(): return a' + '()' * DEEP, 'too_deep'),
    'nested blocks': (
        'def f():\n' + ''.join(' ' * (n + 1) + 'if x:\n' for n in range(99)) + ' ' * 100 + 'y\n',
        'not_python',
    ),
    'else if': ('def f():\n if x: y\n' + ' elif x: y\n' * DEEP, 'too_deep'),
    'a number of many bits': (f'def f(): return 0x{"f" * 5000}\n', ''),
    'large': ('def f(): pass\n' * 80_000, 'too_large'),
    'a number of many digits': (f'def f(): return {"9" * 5000}\n', 'not_python'),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_bad_documents_are_counted(name: str) -> None:
    text, reason = HOSTILE[name]
    found, why = parse(text, Settings())
    assert (bool(found), why) == (not reason, reason)


def test_many_functions_in_one_another() -> None:
    """A hundred levels are beyond Python's parser; twenty are signed without recursion."""
    text = ''.join(' ' * n + f'def f{n}():\n' for n in range(20)) + ' ' * 20 + 'pass\n'
    found = functions(text)
    assert [each.name for each in found] == [f'f{n}' for n in range(20)]
    assert len(found[0].signature) == 20 * 2 + 1


def test_a_long_chain_needs_no_recursion() -> None:
    depth = sys.getrecursionlimit() // 2
    assert len(signature(f'def f(): return {"not " * depth}1')) > depth


def test_the_collector_is_as_before() -> None:
    assert gc.isenabled()
    with without_collection():
        assert not gc.isenabled()
        with without_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
