"""The benchmarks of the phi papers: their items, the words around them, and how answers are graded.

Items are read when they are asked for, out of pinned packages.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from phijax.errors import InputError
from phijax.evaluate.tasks import choices, mathematics, mmlu, programs, squad
from phijax.evaluate.tasks.execution import Execution
from phijax.evaluate.tasks.items import Choice, Grade, Problem, Task, Writing

__all__ = [
    'GROUPS',
    'TASKS',
    'Choice',
    'Execution',
    'Grade',
    'Problem',
    'Task',
    'Writing',
    'data_digest',
    'digest',
    'expand',
    'task',
]

TASKS = {
    each.name: each
    for each in (
        choices.WINOGRANDE,
        choices.ARC_EASY,
        choices.ARC_CHALLENGE,
        choices.BOOLQ,
        choices.SIQA,
        choices.PIQA,
        choices.HELLASWAG,
        mmlu.MMLU,
        choices.OPENBOOKQA,
        squad.SQUAD,
        mathematics.GSM8K,
        mathematics.GSM8K_PROGRAM,
        programs.HUMANEVAL,
        programs.MBPP,
        programs.MBPP_DOCSTRING,
    )
}

# Source: common_sense, language, reasoning: arXiv:2309.05463, tables 2, 3 and 4.
GROUPS = {
    'common_sense': ('winogrande', 'arc_easy', 'arc_challenge', 'boolq', 'siqa'),
    'language': ('piqa', 'hellaswag', 'mmlu', 'openbookqa', 'squad'),
    'reasoning': ('gsm8k_program', 'humaneval', 'mbpp'),
    'code': ('humaneval', 'mbpp'),
    'mathematics': ('gsm8k', 'gsm8k_program'),
    'all': tuple(TASKS),
}


def task(name: str) -> Task:
    """The task of that name.

    Raises:
        InputError: there is none; the message has the nearest name and all there are.
    """
    if name not in TASKS:
        raise InputError(_unknown('task', name, TASKS))
    return TASKS[name]


def expand(names: Iterable[str]) -> list[str]:
    """The tasks that names of tasks and groups stand for, each once, in that order.

    Raises:
        InputError: a name is of neither; the message has the nearest one and all there are.
    """
    found: dict[str, None] = {}
    for name in names:
        if name not in TASKS and name not in GROUPS:
            raise InputError(_unknown('task or group', name, [*TASKS, *GROUPS]))
        found |= dict.fromkeys(GROUPS.get(name, (name,)))
    return list(found)


def digest(asked: Task, num_shots: int, style: str) -> str:
    """A hash of all that a model is asked: it changes with any word of any prompt.

    Every item is hashed, not a few: MMLU, the largest, takes half a second.

    Args:
        style: `completion` for the contexts, anything else for the messages.

    Raises:
        InputError: the task has not so many solved items, or an asset cannot be had.
    """
    written = asked.writing
    stops = written.stops if written and style == 'completion' else ()
    return _hash([stops, *(_words(item, style) for item in asked.items(num_shots))])


def data_digest(items: Sequence[Choice | Problem]) -> str:
    """A hash of which items these are and what is right, whatever the words around them."""
    return _hash(
        (item.id, item.gold if isinstance(item, Choice) else item.reference) for item in items
    )


def _words(item: Choice | Problem, style: str) -> tuple[Any, ...]:
    if style != 'completion':
        return (item.message, item.answers if isinstance(item, Choice) else ())
    if isinstance(item, Choice):
        return (item.contexts, item.continuations)
    return (item.context,)


def _hash(values: Iterable[Any]) -> str:
    state = hashlib.sha256()
    for value in values:
        state.update(json.dumps(value, sort_keys=True).encode() + b'\n')
    return state.hexdigest()


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=1)
    hint = f' (did you mean {near[0]}?)' if near else ''
    return f'There is no {kind} {name!r}{hint}; there are {", ".join(listed)}.'
