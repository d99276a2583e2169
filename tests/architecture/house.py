"""Rules on how the code is written: documented, annotated, short, said once.

Each rule takes the tree and gives the lines that break it.
"""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import Function, Module, Tree

FILE_LINES = 400
FUNCTION_LINES = 80
CONFIG_LINES = 60
COMMAND_STATEMENTS = 40
REPEATED_LINES = 10

MEDIAN_LINES = 8
LONG_LINES = 35
MANY_BRANCHES = 6
SOURCE_LINES = 125

# The block of one family of models; what families share is elsewhere.
FAMILIES = (
    'phijax/models/phi.py',
    'phijax/models/phi3.py',
    'phijax/models/phi3_small.py',
    'phijax/models/codegen.py',
)
FAMILY_LINES = 60

BRANCHES = (
    ast.If
    | ast.For
    | ast.While
    | ast.IfExp
    | ast.BoolOp
    | ast.Try
    | ast.comprehension
    | ast.match_case
)

EVERYWHERE = ('phijax', 'configs', 'experiments', 'tests')
SHAPELESS = frozenset({'utils.py', 'util.py', 'helpers.py', 'common.py', 'misc.py'})
UNFINISHED = re.compile(r'\b(?:TO' + r'DO|FIX' + r'ME|X' + r'XX)\b')
BANNER = re.compile(r'^\s*#\s*[-=#*~]{4}')
UNMIRRORED = frozenset(
    {'__init__', 'architecture', 'configs', 'conftest', 'errors', 'golden', 'quickstart'}
)


def documented(tree: Tree) -> Iterator[str]:
    """Public modules, classes and functions without a docstring."""
    for module in tree.within('phijax'):
        for node, name in _public(module):
            if not ast.get_docstring(node):
                yield f'{module.path}:{getattr(node, "lineno", 1)}: {name} has no docstring'


def annotated(tree: Tree) -> Iterator[str]:
    """Functions with an argument or a result of no stated type."""
    for module in tree.within('phijax'):
        for function in module.functions:
            arguments = function.args
            named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            rest = [a for a in (arguments.vararg, arguments.kwarg) if a]
            bare = [a.arg for a in named + rest if not a.annotation and a.arg not in SELF]
            if bare or not (function.returns or function.name == '__init__'):
                missing = ', '.join(bare) or 'its result'
                yield f'{module.path}:{function.lineno}: {function.name} lacks types: {missing}'


def file_lines(tree: Tree) -> Iterator[str]:
    """Files that are too long; a config and the block of a family have limits of their own."""
    for module in tree.within(*EVERYWHERE):
        lines = module.text.count('\n')
        limit = CONFIG_LINES if module.folder == 'configs' else FILE_LINES
        limit = FAMILY_LINES if module.path in FAMILIES else limit
        if lines > limit:
            yield f'{module.path}: {lines} lines, at most {limit}'


def function_lines(tree: Tree) -> Iterator[str]:
    """Functions that are too long."""
    for module in tree.within(*EVERYWHERE):
        for function in module.functions:
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES:
                yield f'{module.path}:{function.lineno}: {function.name} has {lines} lines'


def flags_only(tree: Tree) -> Iterator[str]:
    """Commands that hold more than flags: many statements, loops, classes."""
    for module in tree.within('phijax'):
        if module.is_main:
            nodes = list(ast.walk(module.syntax))
            statements = sum(isinstance(node, ast.stmt) for node in nodes)
            if statements > COMMAND_STATEMENTS:
                yield f'{module.path}: {statements} statements, at most {COMMAND_STATEMENTS}'
            for node in nodes:
                if isinstance(node, ast.For | ast.While | ast.ClassDef):
                    yield f'{module.path}:{node.lineno}: a command holds flags and nothing else'


def finished(tree: Tree) -> Iterator[str]:
    """Marks of unfinished work, and banners."""
    for module in tree.within(*EVERYWHERE):
        for number, line in enumerate(module.text.splitlines(), 1):
            if UNFINISHED.search(line) or BANNER.match(line):
                yield f'{module.path}:{number}: {line.strip()}'


def named(tree: Tree) -> Iterator[str]:
    """Files whose name says nothing of what they hold."""
    for module in tree.within(*EVERYWHERE):
        if module.path.split('/')[-1] in SHAPELESS:
            yield f'{module.path}: name it by what it holds'


