"""Prompts: Jinja files with a head, and the levels of factors that fill them.

A template is the question to the model; its head has the system message and what it is about:

    ---
    about: a section of a textbook
    system: You write textbooks.
    ---
    Write about {{ topic }} for this reader: {{ audience }}

It is known by `KIND/FORM` and by the hash of the whole file: a comma more is another template.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import jinja2.meta
import jinja2.sandbox

from phijax.data.errors import MissingDataError
from phijax.data.synthesis import outline
from phijax.errors import InputError

HERE = Path(__file__).parent
LEVELS = HERE.parent / 'levels'
SUFFIX = '.jinja'
FIELDS = ('about', 'system')

_HEAD = re.compile(r'---\n(.*?)\n---\n(.*)', re.DOTALL)
# A name that the factors do not have is an error, and nothing but the given values is reached.
_ENVIRONMENT = jinja2.sandbox.ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)

Message = dict[str, str]


@dataclass(frozen=True)
class Template:
    """A question with places for factors.

    Attributes:
        name: `KIND/FORM`.
        digest: the sha256 of the file, in hexadecimal.
        body: what stands below the head.
    """

    name: str
    digest: str
    about: str
    system: str
    body: str

    @functools.cached_property
    def needs(self) -> frozenset[str]:
        """The names that its body speaks of, some of them perhaps only on a condition."""
        return frozenset(jinja2.meta.find_undeclared_variables(_ENVIRONMENT.parse(self.body)))

    @functools.cached_property
    def _compiled(self) -> jinja2.Template:
        return _ENVIRONMENT.from_string(self.body)

    def render(self, values: Mapping[str, str]) -> tuple[Message, ...]:
        """The messages, with the values in their places.

        Raises:
            InputError: if it speaks of something that there is no value for, or cannot be filled
                in; with the name of the template and of what is missing.
        """
        try:
            body = self._compiled.render(values)
        except jinja2.UndefinedError as error:
            missing = ', '.join(sorted(self.needs - values.keys())) or str(error)
            raise InputError(
                f'The template {self.name} needs {missing}, and was given '
                f'{", ".join(sorted(values))}.'
            ) from error
        except (jinja2.TemplateError, TypeError, ArithmeticError) as error:
            raise InputError(f'The template {self.name} cannot be filled in: {error}') from error
        body = re.sub(r'\n{3,}', '\n\n', body).strip()
        return ({'role': 'system', 'content': self.system}, {'role': 'user', 'content': body})


def parse(text: str, name: str) -> Template:
    """The template of a file's text.

    Raises:
        InputError: if its head or its body is wrong; with the name of the template.
    """
    match = _HEAD.fullmatch(text.replace('\r\n', '\n'))
    if not match:
        raise InputError(f'The template {name} must begin with a head between two lines of ---.')
    head = dict(line.split(': ', 1) for line in match[1].splitlines() if ': ' in line)
    if sorted(head) != sorted(FIELDS):
        raise InputError(
            f'The head of the template {name} has {", ".join(head) or "nothing"}; it must have '
            f'{" and ".join(FIELDS)}, each as `name: text` on one line.'
        )
    try:
        _ENVIRONMENT.from_string(match[2])
    except jinja2.TemplateSyntaxError as error:
        line = error.lineno + match[1].count('\n') + 3
        raise InputError(f'The template {name}, line {line}: {error.message}') from error
    return Template(name, hashlib.sha256(text.encode()).hexdigest(), **head, body=match[2])


def load(kind: str, directory: str = '') -> dict[str, Template]:
    """The templates of a kind by their form, in order; of a directory, or our own.

    Raises:
        MissingDataError: if there are none.
        InputError: if one is wrong.
    """
    folder = Path(directory) if directory else HERE / kind
    paths = sorted(folder.glob(f'*{SUFFIX}'))
    if not paths:
        raise MissingDataError(f'There are no templates (*{SUFFIX}) in {folder}.')
    return {path.stem: parse(_read(path), f'{kind}/{path.stem}') for path in paths}


def load_levels(kind: str, path: str = '') -> dict[str, dict[str, str]]:
    """By factor and level, what the prompt says; of a file, or our own of a kind.

    A level is a line `name: what the prompt says`, or a name that says it itself.

    Raises:
        MissingDataError: if there is no such file.
        InputError: if a factor has a level twice, or none.
    """
    file = Path(path) if path else LEVELS / f'{kind}.txt'
    found: dict[str, dict[str, str]] = {}
    for entry in outline.parse(_read(file), file.name):
        problem = _place(found, entry.path)
        if problem:
            raise InputError(f'{file.name}, line {entry.line}: {entry.path[-1]!r} {problem}.')
    return found


def _place(found: dict[str, dict[str, str]], path: Sequence[str]) -> str:
    """Puts a factor or a level in its place; what is wrong with it, '' if nothing is."""
    factor, *rest = path
    if len(rest) > 1 or (not rest and factor in found):
        return 'has no place'
    levels = found.setdefault(factor, {})
    for level in rest:
        name, _, said = level.partition(': ')
        if name in levels:
            return 'is there already'
        levels[name] = said or name
    return ''


def _read(path: Path) -> str:
    try:
        return path.read_text('utf-8')
    except OSError as error:
        raise MissingDataError(f'{path} cannot be read: {error.strerror}') from error
    except UnicodeError as error:
        raise InputError(f'{path} is not UTF-8: {error}') from error
