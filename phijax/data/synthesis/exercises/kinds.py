"""Exercises as kinds of `asking`: a function's name, or its signature and docstring, is given.

Source: arXiv:2306.11644, sec. 2.3 (each exercise is a docstring of a function that is to be
completed, with its solution; the function's name is constrained). That examples are run is our own.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from phijax import sandbox
from phijax.data.client import Answer
from phijax.data.document import Document
from phijax.data.settings import check
from phijax.data.synthesis import checks, prompts
from phijax.data.synthesis.asking import Problem, Prompt
from phijax.data.synthesis.exercises import examples, names, programs
from phijax.data.synthesis.exercises.examples import Example
from phijax.data.synthesis.exercises.mining import Mined, Settings
from phijax.data.synthesis.factors import Permutation, Sampler

KIND, COMPLETED = 'exercises', 'completed'
# Our choice: a docstring of 150 words and thirty lines.
MAX_TOKENS = 700
LEAST_EXAMPLES = 2
_NO_QUALIFIER = 'none'
# A line of a session and what is printed below it.
_EXAMPLE = re.compile(r'(?m)^>>>.*(?:\n(?!\s*$|>>>).*)*')
_EXAMPLES = (
    f'its docstring must have {LEAST_EXAMPLES} examples or more, each a call of the function with '
    'plain values after >>>, and the value that it has on the next line'
)


class _Judged:
    """What both kinds do with a program that a teacher wrote."""

    def __init__(self, settings: Settings, protected: names.Protected) -> None:
        self._settings = settings
        self._isolation = settings.require()
        self._protected = protected

    def said(self, text: str) -> str:
        """What of a program is language."""
        return said(text)

    def _check_program(
        self, text: str, name: str, found: tuple[Example, ...] = ()
    ) -> Problem | None:
        """What is wrong with a program.

        Args:
            found: the examples that it has to keep to; its own, where there are none.
        """
        if checks.is_refusal(text):
            return Problem('refused', 'it was a refusal')
        try:
            function = programs.find(text, name)
            examined = found or (self._own(function) if function else ())
        except SyntaxError as error:
            return Problem('malformed', f'it was no Python ({error.msg})')
        except ValueError as error:
            return Problem('malformed', f'its examples could not be read ({error})')
        if not function:
            return Problem('misnamed', f'it had no function {name}')
        if name in self._protected:
            return Problem('benchmark', f'{name} is too near to the name of another function')
        if not found and len(examined) < LEAST_EXAMPLES:
            return _unfit(function) or Problem('no_examples', _EXAMPLES)
        return _unfit(function) or self._run(text, name, examined)

    def _own(self, function: programs.Function) -> tuple[Example, ...]:
        """The examples of a function's docstring; none, where some cannot be checked."""
        pieces = examples.split(function.docstring, function.name)
        if None in pieces:
            return ()
        return tuple(piece for piece in pieces if isinstance(piece, Example))

    def _run(self, text: str, name: str, found: tuple[Example, ...]) -> Problem | None:
        job = self._settings.job(text, name, found)
        verdict = sandbox.run_tests(job, self._isolation)
        if verdict.passed:
            return None
        told = f'its examples do not hold: {verdict.reason} ({verdict.detail})'
        return Problem(f'examples_{verdict.reason}', told)


