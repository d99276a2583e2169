"""Twins of HumanEval: other names of the function and its parameters, other examples.

What the function does is the same, so that the tests follow. A model that solves the one and not
the other knew the text.
"""

import ast
import dataclasses
import io
import itertools
import re
import tokenize
from collections.abc import Iterator, Mapping

_PAIRS = """
numbers:values string:text strings:texts lst:sequence arr:array n:k x:u y:v k:m
s:line l:entries text:phrase number:value nums:entries word:term words:terms
message:note value:amount values:amounts array:row grid:board delimeter:separator
substring:fragment prefix:start threshold:bound lst1:first_list lst2:second_list
l1:first l2:second q:limit m:p p:r txt:passage test_tup:pair dict:table game:played
operator:signs operand:terms interval1:span1 interval2:span2
musical_string:score_text paren_string:bracket_text xs:coefficients brackets:parens
planet1:planet_a planet2:planet_b date:day b:second c:third h:height d:table
w:weight has:contains get:find is:check count:tally sum:add_up max:largest
min:smallest remove:drop sort:order sorted:ordered below:under filter:select
separate:split make:build all:every longest:greatest_length digits:figures
even:paired change:convert largest:biggest smallest:least add:plus to:into
unique:distinct common:shared prime:indivisible cycle:loop list:sequence
vowels:vocals closest:nearest file:document name:title
"""
_SYNONYMS = dict(pair.split(':') for pair in _PAIRS.split())
_QUOTED = re.compile(r'(\'[^\'\n]*\'|"[^"\n]*")')

Edit = tuple[int, int, str]


@dataclasses.dataclass(frozen=True)
class Problem:
    """A function to complete, in the form of HumanEval.

    Attributes:
        prompt: up to the end of the docstring.
        solution: the rest of the function.
        test: defines `check(candidate)`.
        name: of the function.
    """

    prompt: str
    solution: str
    test: str
    name: str


def twin(problem: Problem) -> Problem | None:
    """The problem with other names and examples; None where no parameter can have another name."""
    tree = ast.parse(problem.prompt + problem.solution)
    names = _new_names(problem, tree)
    if len(names) < 2:
        return None
    program, cut = problem.prompt + problem.solution, len(problem.prompt)
    for start, end, new in sorted(_edits(problem, tree, names), reverse=True):
        program = program[:start] + new + program[end:]
        cut += len(new) - (end - start) if start < len(problem.prompt) else 0
    test = re.sub(rf'\b{problem.name}\b', names[problem.name], problem.test)
    return Problem(program[:cut], program[cut:], test, names[problem.name])


def _new_names(problem: Problem, tree: ast.Module) -> dict[str, str]:
    """The new name of the function and of each parameter that can have one."""
    taken, bound = _taken(tree), _bound(tree)
    words = [_SYNONYMS.get(word, word) for word in problem.name.split('_')]
    name = '_'.join(words)
    names = {problem.name: f'{name}_of' if name == problem.name else name}
    for argument in _function(problem, tree).args.args:
        other = _SYNONYMS.get(argument.arg, f'{argument.arg}_given')
        if argument.arg not in bound and other not in taken and other not in names.values():
            names[argument.arg] = other
    return names


def _taken(tree: ast.Module) -> set[str]:
    """Every name in the program."""
    fields = {ast.Name: 'id', ast.arg: 'arg', ast.FunctionDef: 'name'}
    nodes = ast.walk(tree)
    return {getattr(node, fields[type(node)]) for node in nodes if type(node) in fields}


def _bound(tree: ast.Module) -> set[str | None]:
    """Names in calls with keywords and in formatted texts, whose tokens do not tell what they are.

    The tokens of a formatted text have no names in them before Python 3.12.
    """
    nodes = list(ast.walk(tree))
    formatted = [
        each for node in nodes if isinstance(node, ast.JoinedStr) for each in ast.walk(node)
    ]
    keywords = {node.arg for node in nodes if isinstance(node, ast.keyword)}
    return keywords | {each.id for each in formatted if isinstance(each, ast.Name)}


def _function(problem: Problem, tree: ast.Module) -> ast.FunctionDef:
    [function] = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == problem.name
    ]
    return function


def _edits(problem: Problem, tree: ast.Module, names: Mapping[str, str]) -> Iterator[Edit]:
    """What changes in the program: places from and to, and the new text."""
    program = problem.prompt + problem.solution
    starts = [0, *itertools.accumulate(map(len, program.splitlines(keepends=True)))]
    stated = _function(problem, tree).body[0]
    before = ''
    for token in tokenize.generate_tokens(io.StringIO(program).readline):
        start, end = (starts[line - 1] + column for line, column in (token.start, token.end))
        if token.type == tokenize.NAME and token.string in names and before != '.':
            yield start, end, names[token.string]
        elif token.type == tokenize.STRING and token.start[0] == stated.lineno:
            yield start, end, _described(problem, token.string, names)
        before = token.string


def _described(problem: Problem, text: str, names: Mapping[str, str]) -> str:
    """The docstring with the new names, and with examples out of the tests."""
    fresh = (each for each in _cases(problem) if each[0] not in text)
    lines, old = [], text.splitlines(keepends=True)
    skip = False
    for line, after in zip(old, [*old[1:], ''], strict=True):
        indent, prompt, call = line.partition('>>> ')
        if skip:
            skip = False
        elif prompt and _is_example(problem, call, after) and (case := next(fresh, None)):
            lines.append(f'{indent}>>> {names[problem.name]}({case[0]})\n')
            lines.append(after.replace(after.strip(), case[1]))
            skip = True
        else:
            lines.append(_reworded(line, names, code=bool(prompt)))
    return ''.join(lines)


def _is_example(problem: Problem, call: str, result: str) -> bool:
    """Whether a call and the line after it are one call of the function and a value."""
    try:
        node = ast.parse(call.strip(), mode='eval').body
        ast.literal_eval(result.strip())
    except (SyntaxError, ValueError):
        return False
    return isinstance(node, ast.Call) and getattr(node.func, 'id', '') == problem.name


def _cases(problem: Problem) -> Iterator[tuple[str, str]]:
    """Arguments and result of the tests that compare a call with a value, as written there."""
    for node in ast.walk(ast.parse(problem.test)):
        match node:
            case ast.Assert(ast.Compare(ast.Call(args=inputs, keywords=[]), [ast.Eq()], [value])):
                parts = [ast.unparse(each) for each in (*inputs, value)]
                if all(_is_literal(part) for part in parts):
                    yield ', '.join(parts[:-1]), parts[-1]


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except ValueError:
        return False
    return len(text) < 60


def _reworded(line: str, names: Mapping[str, str], code: bool) -> str:
    """A line of a docstring with the new names; parameters not in quotes, nor in examples.

    `a` as a word of its own is an article.
    """
    pieces = _QUOTED.split(line)
    for old, new in names.items():
        function = old == next(iter(names))
        for place in range(0, len(pieces), 1 if function else 2):
            if function or not (code or old in ('a', 'I')):
                pieces[place] = re.sub(rf'\b{old}\b', new, pieces[place])
    return ''.join(pieces)
