"""Twins of GSM8K: the same story with other numbers and names, and the answer computed anew.

An item has a twin when every number of its solution can be traced: to a number of the question, to
an earlier result, or to a constant that the question names in words. The numbers of the question
are then drawn again, with as many digits, and the solution is computed from them.
"""

import ast
import dataclasses
import math
import operator
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

_NUMBER = re.compile(r'(?<![\w.,/:])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\d|[.,:/]\d|\w)|\.\d+')
_ANNOTATION = re.compile(r'<<([^=<>]+)=([^=<>]+)>>')
_ANY = re.compile(r'(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+)((?:st|nd|rd|th|x)\b)?')
_EQUATION = re.compile(r'([\d.,+\-*/x()$ ]*\d[)]?) ?= ?\$?([\d,]*\.?\d+)')
_WRONG_ARTICLE = re.compile(r'\b[Aa]n (?!8|11\b|18\b)\d|\b[Aa] (?:8|11\b|18\b)')
_FINAL = '#### '
_DRAWS = 400
# A round number stays as round, a year stays a year, and 0 and 1 have grammar of their own.
_FIXED = (0, 1, *range(1900, 2100))

_WORDS = {
    'two': 2,
    'three': 3,
    'four': 4,
    'five': 5,
    'six': 6,
    'seven': 7,
    'eight': 8,
    'nine': 9,
    'ten': 10,
    'eleven': 11,
    'twelve': 12,
    'fifteen': 15,
    'twenty': 20,
    'thirty': 30,
    'one': 1,
    'a': 1,
    'an': 1,
    'another': 1,
    'twice': 2,
    'double': 2,
    'doubled': 2,
    'both': 2,
    'half': 2,
    'halves': 2,
    'pair': 2,
    'triple': 3,
    'thrice': 3,
    'third': 3,
    'thirds': 3,
    'quarter': 4,
    'quarters': 4,
    'fourth': 4,
    'fourths': 4,
    'fifth': 5,
    'fifths': 5,
    'sixth': 6,
    'tenth': 10,
    'dozen': 12,
    'dozens': 12,
    'hundred': 100,
    'couple': 2,
    'week': 7,
    'weeks': 7,
    'weekly': 7,
    'year': 12,
    'years': 12,
    'yearly': 12,
    'annual': 12,
    'hour': 60,
    'hours': 60,
    'minute': 60,
    'minutes': 60,
    'day': 24,
    'days': 24,
    'daily': 24,
    'foot': 12,
    'feet': 12,
    'cents': 100,
    'percent': 100,
}
_SHARES = {
    'half': (1, 2),
    'third': (1, 3),
    'quarter': (1, 4),
    'fourth': (1, 4),
    'fifth': (1, 5),
    'tenth': (1, 10),
    'thirds': (2, 3),
    'quarters': (3, 4),
    'fourths': (3, 4),
}
# First names that are no other words, those of women and of men.
_NAMES = (
    (
        *('Janet', 'Emily', 'Sarah', 'Maria', 'Lisa', 'Anna', 'Julia', 'Laura', 'Jessica', 'Karen'),
        *('Mary', 'Susan', 'Emma', 'Rachel', 'Amanda', 'Michelle', 'Jenny', 'Kelly', 'Claire'),
        *('Alice', 'Nancy', 'Diana', 'Megan', 'Jane', 'Samantha', 'Stephanie', 'Carla', 'Gina'),
    ),
    (
        *('John', 'James', 'Tom', 'Josh', 'Mike', 'David', 'Peter', 'Carlos', 'Henry', 'Kevin'),
        *('Michael', 'Tim', 'Jerry', 'Ryan', 'Steve', 'Brian', 'Adam', 'Paul', 'Eric', 'Billy'),
        *('Jim', 'Daniel', 'Robert', 'Alex', 'Ben', 'Andrew', 'Jason', 'Greg', 'Brandon', 'Sean'),
    ),
)
_SIGNS: Mapping[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclasses.dataclass(frozen=True)
class Item:
    """A word problem.

    Attributes:
        question: its text.
        answer: the solution with annotations, and the number after `#### `.
    """

    question: str
    answer: str

    @property
    def result(self) -> int:
        """The number asked for."""
        return int(self.answer.rpartition(_FINAL)[2].replace(',', ''))

    @property
    def numbers(self) -> list[int]:
        """The whole numbers of the question that are written in digits."""
        found = _NUMBER.findall(self.question)
        return [int(each.replace(',', '')) for each in found if '.' not in each]

    @property
    def steps(self) -> int:
        """How many operations are annotated."""
        return len(_ANNOTATION.findall(self.answer))


class _Untraceable(Exception):
    """A number of the solution comes from nowhere, or from two places that differ."""


def twin(item: Item, seed: int) -> Item | None:
    """An item with the same story and other numbers; None where the item admits none.

    Every result is a whole number that is not negative, of as many digits as before, and the
    answer is another one.
    """
    variables = _variables(item)
    if not variables or not _is_sound(item) or not _renumbered(item, {}):
        return None
    rng = random.Random(f'{seed} {item.question}')
    for _ in range(_DRAWS):
        made = _renumbered(item, {value: _draw(rng, value) for value in variables})
        if made and made.result != item.result and _is_sound(made) and _reads_as(made, item):
            return _renamed(made, rng)
    return None


def measures(item: Item, other: Item) -> dict[str, tuple[list[float], list[float]]]:
    """What should be alike in an item and its twin: sizes of numbers, steps, characters."""

    def of(each: Item) -> dict[str, list[float]]:
        sizes = [math.log10(1 + number) for number in (*each.numbers, each.result)]
        return {
            'sizes of numbers': sizes,
            'steps': [each.steps],
            'characters': [len(each.question)],
        }

    first, second = of(item), of(other)
    return {name: (first[name], second[name]) for name in first}


def results(answer: str) -> list[Fraction]:
    """The results of the annotations, each computed from its own operands.

    Raises:
        ValueError: an annotation is not the four operations on numbers, or is not what it says.
    """
    found = []
    for expression, stated in _ANNOTATION.findall(answer):
        value = evaluate(expression)
        if value != Fraction(stated.replace(',', '').strip()):
            raise ValueError(f'{expression} is {value}, not {stated}')
        found.append(value)
    return found


def evaluate(expression: str) -> Fraction:
    """The exact value of the four operations on numbers.

    Raises:
        ValueError: it is something else.
    """
    plain = re.sub(r'\b0+(?=\d)', '', expression.replace(',', '').strip())
    try:
        return _value(ast.parse(plain, mode='eval').body, plain)
    except (SyntaxError, ZeroDivisionError) as error:
        raise ValueError(f'{expression!r} has no value: {error}') from error


def _value(node: ast.AST, source: str) -> Fraction:
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        sides = _value(node.left, source), _value(node.right, source)
        return _SIGNS[type(node.op)](*sides)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return Fraction(ast.get_source_segment(source, node) or '')
    raise ValueError(f'{source!r} is more than the four operations on numbers')


def _is_sound(item: Item) -> bool:
    """Whether all results are whole, not negative, as stated, and the last one is the answer."""
    try:
        found = results(item.answer)
        return (
            bool(found)
            and found[-1] == item.result
            and all(value.denominator == 1 and value >= 0 for value in found)
        )
    except ValueError:
        return False


def _reads_as(made: Item, item: Item) -> bool:
    """Whether the words still fit: equations outside annotations hold as before, and articles."""
    same = _equations(made.answer) == _equations(item.answer)
    return same and not _WRONG_ARTICLE.search(made.question)


def _variables(item: Item) -> list[int]:
    """The numbers of the question that can be drawn again: operands that are nothing else."""
    constants = _constants(item.question)
    operands = {
        Fraction(each)
        for expression, _ in _ANNOTATION.findall(item.answer)
        for each, _ in _ANY.findall(expression.replace(',', ''))
    }
    numbers = [number for number, _, _ in _places(item.question)]
    return sorted({n for n in numbers if n in operands and n not in constants and n not in _FIXED})


def _places(question: str) -> Iterator[tuple[int, int, int]]:
    """Whole numbers of a question with where they stand; percentages and decimals stay."""
    for match in _NUMBER.finditer(question):
        after = question[match.end() : match.end() + 8]
        if '.' not in match[0] and not re.match(r'\s*(%|percent|th\b|st\b|nd\b|rd\b)', after):
            yield int(match[0].replace(',', '')), match.start(), match.end()


def _constants(question: str) -> set[Fraction]:
    """The values that a question names in words, as shares, or as decimals."""
    words = set(re.findall(r'[a-z]+', question.lower()))
    found = {Fraction(_WORDS[word]) for word in words & _WORDS.keys()}
    for word in words & _SHARES.keys():
        found |= {Fraction(*_SHARES[word]), Fraction(_SHARES[word][0])}
    for number in re.findall(r'(\d+(?:\.\d+)?)\s*(?:%|percent)', question):
        found |= {Fraction(number), Fraction(number) / 100, Fraction(100)}
    found |= {Fraction(number) for number in re.findall(r'(\d+)(?:st|nd|rd|th)\b', question)}
    for top, bottom in re.findall(r'(\d+)/(\d+)', question):
        found |= {Fraction(int(top)), Fraction(int(bottom))}
    numbers = {m.start(): Fraction(m[0].replace(',', '')) for m in _NUMBER.finditer(question)}
    drawn_again = {start for _, start, _ in _places(question)}
    return found | {numbers[start] for start in numbers.keys() - drawn_again}


def _draw(rng: random.Random, value: int) -> int:
    """Another number of as many digits that ends in as many zeros."""
    digits = str(value)
    lead = digits.rstrip('0')
    if len(lead) == 1:
        return int(rng.choice('23456789' if len(digits) == 1 else '123456789')) * 10 ** (
            len(digits) - 1
        )
    while True:
        drawn = rng.randrange(10 ** (len(lead) - 1), 10 ** len(lead))
        if drawn % 10:
            return drawn * 10 ** (len(digits) - len(lead))


def _renumbered(item: Item, new: Mapping[int, int]) -> Item | None:
    """The item with its numbers replaced and its solution computed anew, if all can be traced."""
    question = _replace(
        item.question, [(a, b, new.get(n, n)) for n, a, b in _places(item.question)]
    )
    try:
        return Item(question, _recomputed(item, new))
    except (_Untraceable, ValueError):
        return None


def _recomputed(item: Item, new: Mapping[int, int]) -> str:
    """The solution with the new numbers.

    Raises:
        _Untraceable: a number of the solution cannot be told from another.
    """
    sources: dict[Fraction, set[Fraction]] = {}
    for number, _, _ in _places(item.question):
        sources.setdefault(Fraction(number), set()).add(Fraction(new.get(number, number)))
    for constant in _constants(item.question):
        sources.setdefault(constant, set()).add(constant)
    parts, last = [], 0
    for match in _ANNOTATION.finditer(item.answer):
        parts.append(_rewritten(item.answer[last : match.start()], sources))
        expression = _rewritten(match[1], sources)
        value, before = evaluate(expression), evaluate(match[1])
        if value.denominator != 1 or value < 0 or len(str(value)) != len(str(before)):
            raise _Untraceable(expression)
        sources.setdefault(before, set()).add(value)
        parts.append(f'<<{expression}={value}>>')
        last = match.end()
    parts.append(_rewritten(item.answer[last:], sources))
    return ''.join(parts)


def _rewritten(text: str, sources: Mapping[Fraction, set[Fraction]]) -> str:
    """The text with every number replaced by what it has become."""

    def become(match: re.Match[str]) -> str:
        plain = Fraction(match[1].replace(',', ''))
        found = sources.get(plain, set())
        if len(found) != 1 or match[2]:
            raise _Untraceable(match[0])
        [value] = found
        return match[1] if value == plain else _like(match[1], int(value))

    return _ANY.sub(become, text)


def _like(old: str, value: int) -> str:
    """A number written as another is."""
    return f'{value:,}' if ',' in old else str(value)


def _replace(text: str, changes: Sequence[tuple[int, int, int]]) -> str:
    for start, end, value in reversed(changes):
        text = text[:start] + _like(text[start:end], value) + text[end:]
    return text


def _equations(answer: str) -> list[bool]:
    """Of the equations in the words of a solution, without annotations, whether each holds."""
    found = []
    for left, right in _EQUATION.findall(_ANNOTATION.sub('', answer)):
        try:
            plain = left.replace('x', '*').replace('$', '').lstrip(' .,-+*/)')
            found.append(evaluate(plain) == Fraction(right.replace(',', '')))
        except ValueError:
            found.append(False)
    return found


def _renamed(item: Item, rng: random.Random) -> Item:
    """The item with other first names in place of those that are known."""
    question, answer = item.question, item.answer
    for names in _NAMES:
        there = [name for name in names if re.search(rf'\b{name}\b', question)]
        free = [name for name in names if name not in question + answer]
        for name, other in zip(there, rng.sample(free, min(len(there), len(free))), strict=False):
            question, answer = (re.sub(rf'\b{name}\b', other, t) for t in (question, answer))
    return Item(question, answer)
