"""Which examples of a docstring can be checked, and what the tests of them say."""

import pytest

from phijax import sandbox
from phijax.data.synthesis.exercises import examples
from phijax.data.synthesis.exercises.examples import Example


def found(docstring, name='f'):
    return examples.split(docstring, name)


@pytest.mark.parametrize(
    ('call', 'value'),
    [
        ('f(1)', '2'),
        ('f([1, 2], key=None)', "{'a': (1, 2)}"),
        ("list(f('abc', -1))", "['a']"),
        ('f(2) + f(3) == 9', 'True'),
        ('sorted(f({1, 2}))', '[1, 2]'),
        ("f('x' * 3)", "''"),
    ],
)
def test_calls_with_plain_values_can_be_checked(call, value):
    prose, example, *_ = found(f'Says.\n\n>>> {call}\n{value}\n')
    assert prose == 'Says.\n\n'
    assert example == Example(call, value)


@pytest.mark.parametrize(
    'session',
    [
        '>>> x = f(1)',
        '>>> f(1)',  # nothing is printed
        '>>> print(f(1))\n2',
        '>>> g(f(1))\n2',
        '>>> f(g)\n2',
        '>>> f(lambda: 1)\n2',
        '>>> f(1).real\n2',
        '>>> __import__("os").system("true")\n0',
        '>>> [f(n) for n in (1, 2)]\n[1, 2]',
        '>>> f(1)\n<generator object f at 0x7f>',
        '>>> f(1)\n[1, 2, ...]',
        '>>> f(1) # doctest: +SKIP\n2',
        '>>> f(0)\nTraceback (most recent call last):\nValueError: no',
        '>>> list(range(3))\n[0, 1, 2]',  # no call of the function
        '>>> f(1\n2',
    ],
)
def test_all_else_cannot(session):
    pieces = [piece for piece in found(f'{session}\n') if not isinstance(piece, str)]
    assert pieces
    assert set(pieces) == {None}


def test_what_doctest_cannot_read_is_an_error():
    with pytest.raises(ValueError, match='inconsistent leading whitespace'):
        found('    >>> f(1)\n  2\n')


@pytest.mark.parametrize(
    ('body', 'value', 'reason'),
    [
        ('return 4', '4', 'passed'),
        ('return 4.0', '4', 'failed'),
        ('return True', '1', 'failed'),
        ('return [4]', '(4,)', 'failed'),
        ('while True: pass', '4', 'timeout'),
        ('raise ValueError', '4', 'error'),
        ("return open('/etc/passwd').read()", '4', 'error'),
        ('import os; os._exit(0)', '4', 'exited'),
    ],
)
def test_programs_pass_by_value_and_type(body, value, reason):
    job = sandbox.Job(
        code=f'def f(x):\n    {body}',
        tests=examples.tests([Example('f(2)', value)]),
        names=('f',),
        setup=examples.SETUP,
        limits=sandbox.Limits(cpu_seconds=1, wall_seconds=20),
    )
    assert sandbox.run_tests(job).reason == reason


def test_generators_are_read():
    code = 'def f(x):\n    yield x\n    yield x + 1\n'
    tests = examples.tests([Example('list(f(2))', '[2, 3]')])
    job = sandbox.Job(code=code, tests=tests, names=('f',), setup=examples.SETUP)
    assert sandbox.run_tests(job).passed
