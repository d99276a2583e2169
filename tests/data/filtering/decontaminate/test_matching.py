import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.filtering.decontaminate import Item, Settings
from phijax.data.filtering.decontaminate.matching import Solutions
from phijax.data.filtering.decontaminate.syntax import Function, parse

SETTINGS = Settings(min_nodes=1, sweep=(0.95, 0.75, 0.5))
STATEMENTS = ['x = 1', 'x += y', 'f(x)', 'return x', 'if x: y = [1]', 'while x: g()', 'del x']
BODIES = st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=12)


def code(body: list[str]) -> str:
    return 'def f(x):\n' + ''.join(f'    {line}\n' for line in body)


def levenshtein(first: str, second: str) -> int:
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            change = diagonal + (a != b)
            diagonal, row[j] = row[j], min(change, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def make(bodies: list[list[str]]) -> list[Item]:
    return [Item('b', str(n), '', code=code(b), entry_point='f') for n, b in enumerate(bodies)]


@given(st.lists(BODIES, max_size=5), st.lists(BODIES, max_size=5))
def test_all_pairs_are_those_of_a_slow_comparison(
    bodies: list[list[str]], others: list[list[str]]
) -> None:
    functions = [parse(code(body), SETTINGS)[0][0] for body in others]
    found = Solutions(make(bodies), SETTINGS).compare(functions)
    expected = {}
    for key, body in enumerate(bodies):
        solution = parse(code(body), SETTINGS)[0][0].signature
        for number, function in enumerate(functions):
            longer = max(len(solution), len(function.signature))
            rate = 1 - levenshtein(solution, function.signature) / longer
            if rate >= 0.5:
                expected[number, f'b/{key}'] = rate
    assert {pair[:2]: pair.similarity for pair in found} == pytest.approx(expected)


def named(signature: str) -> Function:
    return Function('f', signature, (), 1, 2)


@pytest.mark.parametrize('tau', [0.95, 0.9, 0.85, 0.8])
@pytest.mark.parametrize('length', [20, 40, 60, 100, 140, 200])
def test_a_rate_of_exactly_tau_counts(tau: float, length: int) -> None:
    settings = Settings(min_nodes=1, tau=tau, sweep=(tau,))
    solutions = Solutions([], settings)
    solutions._signatures, solutions.compared = ['a' * length], ['b/0']
    edits = round((1 - tau) * length)
    almost, beyond = ('b' * n + 'a' * (length - n) for n in (edits, edits + 1))
    [pair] = solutions.compare([named(almost), named(beyond)])
    assert pair.function == 0
    assert pair.similarity >= tau


def test_many_solutions_are_compared_in_blocks() -> None:
    """Each of 200 functions is found by the solution that it is, whatever the lengths about it."""
    random.seed(1)
    bodies = [random.choices(STATEMENTS, k=random.randint(2, 60)) for _ in range(200)]
    found = Solutions(make(bodies), SETTINGS).compare(
        [parse(code(body), SETTINGS)[0][0] for body in bodies]
    )
    same = {(pair.function, pair.item) for pair in found if pair.similarity == 1}
    assert {(n, f'b/{n}') for n in range(200)} <= same


def test_small_functions_are_compared_by_spelling_alone() -> None:
    items = [
        Item('b', 'add', '', code='def add(a, b): return a + b', entry_point='add'),
        Item('b', 'two', '', code='def two(a, b): return a + b', entry_point='two'),
    ]
    solutions = Solutions(items, Settings(min_nodes=20))
    assert (solutions.compared, solutions.small) == ([], ['b/add', 'b/two'])
    text = (
        'def plus(x, y): return x + y\ndef minus(x, y): return x - y\ndef z(x, y): return x + x\n'
    )
    found = solutions.compare(parse(text, Settings(min_nodes=20))[0])
    assert [tuple(pair) for pair in found] == [(0, 'b/add', 1.0), (0, 'b/two', 1.0)]


def test_solutions_that_cannot_be_read_are_reported() -> None:
    items = [
        Item('b', 'prose', '', code='Just add them.', entry_point='add'),
        Item('b', 'other', '', code='def minus(): pass', entry_point='add'),
        Item('b', 'none', 'How many?'),
        Item('b', 'unnamed', '', code='def helper(): pass\ndef add(a): return a'),
    ]
    solutions = Solutions(items, Settings(min_nodes=1))
    assert solutions.unreadable == ['b/prose', 'b/other']
    assert solutions.compared == ['b/unnamed']
    [pair] = solutions.compare(parse('def f(x): return x', Settings(min_nodes=1))[0])
    assert pair.similarity == 1
