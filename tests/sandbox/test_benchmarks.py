"""Every solution that comes with HumanEval and MBPP passes, and those that were spoilt do not."""

import ast
import pathlib
from collections.abc import Callable

import pytest

from phijax import sandbox
from phijax.sandbox import Job
from tests.sandbox.benchmarks import humaneval, humaneval_job, mbpp, mbpp_job

WORKERS = 2

# Texts of the data sets, which are parsed here, have invalid escapes.
pytestmark = pytest.mark.filterwarnings('ignore:invalid escape sequence')


@pytest.fixture(scope='module', autouse=True)
def _assets(asset: Callable[[str], pathlib.Path]) -> None:
    asset('humaneval')
    asset('benchmarks')


def judge(jobs: list[Job]) -> dict[int, str]:
    """The reasons of what does not pass, by place."""
    verdicts = sandbox.run_many(jobs, workers=WORKERS)
    return {place: verdict.reason for place, verdict in verdicts if not verdict.passed}


class Spoil(ast.NodeTransformer):
    """Replaces what functions return."""

    def __init__(self, returned: Callable[[ast.expr], ast.expr]) -> None:
        self._returned = returned

    def visit_Return(self, node: ast.Return) -> ast.Return:
        old = node.value or ast.Constant(None)
        return ast.copy_location(ast.Return(self._returned(old)), node)


def nothing(_: ast.expr) -> ast.expr:
    return ast.Constant(None)


def other(value: ast.expr) -> ast.expr:
    """One more where it is a number; a list of it where not."""
    text = f'(lambda v: v + 1 if isinstance(v, (int, float)) else [v])({ast.unparse(value)})'
    return ast.parse(text, mode='eval').body


def spoilt(returned: Callable[[ast.expr], ast.expr]) -> Callable[[str], str]:
    return lambda code: ast.unparse(
        ast.fix_missing_locations(Spoil(returned).visit(ast.parse(code)))
    )


def test_solutions_of_humaneval_pass() -> None:
    assert len(humaneval()) == 164
    assert judge([humaneval_job(item) for item in humaneval()]) == {}


def test_solutions_of_mbpp_pass() -> None:
    assert len(mbpp()) == 500
    assert judge([mbpp_job(item) for item in mbpp()]) == {}


@pytest.mark.parametrize('returned', [nothing, other])
def test_spoilt_solutions_fail(returned: Callable[[ast.expr], ast.expr]) -> None:
    """A third of each set."""
    jobs = [humaneval_job(item, spoilt(returned)) for item in humaneval()[::3]]
    jobs += [mbpp_job(item, spoilt(returned)) for item in mbpp()[::3]]
    reasons = judge(jobs)
    assert [jobs[place] for place in range(len(jobs)) if place not in reasons] == []
    assert set(reasons.values()) <= {'failed', 'error', 'timeout', 'stalled'}


def test_text_that_is_no_program_fails() -> None:
    jobs = [humaneval_job(item, lambda code: f'{code}\n)') for item in humaneval()[::16]]
    jobs += [humaneval_job(item, lambda _: '') for item in humaneval()[::16]]
    reasons = judge(jobs)
    assert set(reasons.values()) <= {'syntax', 'missing'}
    assert len(reasons) == len(jobs)