def said_once(tree: Tree) -> Iterator[str]:
    """Runs of lines that stand in two places, imports and blank lines left out."""
    seen: dict[tuple[str, ...], tuple[str, int, int]] = {}
    for module in tree.within(*EVERYWHERE):
        lines = _substance(module)
        reported = -REPEATED_LINES
        for start in range(len(lines) - REPEATED_LINES + 1):
            run = tuple(text for _, text in lines[start : start + REPEATED_LINES])
            path, number, index = seen.setdefault(run, (module.path, lines[start][0], start))
            elsewhere = path != module.path or start - index >= REPEATED_LINES
            if elsewhere and start - reported >= REPEATED_LINES:
                reported = start
                yield f'{module.path}:{lines[start][0]}: also at {path}:{number}'


def family_blind(tree: Tree) -> Iterator[str]:
    """Decisions on a model's name: a family is a block, never a flag."""
    for module in tree.within('phijax'):
        for node in ast.walk(module.syntax):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                literal = any(isinstance(s, ast.Constant | ast.Tuple | ast.Set) for s in sides)
                if literal and any(getattr(side, 'attr', '') == 'family' for side in sides):
                    yield f'{module.path}:{node.lineno}: compares a family by name'


def no_defaults(tree: Tree) -> Iterator[str]:
    """Reads of a config with a default: a config is complete when it is checked at the door."""
    for module in tree.within('phijax'):
        for node in ast.walk(module.syntax):
            if isinstance(node, ast.Call) and getattr(node.func, 'attr', '') == 'get':
                owner = node.func.value
                if 'config' in (getattr(owner, 'id', ''), getattr(owner, 'attr', '')):
                    yield f'{module.path}:{node.lineno}: config.get hides a missing field'


def mirrored(tree: Tree) -> Iterator[str]:
    """Parts of phijax without tests, and tests of no part."""
    parts = {_part(module.path, 'phijax/') for module in tree.within('phijax')}
    tests = {_part(module.path, 'tests/') for module in tree.within('tests')}
    for part in sorted(parts - tests - UNMIRRORED):
        yield f'phijax/{part} has no tests'
    for test in sorted(tests - parts - UNMIRRORED):
        yield f'tests/{test} mirrors no part of phijax'


def proportions(tree: Tree) -> Iterator[str]:
    """What most functions are like, and how much of the code is tests."""
    functions = [function for module in tree.within('phijax') for function in module.functions]
    lines = [(f.end_lineno or f.lineno) - f.lineno + 1 for f in functions]
    branches = [1 + sum(isinstance(node, BRANCHES) for node in ast.walk(f)) for f in functions]
    source, tests = (_lines(tree, folder) for folder in ('phijax', 'tests'))
    measured = {
        'lines of a function, median': (_share(lines, 0.5), MEDIAN_LINES),
        'lines of a function, 95th percentile': (_share(lines, 0.95), LONG_LINES),
        'branches of a function, 95th percentile': (_share(branches, 0.95), MANY_BRANCHES),
        'lines of phijax for 100 lines of tests': (100 * source / max(tests, 1), SOURCE_LINES),
    }
    for name, (value, limit) in measured.items():
        if value > limit:
            yield f'{name}: {value:.0f}, at most {limit}'


SELF = frozenset({'self', 'cls'})


def _share(values: list[int], share: float) -> int:
    ordered = sorted(values) or [0]
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _lines(tree: Tree, folder: str) -> int:
    return sum(module.text.count('\n') for module in tree.within(folder))


def _part(path: str, folder: str) -> str:
    """The unit that a file is of: `models` for `models/phi.py` and for `test_models.py`."""
    first = path.removeprefix(folder).split('/')[0]
    return first.removesuffix('.py').removeprefix('test_')


def _public(module: Module) -> Iterator[tuple[ast.Module | ast.ClassDef | Function, str]]:
    """The module, and what a reader of it may call; what is inside a function is nobody's."""
    yield module.syntax, 'the module'
    pending = list(ast.iter_child_nodes(module.syntax))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef | Function):
            if not node.name.startswith('_'):
                yield node, node.name
                pending += [] if isinstance(node, Function) else ast.iter_child_nodes(node)
        else:
            pending += ast.iter_child_nodes(node)


def _substance(module: Module) -> list[tuple[int, str]]:
    """Line numbers and stripped texts of the lines that say something."""
    imported = {
        number
        for node in ast.walk(module.syntax)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate((line.strip() for line in module.text.splitlines()), 1)
    return [(number, text) for number, text in lines if text and number not in imported]


RULES = (
    documented,
    annotated,
    file_lines,
    function_lines,
    flags_only,
    finished,
    named,
    said_once,
    family_blind,
    no_defaults,
    mirrored,
    proportions,
)
