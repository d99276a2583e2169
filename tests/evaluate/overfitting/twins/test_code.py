"""Twins of HumanEval: solutions pass the tests, names are gone, examples are others."""

import ast
import functools
import re

import pytest

from phijax import sandbox
from phijax.evaluate.overfitting.twins import code
from phijax.evaluate.tasks import reading

strong = pytest.mark.skipif(
    sandbox.probe().level < sandbox.Level.STRONG, reason=str(sandbox.probe().missing)
)


@functools.cache
def pairs():
    rows = reading.jsonl('humaneval', 'HumanEval.jsonl.gz')
    fields = ('prompt', 'canonical_solution', 'test', 'entry_point')
    problems = [code.Problem(*(row[field] for field in fields)) for row in rows]
    return [(problem, code.twin(problem)) for problem in problems]


@strong
def test_the_solutions_of_all_twins_pass_their_tests(asset):
    asset('humaneval')
    twins = [other for _, other in pairs() if other]
    assert len(twins) == 159
    jobs = []
    for other in twins:
        tests = f'{other.test}\ncheck({other.name})'
        program = other.prompt + other.solution
        defined = [n.name for n in ast.parse(program).body if isinstance(n, ast.FunctionDef)]
        names = sandbox.wanted_names(tests, defined=defined)
        jobs.append(sandbox.Job(code=program, tests=tests, names=names))
    verdicts = dict(sandbox.run_many(jobs, workers=2))
    failed = {
        twins[place].name: verdict for place, verdict in verdicts.items() if not verdict.passed
    }
    assert not failed
    assert len(verdicts) == 159


@strong
def test_the_tests_of_a_twin_still_find_what_is_wrong(asset):
    asset('humaneval')
    other = pairs()[0][1]
    wrong = other.prompt + '    return True\n'
    tests = f'{other.test}\ncheck({other.name})'
    job = sandbox.Job(code=wrong, tests=tests, names=(other.name,))
    assert sandbox.run_tests(job).reason == 'failed'


def test_no_twin_has_the_old_name_or_parameter(asset):
    asset('humaneval')
    for problem, other in pairs():
        if other:
            assert not re.search(rf'\b{problem.name}\b', other.prompt + other.solution)
            assert other.name != problem.name
            old, new = (
                next(
                    [argument.arg for argument in node.args.args]
                    for node in ast.parse(each.prompt + each.solution).body
                    if isinstance(node, ast.FunctionDef) and node.name == each.name
                )
                for each in (problem, other)
            )
            assert len(old) == len(new)
            assert old != new


def test_the_program_is_otherwise_the_same(asset):
    asset('humaneval')
    for problem, other in pairs():
        if other:
            kinds = [
                [type(node) for node in ast.walk(ast.parse(each.prompt + each.solution))]
                for each in (problem, other)
            ]
            assert kinds[0] == kinds[1], problem.name


def test_a_twin_by_hand():
    problem = code.Problem(
        'def count_even(numbers, n):\n'
        '    """ Count the numbers up to n that are even, as in \'numbers\'.\n'
        '    >>> count_even([1, 2, 3], 3)\n'
        '    1\n'
        '    """\n',
        '    return sum(each.numbers if 0 else each <= n and each % 2 == 0 for each in numbers)\n',
        'def check(candidate):\n'
        '    assert candidate([1, 2, 3], 3) == 1\n'
        '    assert candidate([2, 4, 6], 4) == 2, "two"\n',
        'count_even',
    )
    other = code.twin(problem)
    assert other.prompt == (
        'def tally_paired(values, k):\n'
        '    """ Count the values up to k that are even, as in \'numbers\'.\n'
        '    >>> tally_paired([2, 4, 6], 4)\n'
        '    2\n'
        '    """\n'
    )
    assert other.solution == (
        '    return sum(each.numbers if 0 else each <= k and each % 2 == 0 for each in values)\n'
    )
    assert other.test == problem.test


@pytest.mark.parametrize('use', ['dict(numbers=1)', "f'{numbers}'"])
def test_a_parameter_that_keywords_or_formatted_texts_share_keeps_its_name(use):
    problem = code.Problem(
        'def total(numbers):\n    """Add."""\n', f'    return {use}\n', '', 'total'
    )
    assert code.twin(problem) is None
