"""Mining: what exercises are made from, out of code that others published.

Two things are taken: words of functions' names, and functions whose docstrings have examples that
hold, run alone in the sandbox. Benchmarks' functions, and names near theirs, are left out.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib.metadata
import itertools
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from phijax import sandbox
from phijax.data import attributes
from phijax.data.document import Document, Dropped
from phijax.data.filtering.decontaminate import items
from phijax.data.settings import check, tuples
from phijax.data.stage import Account, Step, Task
from phijax.data.synthesis.exercises import examples, names, programs
from phijax.data.synthesis.exercises.examples import Example
from phijax.data.synthesis.exercises.programs import Function
from phijax.data.tokenize.config import source
from phijax.errors import InputError

WORDS, FUNCTIONS = 'words', 'functions'
BENCHMARKS = ('humaneval', 'mbpp')
# Our choice: what a lesson can show.
MAX_DOCSTRING, MAX_LINES = 1500, 60
MODES = ('written', 'completed')
_PERMISSIVE = re.compile(
    r'(?i)\b(?:mit|bsd|0bsd|apache|isc|psf|python software|unlicense|zlib|hpnd)\b'
)
_COPYLEFT = re.compile(r'(?i)\b[al]?gpl|\bmpl|\bgnu\b|mozilla|proprietary|eupl')


@dataclass(frozen=True)
class Settings:
    """Exercises, where `texts.kind` says so.

    Attributes:
        mode: '' for none. `written`: the teacher is given a name, and writes docstring, examples
            and body. `completed`, for a weak teacher: it is given a mined function's signature and
            docstring, and writes the body.
        files: of each source that are read at most; 0 for all.
        verbs, objects, qualifiers: how many of each there are at most; a few may be left out so
            that they come equally often with all else.
        packages: that use a word, at least.
        functions: how many are mined at most, and `attempts` how often each is asked for.
        is_permissive: whether code of installed packages is used only under a licence that lets
            everybody use it.
        cpu_seconds: that a program with its examples may take.
        unsafe: as for `phijax.evaluate`: '', or I_UNDERSTAND where nothing contains programs.
    """

    mode: str = ''
    files: int = 0
    verbs: int = 100
    objects: int = 2000
    qualifiers: int = 60
    packages: int = 2
    functions: int = 5000
    attempts: int = 4
    is_permissive: bool = True
    cpu_seconds: float = 5.0
    unsafe: str = ''

    def __post_init__(self) -> None:
        """Checks the values; raises InputError at the first that cannot be used."""
        check(self.mode in ('', *MODES), 'exercises.mode', self.mode, ' or '.join(MODES))
        for name in ('verbs', 'objects', 'qualifiers', 'packages', 'functions', 'attempts'):
            check(getattr(self, name) > 0, f'exercises.{name}', getattr(self, name), 'more than 0')
        check(self.files >= 0, 'exercises.files', self.files, '0 or more')
        check(self.cpu_seconds > 0, 'exercises.cpu_seconds', self.cpu_seconds, 'above 0')

    def require(self) -> sandbox.Isolation:
        """What holds programs here.

        Raises:
            InputError: this machine cannot contain them, and `unsafe` does not say that it need
                not.
        """
        try:
            return sandbox.require(unsafe=self.unsafe)
        except sandbox.SandboxError as error:
            raise InputError(f'exercises.unsafe={self.unsafe!r}: {error}') from error

    def job(self, program: str, name: str, found: tuple[Example, ...]) -> sandbox.Job:
        """The trial of a program by examples."""
        limits = sandbox.Limits(cpu_seconds=self.cpu_seconds)
        tests = examples.tests(found)
        return sandbox.Job(
            code=program, tests=tests, names=(name,), setup=examples.SETUP, limits=limits
        )


class Mined(NamedTuple):
    """A function with examples.

    Attributes:
        function: its docstring has no other examples than those.
        program: it and all that it uses of its file.
        path: of the file.
    """

    function: Function
    examples: tuple[Example, ...]
    program: str
    path: str


def work(task: Task) -> Account:
    """Writes words of names and functions, where exercises are asked for."""
    settings = Settings(**task.settings['exercises'])
    if not settings.mode:
        return Account(0, 0)
    isolation = settings.require()
    guarded = protected()
    used, dropped = names.Count(), Counter[str]()
    found: list[Mined] = []
    seen: set[str] = set()
    for item in _files(task.settings['sources'], settings):
        if isinstance(item, Dropped):
            dropped[item.reason] += 1
            continue
        path, tree, text = item
        used.add(_package(path), names.in_code(tree))
        for made in functions(path, tree, text):
            reason = made if isinstance(made, str) else _why_dropped(made, guarded, seen)
            dropped[f'function_{reason}'] += bool(reason)
            if not reason and isinstance(made, Mined):
                found.append(made)
    held = _held(found, settings, isolation)
    dropped['function_failed'] += len(found) - len(held)
    kept = held[: settings.functions]
    dropped['function_not_needed'] += len(held) - len(kept)
    _write(task, kept, _words(used, settings, guarded))
    counts = {reason: count for reason, count in sorted(dropped.items()) if count}
    return Account(len(kept) + sum(counts.values()), len(kept), counts)


def _package(path: str) -> str:
    """Where a file belongs: a package of what is installed, or else the folder that it is in."""
    place = PurePosixPath(path)
    return str(place.parent) if place.is_absolute() else place.parts[0]


def protected() -> names.Protected:
    """The names of the benchmarks' functions.

    Raises:
        AssetError: a package of items cannot be had.
    """
    return names.Protected(item.entry_point for item in items.load(BENCHMARKS))


def functions(path: str, tree: ast.Module, text: str) -> Iterator[Mined | str]:
    """The functions at the top of a file that have examples, or why there is no use in one."""
    if '>>>' not in text:
        return
    top = _Top(tree)
    for node in tree.body:
        docstring = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
        if isinstance(node, ast.FunctionDef) and docstring and '>>>' in docstring:
            yield _mined(path, node, top, text)


def read(step: Step) -> tuple[dict[str, list[str]], list[Mined]]:
    """The words of names by part, and the functions, of a step."""
    rows = attributes.read(step.part(WORDS, 0))
    words: dict[str, list[str]] = {field: [] for field in names.Parts._fields}
    for part, word in zip(rows['part'], rows['word'], strict=True):
        words[part].append(word)
    mined = [
        Mined(
            Function(**tuples(json.loads(function))),
            tuple(Example(**each) for each in json.loads(found)),
            program,
            path,
        )
        for function, found, program, path in zip(
            *attributes.read(step.part(FUNCTIONS, 0)).values(), strict=True
        )
    ]
    return words, mined


class _Top:
    """What stands at the top of a file, by the names that it binds."""

    def __init__(self, tree: ast.Module) -> None:
        self._bound: dict[str, ast.stmt] = {}
        self._order = {id(node): place for place, node in enumerate(tree.body)}
        for node in tree.body:
            for name in _binds(node):
                self._bound.setdefault(name, node)

    def needs(self, node: ast.FunctionDef) -> list[ast.stmt] | None:
        """A function with all that it uses, in order; None where that is another package's."""
        taken: dict[int, ast.stmt] = {id(node): node}
        left: list[ast.stmt] = [node]
        while left:
            for name in _uses(left.pop()):
                used = self._bound.get(name)
                if used is None or id(used) in taken:
                    continue
                if not _is_own(used):
                    return None
                taken[id(used)] = used
                left.append(used)
        return sorted(taken.values(), key=lambda each: self._order[id(each)])


