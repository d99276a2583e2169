"""Numbers and programs in the answers of models, nasty ones among them."""

import ast
import time
import warnings

import pytest

from phijax.evaluate.tasks import extraction

NUMBERS = {
    'The answer is 18.': '18',
    'So she makes 9 * 2 = $18 every day.\n#### 18': '18',
    'It costs $1,234.50.': '1234.50',
    '1,450,000': '1450000',
    'He has 12,5 or 13': '13',
    'from 1234,567': '567',
    'the balance is -5': '-5',
    'the balance is $-5': '-5',
    'the balance is -$5.': '-5',
    'the balance is \u22125 dollars': '-5',
    'x=-3': '-3',
    '(-7)': '-7',
    '20 - 12': '12',
    '20-12': '12',
    'x-4': '4',
    'f(2)-4': '4',
    '- 5 apples': '5',
    '0.75': '0.75',
    'about .5 of it': '0.5',
    'it is 3.': '3',
    'it is 3.0': '3.0',
    '50% of them': '50',
    '\\boxed{42}': '42',
    '**42**': '42',
    'between 3 and 4': '4',
    '1. first 2. second': '2',
    '007': '7',
    '': None,
    'nobody knows': None,
    '$ , . -': None,
}


@pytest.mark.parametrize('text', sorted(NUMBERS))
def test_last_number(text: str) -> None:
    number = extraction.last_number(text)
    assert (None if number is None else f'{number:f}') == NUMBERS[text]


def test_a_long_answer_is_read_quickly() -> None:
    began = time.perf_counter()
    assert extraction.last_number('1,' * 50_000 + '-$' * 50_000) == 1
    assert extraction.program('```python\n' + 'def f(' * 20_000, 'g') is not None
    assert extraction.program('def f(x):\n    return (' + '(' * 20_000, 'f') is not None
    assert time.perf_counter() - began < 2


PROMPT = '''import math
from typing import List


def half(x: float) -> float:
    return x / 2


def area(radius: float) -> float:
    """The area of a circle.
    >>> round(area(1), 2)
    3.14
    """
'''
BEFORE = PROMPT[: PROMPT.index('def area')]
BODY = '    return math.pi * radius**2\n'
OWN = 'def area(radius):\n    return math.pi * radius**2\n'

PROGRAMS = {
    'the signature again': (f'Sure:\n\n```python\n{OWN}```\nIt squares.', BEFORE + OWN),
    'all of it': (f'```python\n{PROMPT}{BODY}```', BEFORE + PROMPT + BODY),
    'no language': (f'```\n{OWN}```', BEFORE + OWN),
    'short language': (f'```py\n{OWN}```', BEFORE + OWN),
    'capital language': (f'```Python\n{OWN}```', BEFORE + OWN),
    'words after the language': (f'```python title="a.py"\n{OWN}```', BEFORE + OWN),
    'waves': (f'~~~python\n{OWN}~~~', BEFORE + OWN),
    'cut by the limit': (f'```python\n{OWN}', BEFORE + OWN),
    'the shell first': (f'```bash\npip install math\n```\n```python\n{OWN}```', BEFORE + OWN),
    'an example first': (f'```python\nprint(area(1))\n```\n\n```python\n{OWN}```', BEFORE + OWN),
    'an example last': (f'```python\n{OWN}```\nUse:\n```python\narea(1)\n```', BEFORE + OWN),
    'two versions': (f'```python\n{OWN}```\n```python\n{OWN}#\n```', BEFORE + OWN),
    'only the body': (f'```python\n{BODY}```', PROMPT + BODY),
    'the body at the margin': (f'```python\n{BODY.strip()}\n```', PROMPT + BODY),
    'a body with an import': (
        '```python\nimport cmath\nreturn cmath.pi\n```',
        PROMPT + '    import cmath\n    return cmath.pi\n',
    ),
    'the body without a block': (BODY, PROMPT + BODY),
    'no block': (f'Here it is.\n\n{OWN}', BEFORE + OWN),
    'prose behind': (f'{OWN}\nThis is right, is it not?', BEFORE + OWN.rstrip()),
    'two functions': (
        f'def f():\n    pass\n\n\n{OWN}\nIt uses f.',
        BEFORE + 'def f():\n    pass\n\n\n' + OWN.rstrip(),
    ),
    'no Python': (f'{OWN.replace(":", "")}', BEFORE + OWN.replace(':', '')),
    'in a list': (
        '1. So:\n   ```python\n   def area(r):\n       return r\n   ```',
        BEFORE + 'def area(r):\n    return r\n',
    ),
    'other line ends': (f'```python\n{OWN}```'.replace('\n', '\r\n'), BEFORE + OWN),
    'another name': (
        '```python\ndef surface(r):\n    return r\n```',
        BEFORE + 'def surface(r):\n    return r\n',
    ),
    'a longer name': (
        f'```python\ndef area_of(r):\n    return r\n```\n```python\n{OWN}```',
        BEFORE + OWN,
    ),
    'a later import': (f'from math import *\n\n{OWN}', BEFORE + f'from math import *\n\n{OWN}'),
    'an empty block': (f'```python\n```\n```python\n{OWN}```', BEFORE + OWN),
    'a refusal': ('I cannot do that.', None),
    'nothing': ('', None),
}


@pytest.mark.parametrize('case', sorted(PROGRAMS))
def test_program(case: str) -> None:
    answer, expected = PROGRAMS[case]
    assert extraction.program(answer, 'area', PROMPT) == expected


def test_program_without_a_prompt() -> None:
    assert extraction.program(f'```python\n{OWN}```', 'area') == OWN
    assert extraction.program('```python\nx = 1\n```', 'area') == 'x = 1\n'
    assert extraction.program('    return 1', 'area') is None


def test_a_program_is_read_and_not_run() -> None:
    """What is not Python, or warns, or is hostile to the parser, is only text."""
    hostile = [
        'def f():\n    return "\\w"',
        'def f():\n\0',
        'def f(): return ' + '-' * 50_000 + '1',
    ]
    with warnings.catch_warnings(action='error'):
        for text in hostile:
            assert extraction.program(text, 'f') == text


def test_preamble() -> None:
    assert extraction.preamble(PROMPT, 'area') == BEFORE
    assert extraction.preamble('', 'area') == ''
    ast.parse(extraction.preamble(PROMPT, 'half'))
    assert extraction.preamble(PROMPT, 'half') == BEFORE[: BEFORE.index('def half')]


def test_completed() -> None:
    assert extraction.completed(PROMPT, BODY) == PROMPT + BODY
    assert extraction.completed(PROMPT, ' \n') is None
