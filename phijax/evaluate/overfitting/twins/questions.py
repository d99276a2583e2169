"""Word problems from templates: independent draws, so that any two halves are of the same kind."""

import dataclasses
import random
from collections.abc import Callable

from phijax.errors import InputError

MOST_STEPS = 6
_LARGEST = 999
_START = (4, 60)

_NAMES = (
    *('Ada', 'Boris', 'Chiara', 'Deniz', 'Elif', 'Femi', 'Greta', 'Hugo', 'Ines', 'Jonas'),
    *('Kofi', 'Lena', 'Mara', 'Nils', 'Olga', 'Pavel', 'Quinn', 'Rosa', 'Sami', 'Tova'),
)
_THINGS = (
    *('marbles', 'stamps', 'shells', 'coins', 'cards', 'buttons', 'pencils', 'apples', 'seeds'),
    *('tickets', 'beads', 'postcards', 'bricks', 'candles', 'badges', 'ribbons', 'acorns'),
)
_OPENINGS = (
    '{name} has {n} {things}.',
    'There are {n} {things} in the drawer of {name}.',
    '{name} starts the week with {n} {things}.',
    'On the shelf of {name} stand {n} boxes, each with one of the {things}.',
    '{name} counts {n} {things} in the morning.',
    'In the bag of {name} are {n} {things}.',
)
_STEPS: dict[str, tuple[str, ...]] = {
    '+': (
        '{name} finds {n} more {things}.',
        'A neighbour brings {n} {things}.',
        '{name} buys {n} {things} at the market.',
        'Then {n} further {things} come in the mail.',
        'An aunt adds {n} {things} to them.',
        '{name} wins {n} {things} in a game.',
    ),
    '-': (
        '{name} gives {n} of them to a friend.',
        'On the way home {n} {things} get lost.',
        '{name} sells {n} {things}.',
        'A cousin borrows {n} of the {things}.',
        '{name} throws away {n} {things} that are damaged.',
        '{n} of the {things} go to the school.',
    ),
    '*': (
        'A month later {name} has {n} times as many.',
        '{name} swaps each of the {things} for {n} smaller ones.',
        'The collection grows to {n} times its size.',
        'With the help of the club there are {n} times as many {things}.',
        'A magician turns every one of the {things} into {n}.',
        '{name} trades them for {n} times as many.',
    ),
    '/': (
        '{name} shares them equally among {n} jars and keeps one jar.',
        'The {things} are split evenly between {n} children, of whom {name} is one.',
        '{name} sorts them into {n} equal heaps and keeps a single heap.',
        'Only one in {n} of the {things} passes the test of {name}, and the rest are left behind.',
        '{name} packs them into {n} equal parcels and takes one home.',
        'The {things} are dealt out to {n} players in equal parts; {name} is one of them.',
    ),
}
_CLOSINGS = (
    'How many {things} does {name} have now?',
    'How many {things} are left with {name}?',
    'What is the number of {things} that {name} has in the end?',
    'With how many {things} does {name} end up?',
)
_APPLY: dict[str, Callable[[int, int], int]] = {
    '+': lambda a, b: a + b,
    '-': lambda a, b: a - b,
    '*': lambda a, b: a * b,
    '/': lambda a, b: a // b,
}


@dataclasses.dataclass(frozen=True)
class Question:
    """A word problem whose answer is a positive integer.

    Attributes:
        text: the question.
        solution: a line a step, with the calculator's annotations of GSM8K, and the answer last.
        answer: the number asked for.
        numbers: those in the question.
    """

    text: str
    solution: str
    answer: int
    numbers: tuple[int, ...]

    @property
    def steps(self) -> int:
        """How many operations lead to the answer."""
        return self.solution.count('<<')


def draw(seed: int, count: int, steps: tuple[int, int] = (1, MOST_STEPS)) -> list[Question]:
    """Distinct questions of so many steps, from and to; the same for the same seed.

    Raises:
        InputError: there are no such questions.
    """
    if not 1 <= steps[0] <= steps[1] <= MOST_STEPS or count < 0:
        raise InputError(
            f'{count} questions of {steps[0]} to {steps[1]} steps; allowed are 1 to {MOST_STEPS}'
        )
    rng = random.Random(seed)
    found: dict[str, Question] = {}
    while len(found) < count:
        question = _draw(rng, rng.randint(*steps))
        found.setdefault(question.text, question)
    return list(found.values())


def choices(question: Question, seed: int, count: int = 4) -> tuple[list[int], int]:
    """Positive numbers at even distances to choose from, and the place of the right one.

    Its rank among them is as likely to be any, so that no rank gives it away, but where the answer
    is less than `count`.
    """
    rng = random.Random(f'{seed} {question.text}')
    rank = rng.randrange(min(count, question.answer))
    most = (question.answer - 1) // rank if rank else question.answer
    gap = rng.randint(1, max(1, min(most, question.answer // count)))
    values = [question.answer + (place - rank) * gap for place in range(count)]
    rng.shuffle(values)
    return values, values.index(question.answer)


def _draw(rng: random.Random, steps: int) -> Question:
    name, things = rng.choice(_NAMES), rng.choice(_THINGS)
    value = rng.randint(*_START)
    numbers, lines = [value], []
    sentences = [rng.choice(_OPENINGS).format(name=name, things=things, n=value)]
    for _ in range(steps):
        sign, number = _operation(rng, value)
        result = _APPLY[sign](value, number)
        lines.append(f'{value} {sign} {number} = <<{value}{sign}{number}={result}>>{result}')
        sentences.append(rng.choice(_STEPS[sign]).format(name=name, things=things, n=number))
        numbers.append(number)
        value = result
    sentences.append(rng.choice(_CLOSINGS).format(name=name, things=things))
    solution = '\n'.join([*lines, f'#### {value}'])
    return Question(' '.join(sentences), solution, value, tuple(numbers))


def _operation(rng: random.Random, value: int) -> tuple[str, int]:
    """A sign and a number that lead from a value to a positive integer that is not too large."""
    ways: dict[str, list[int]] = {
        '+': list(range(2, min(60, _LARGEST - value) + 1)),
        '-': list(range(2, min(60, value))),
        '*': [number for number in range(2, 7) if value * number <= _LARGEST],
        '/': [number for number in range(2, 10) if value % number == 0],
    }
    sign = rng.choice([sign for sign, numbers in ways.items() if numbers])
    return sign, rng.choice(ways[sign])