def _binds(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Import(names=found) | ast.ImportFrom(names=found):
            return [each.asname or each.name.partition('.')[0] for each in found]
        case ast.Assign(targets=targets):
            return [each.id for each in targets if isinstance(each, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _uses(node: ast.stmt) -> set[str]:
    """Names that a statement speaks of; hints are none of them."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} - set(dir(builtins))


def _is_own(node: ast.stmt) -> bool:
    """Whether a statement needs no more than Python's own library."""
    match node:
        case ast.Import(names=found):
            return all(each.name.partition('.')[0] in sys.stdlib_module_names for each in found)
        case ast.ImportFrom(module=module, level=level):
            return not level and str(module).partition('.')[0] in sys.stdlib_module_names
    return True


def _mined(path: str, node: ast.FunctionDef, top: _Top, text: str) -> Mined | str:
    """A function, or why there is no use in it."""
    needed, reason = top.needs(node), _why_unfit(node)
    if needed is None or reason:
        return reason or 'needs_packages'
    imports = [each for each in needed if isinstance(each, ast.Import | ast.ImportFrom)]
    function = programs.take(text, node, imports)
    try:
        pieces = examples.split(function.docstring, node.name)
    except ValueError:
        return 'malformed'
    found = tuple(piece for piece in pieces if isinstance(piece, Example))
    docstring = _docstring(pieces)
    if not found or len(docstring) > MAX_DOCSTRING:
        return 'too_long' if found else 'uncheckable'
    program = '\n\n'.join(['from __future__ import annotations', *map(ast.unparse, needed)])
    shown = replace(function, docstring=docstring)
    return Mined(shown, found, program, path)


def _why_unfit(node: ast.FunctionDef) -> str:
    """Why a function cannot be shown alone, '' if it can."""
    if (node.end_lineno or 0) - node.lineno > MAX_LINES:
        return 'too_long'
    defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
    return '' if all(map(_is_literal, defaults)) else 'needs_file'


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _docstring(pieces: list[str | Example | None]) -> str:
    """A docstring with the examples that can be checked, and no other."""
    text = ''.join(
        piece if isinstance(piece, str) else f'{piece.text}\n' if piece else '' for piece in pieces
    )
    lines = [line.rstrip() for line in text.split('\n')]
    return re.sub(r'\n{3,}', '\n\n', '\n'.join(lines)).strip()


def _files(
    sources: Mapping[str, Mapping[str, Any]], settings: Settings
) -> Iterator[tuple[str, ast.Module, str] | Dropped]:
    """The programs of the sources, each with its path and tree."""
    for name, values in sorted(sources.items()):
        needs_licence = settings.is_permissive and values.get('kind') == 'installed'
        found = source(name, values).read(name)
        for item in itertools.islice(found, settings.files or None):
            if isinstance(item, Dropped):
                yield item
            elif needs_licence and not _is_permissive(item.path):
                yield Dropped('license', item.path)
            else:
                yield _parsed(item)


def _parsed(item: Document) -> tuple[str, ast.Module, str] | Dropped:
    try:
        return item.path, programs.parse(item.text), item.text
    except SyntaxError:
        return Dropped('no_python', item.path)


def _is_permissive(path: str) -> bool:
    """Whether everybody may use a file of Python's library or of an installed package."""
    package = PurePosixPath(path).parts[0].removesuffix('.py')
    return package in sys.stdlib_module_names or any(
        map(_has_licence, _distributions().get(package, ()))
    )


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@functools.cache
def _has_licence(distribution: str) -> bool:
    told = importlib.metadata.metadata(distribution)
    fields = [told.get_all(name) or [] for name in ('License-Expression', 'License', 'Classifier')]
    first_lines = [each.partition('\n')[0] for each in fields[0] + fields[1]]
    classified = [each for each in fields[2] if each.startswith('License ::')]
    said = '\n'.join([*first_lines, *classified])
    return bool(_PERMISSIVE.search(said)) and not _COPYLEFT.search(said)


def _why_dropped(made: Mined, protected: names.Protected, seen: set[str]) -> str:
    """Why a function is of no use, '' if it is; the same docstring is taken once."""
    if made.function.name in protected:
        return 'benchmark'
    is_new = made.function.docstring not in seen
    seen.add(made.function.docstring)
    return '' if is_new else 'duplicate'


def _held(found: list[Mined], settings: Settings, isolation: sandbox.Isolation) -> list[Mined]:
    """The functions whose examples hold."""
    jobs = [settings.job(each.program, each.function.name, each.examples) for each in found]
    verdicts = sandbox.run_many(jobs, isolation=isolation)
    return [found[place] for place in sorted(p for p, verdict in verdicts if verdict.passed)]


def _words(
    used: names.Count, settings: Settings, protected: names.Protected
) -> dict[str, list[str]]:
    """The words of names by part, without objects that would make a benchmark's name."""
    verbs = used.most_used('verb', settings.verbs)
    qualifiers = used.most_used('qualifier', settings.qualifiers, settings.packages)
    every = used.most_used('object', sys.maxsize, settings.packages)
    clashes = protected.clashes(verbs, every, [*qualifiers, ''])
    objects = [word for word in every if word not in clashes][: settings.objects]
    return {'verb': verbs, 'object': objects, 'qualifier': qualifiers}


def _write(task: Task, kept: list[Mined], words: dict[str, list[str]]) -> None:
    attributes.write(
        task.output(WORDS),
        {
            'part': list(itertools.chain(*([part] * len(found) for part, found in words.items()))),
            'word': list(itertools.chain(*words.values())),
        },
    )
    attributes.write(
        task.output(FUNCTIONS),
        {
            'function': [json.dumps(asdict(each.function)) for each in kept],
            'examples': [json.dumps(list(map(asdict, each.examples))) for each in kept],
            'program': [each.program for each in kept],
            'path': [each.path for each in kept],
        },
    )
