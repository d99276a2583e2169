"""The tree as its files say it: which modules there are, and what each imports."""

import ast
import dataclasses
import functools
import pathlib
from collections.abc import Iterator

FOLDERS = ('phijax', 'configs', 'experiments', 'tests')
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Module:
    """One Python file, by its path from the root of the tree."""

    path: str
    text: str

    @property
    def name(self) -> str:
        """Its dotted name; that of a package is the package's own."""
        return self.path.removesuffix('.py').removesuffix('/__init__').replace('/', '.')

    @property
    def folder(self) -> str:
        """The top folder that it is in."""
        return self.path.split('/')[0]

    @property
    def is_main(self) -> bool:
        """Whether it is a command."""
        return self.path.endswith('/__main__.py')

    @functools.cached_property
    def syntax(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, self.path)

    @property
    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        return (node for node in ast.walk(self.syntax) if isinstance(node, Function))


@dataclasses.dataclass(frozen=True)
class Tree:
    """All Python files of a checkout."""

    modules: tuple[Module, ...]

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """The dotted names of all modules."""
        return frozenset(module.name for module in self.modules)

    def within(self, *folders: str) -> Iterator[Module]:
        """The modules below some of the top folders."""
        return (module for module in self.modules if module.folder in folders)

    def imports(self, module: Module) -> Iterator[tuple[int, str]]:
        """Line and dotted name of everything that a module imports, wherever in the file.

        Of `from a import b`, that is `a.b` where `b` is a module of this tree or of the root
        package, else `a`. Names given to `import_module` count as far as they are literal.
        """
        for node in ast.walk(module.syntax):
            for target in self._targets(module, node):
                yield getattr(node, 'lineno', 0), target

    def _targets(self, module: Module, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            for alias in node.names:
                inner = f'{base}.{alias.name}'
                yield inner if inner in self.names else base
        elif isinstance(node, ast.Call) and node.args and _called(node) in DYNAMIC:
            literal = node.args[0]
            if isinstance(literal, ast.JoinedStr):
                literal = literal.values[0]
            if isinstance(literal, ast.Constant) and isinstance(literal.value, str):
                yield literal.value.rstrip('.')


DYNAMIC = ('import_module', '__import__', 'importorskip')


def _called(node: ast.Call) -> str:
    return getattr(node.func, 'attr', getattr(node.func, 'id', ''))


def _base(module: Module, node: ast.ImportFrom) -> str:
    """The absolute name of what a `from … import` takes from."""
    if not node.level:
        return node.module or ''
    package = (
        module.name if module.path.endswith('/__init__.py') else module.name.rpartition('.')[0]
    )
    parents = package.split('.')[: len(package.split('.')) - node.level + 1]
    return '.'.join([*parents, *([node.module] if node.module else [])])


def read(root: pathlib.Path) -> Tree:
    """All Python files below the folders of a checkout."""
    paths = sorted(path for folder in FOLDERS for path in (root / folder).rglob('*.py'))
    return Tree(
        tuple(
            Module(path.relative_to(root).as_posix(), path.read_text(encoding='utf-8'))
            for path in paths
            if not any(part.startswith('.') for part in path.relative_to(root).parts)
        )
    )


def within(name: str, package: str) -> bool:
    """Whether a dotted name is a package's own or one inside it."""
    return name == package or name.startswith(f'{package}.')