class Written(_Judged):
    """Whole exercises under a name; a `Kind` of `asking`.

    Factors are `object`, `verb` and `qualifier`, which make the name, `form` (a template), `view`
    (whether an extract is shown), and those of the file of levels.
    """

    def __init__(
        self,
        settings: Settings,
        words: Mapping[str, Sequence[str]],
        protected: names.Protected,
        extracts: Sequence[Document] = (),
        *,
        seed: int = 0,
        templates: str = '',
        levels: str = '',
    ) -> None:
        """Of the words that `mining` found.

        Raises:
            InputError: if there are too few words, or a template needs a factor that there is not.
        """
        super().__init__(settings, protected)
        self._templates = prompts.load(KIND, templates)
        self._levels = prompts.load_levels(KIND, levels)
        self._extracts = extracts
        self._order = Permutation(max(len(extracts), 1), f'{seed}/extracts')
        for part, found in words.items():
            check(bool(found), f'exercises.{part}s', 'none in the sources', 'one or more')
        styles: dict[str, Sequence[str]] = {
            'form': list(self._templates),
            'view': ('name', 'extract') if extracts else ('name',),
            **{name: list(each) for name, each in self._levels.items()},
        }
        styles['verb'] = _even(words['verb'], styles)
        styles['qualifier'] = _even([_NO_QUALIFIER, *words['qualifier']], styles)
        self.sampler = Sampler({'object': words['object'], **styles}, seed)
        for form, view in itertools.product(self._templates, styles['view']):
            self.prompt(0, self.sampler(0) | {'form': form, 'view': view})

    def prompt(self, index: int, factors: Mapping[str, str]) -> Prompt:
        """What is asked for an index."""
        template = self._templates[factors['form']]
        values = {name: levels[factors[name]] for name, levels in self._levels.items()}
        name = name_of(factors)
        shown = []
        if factors['view'] == 'extract':
            shown = [self._extracts[self._order(index // 2 % len(self._extracts))]]
        values |= {'name': name, 'view': factors['view'], 'examples': str(LEAST_EXAMPLES + 1)}
        for seed in shown:
            values['extract'] = seed.text
        return Prompt(
            index,
            factors,
            template.name,
            template.digest,
            template.render(values),
            MAX_TOKENS,
            extract=values.get('extract', ''),
            seeds=tuple(each.id for each in shown),
        )

    def text(self, _: Prompt, answer: Answer, /) -> str:
        """The program of an answer."""
        return programs.code_in(answer.text).strip() + '\n'

    def check(self, prompt: Prompt, text: str) -> Problem | None:
        """What is wrong with a program, if anything is."""
        return self._check_program(text, name_of(prompt.factors))


class Completed(_Judged):
    """Bodies for mined functions; a `Kind` of `asking`.

    Factors are `function`, `form` (a template) and `attempt`. Of several examples the last is not
    shown to the teacher, so that a body which only knows the others is found out; the document has
    them all.
    """

    def __init__(
        self,
        settings: Settings,
        found: Sequence[Mined],
        protected: names.Protected,
        *,
        seed: int = 0,
        templates: str = '',
    ) -> None:
        """Of the functions that `mining` found.

        Raises:
            InputError: if there are none.
        """
        super().__init__(settings, protected)
        check(bool(found), 'sources', 'without a function', 'code with examples that hold')
        self._templates = prompts.load(COMPLETED, templates)
        self._mined = {f'{each.path}/{each.function.name}': each for each in found}
        attempts = [str(number) for number in range(settings.attempts)]
        self.sampler = Sampler(
            {
                'function': list(self._mined),
                'form': list(self._templates),
                'attempt': attempts,
            },
            seed,
        )
        for form in self._templates:
            self.prompt(0, self.sampler(0) | {'form': form})

    def prompt(self, index: int, factors: Mapping[str, str]) -> Prompt:
        """What is asked for an index."""
        mined = self._mined[factors['function']]
        template = self._templates[factors['form']]
        values = {'name': mined.function.name, 'head': _shown(mined)}
        messages = template.render(values)
        return Prompt(
            index,
            factors,
            template.name,
            template.digest,
            messages,
            MAX_TOKENS,
            seeds=(factors['function'],),
        )

    def text(self, prompt: Prompt, answer: Answer, /) -> str:
        """The mined signature and docstring with the body of an answer; that, if it has none."""
        mined, code = self._mined[prompt.factors['function']], programs.code_in(answer.text)
        try:
            written = programs.find(code, mined.function.name)
        except SyntaxError:
            return code
        if not written:
            return code
        return replace(mined.function, body=written.body, imports=written.imports).text

    def check(self, prompt: Prompt, text: str) -> Problem | None:
        """What is wrong with a program, if anything is."""
        mined = self._mined[prompt.factors['function']]
        return self._check_program(text, mined.function.name, mined.examples)


def said(text: str) -> str:
    """The docstrings of a program without their examples; all of what is no Python."""
    try:
        tree = programs.parse(text)
    except SyntaxError:
        return text
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    found = [ast.get_docstring(node) or '' for node in functions]
    return _EXAMPLE.sub('', '\n'.join(found)).strip()


def name_of(factors: Mapping[str, str]) -> str:
    """The name of the function that factors ask for."""
    qualifier = factors['qualifier']
    parts = names.Parts(
        factors['verb'], factors['object'], '' if qualifier == _NO_QUALIFIER else qualifier
    )
    return str(parts)


def _even(words: Sequence[str], styles: Mapping[str, Sequence[str]]) -> list[str]:
    """As many words as can come equally often with the levels of all styles."""
    others = math.prod(map(len, styles.values()))
    most = next(n for n in range(len(words), 0, -1) if math.gcd(n, others) == 1)
    return list(words[:most])


def _unfit(function: programs.Function) -> Problem | None:
    """What a function lacks."""
    if not function.docstring:
        return Problem('malformed', 'its function had no docstring')
    if not _does_something(function.body):
        return Problem('unfinished', 'its function did nothing')
    return None


def _does_something(body: str) -> bool:
    """Whether a body has a statement besides `pass`, `...` and an error that says it is missing."""
    return not all(
        isinstance(each, ast.Pass)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        or (isinstance(each, ast.Raise) and 'NotImplemented' in ast.unparse(each))
        for each in programs.parse(body).body
    )


def _shown(mined: Mined) -> str:
    """The signature and docstring of a function, without the last of several examples."""
    *_, last = mined.examples
    text = mined.function.docstring
    if len(mined.examples) > 1:
        before, _, after = text.rpartition(last.text)
        text = (before + after).strip()
    return replace(mined.function, docstring=text).head
