"""Small functions from templates, in the form of HumanEval: independent draws from a seed."""

import dataclasses
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from phijax.errors import InputError

_ARGUMENTS = ('values', 'numbers', 'items', 'data', 'readings', 'amounts', 'scores', 'entries')
_EXAMPLES, _TESTS = 2, 5


class _Template(NamedTuple):
    """A kind of function.

    Attributes:
        name: with `{k}`, a number.
        summary: the docstring's first line; `{x}` is the argument.
        body: the lines of the solution.
        compute: the same, to know what examples give.
    """

    name: str
    summary: str
    body: str
    compute: Callable[[list[int], int], Any]


def _longest_run(values: list[int], bound: int) -> int:
    best = run = 0
    for each in values:
        run = run + 1 if each < bound else 0
        best = max(best, run)
    return best


_TEMPLATES = (
    _Template(
        'sum_of_multiples_of_{k}',
        'Return the sum of those {x} that are divisible by {k}.',
        'return sum(each for each in {x} if each % {k} == 0)',
        lambda x, k: sum(each for each in x if each % k == 0),
    ),
    _Template(
        'count_above_{k}',
        'Return how many of the {x} are greater than {k}.',
        'return sum(1 for each in {x} if each > {k})',
        lambda x, k: sum(1 for each in x if each > k),
    ),
    _Template(
        'every_{k}th',
        'Return a list of every {k}th of the {x}, from the first on.',
        'return {x}[::{k}]',
        lambda x, k: x[::k],
    ),
    _Template(
        'rotate_by_{k}',
        'Return the {x} rotated to the left by {k} places.',
        'if not {x}:\n    return []\nshift = {k} % len({x})\nreturn {x}[shift:] + {x}[:shift]',
        lambda x, k: x[k % len(x) :] + x[: k % len(x)] if x else [],
    ),
    _Template(
        'largest_{k}',
        'Return the {k} largest of the {x}, the largest first.',
        'return sorted({x}, reverse=True)[:{k}]',
        lambda x, k: sorted(x, reverse=True)[:k],
    ),
    _Template(
        'scale_and_add_{k}',
        'Return a list of each of the {x} times its place from 0, plus {k}.',
        'return [place * each + {k} for place, each in enumerate({x})]',
        lambda x, k: [place * each + k for place, each in enumerate(x)],
    ),
    _Template(
        'without_multiples_of_{k}',
        'Return the {x} in their order, without those that are divisible by {k}.',
        'return [each for each in {x} if each % {k} != 0]',
        lambda x, k: [each for each in x if each % k != 0],
    ),
    _Template(
        'differences_at_{k}',
        'Return how much each of the {x} is more than the one {k} places before it.',
        'return [{x}[i] - {x}[i - {k}] for i in range({k}, len({x}))]',
        lambda x, k: [x[i] - x[i - k] for i in range(k, len(x))],
    ),
    _Template(
        'sums_in_groups_of_{k}',
        'Return the sums of groups of {k} of the {x}; the last group may be shorter.',
        'return [sum({x}[i:i + {k}]) for i in range(0, len({x}), {k})]',
        lambda x, k: [sum(x[i : i + k]) for i in range(0, len(x), k)],
    ),
    _Template(
        'remainders_by_{k}',
        'Return the distinct remainders of the {x} when divided by {k}, in rising order.',
        'return sorted({{each % {k} for each in {x}}})',
        lambda x, k: sorted({each % k for each in x}),
    ),
    _Template(
        'longest_run_below_{k}',
        'Return the length of the longest run of neighbours among the {x} that are below {k}.',
        'best = run = 0\nfor each in {x}:\n    run = run + 1 if each < {k} else 0\n'
        '    best = max(best, run)\nreturn best',
        _longest_run,
    ),
    _Template(
        'clip_to_{k}',
        'Return the {x} with those above {k} replaced by {k}.',
        'return [min(each, {k}) for each in {x}]',
        lambda x, k: [min(each, k) for each in x],
    ),
)
DISTINCT = len(_TEMPLATES) * len(_ARGUMENTS) * 8


@dataclasses.dataclass(frozen=True)
class Function:
    """A function to complete.

    Attributes:
        prompt: the signature and the docstring with examples.
        solution: the body, which follows the prompt.
        test: defines `check(candidate)`.
        name: of the function.
    """

    prompt: str
    solution: str
    test: str
    name: str


def draw(seed: int, count: int) -> list[Function]:
    """Distinct functions; the same for the same seed.

    Raises:
        InputError: there are not so many.
    """
    if not 0 <= count <= DISTINCT // 2:
        raise InputError(f'{count} functions; allowed are 0 to {DISTINCT // 2}')
    rng = random.Random(seed)
    found: dict[tuple[str, str], Function] = {}
    while len(found) < count:
        template, argument, k = rng.choice(_TEMPLATES), rng.choice(_ARGUMENTS), rng.randint(2, 9)
        name = template.name.format(k=k)
        if (name, argument) not in found:
            found[name, argument] = _make(rng, template, argument, k)
    return list(found.values())


def _make(rng: random.Random, template: _Template, argument: str, k: int) -> Function:
    cases = [[rng.randint(0, 20) for _ in range(rng.randint(3, 7))] for _ in range(_TESTS)]
    cases.append([])
    results = [template.compute(list(case), k) for case in cases]
    name, fields = template.name.format(k=k), {'x': argument, 'k': k}
    examples = ''.join(
        f'    >>> {name}({case})\n    {result}\n'
        for case, result in list(zip(cases, results, strict=True))[:_EXAMPLES]
    )
    prompt = f'def {name}({argument}):\n    """{template.summary.format(**fields)}\n\n{examples}'
    body = template.body.format(**fields).replace('\n', '\n    ')
    asserts = ''.join(
        f'    assert candidate({case}) == {result}\n'
        for case, result in zip(cases, results, strict=True)
    )
    test = f'def check(candidate):\n{asserts}'
    return Function(f'{prompt}    """\n', f'    {body}\n', test, name)
