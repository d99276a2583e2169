"""A file of functions to mine, and solutions of those that can be used."""

import pathlib
from typing import Any

from tests.data.synthesis import runs

CODE = '''import string
import numpy
from re import sub as replace_all

STEP = 2


def double(x: int) -> int:
    """Twice a number.

    >>> double(2)
    4
    >>> double(0)
    0
    >>> double(numpy)
    8
    """
    return STEP * x


def initials(text):
    """The first letters of words.

    >>> initials('ab cd')
    'ac'
    """
    return ''.join(word[0] for word in text.split() if _is_word(word))


def _is_word(word):
    return bool(word)


def squeeze(text):
    """Without spaces.

    >>> squeeze('a b')
    'ab'
    """
    return replace_all(' ', '', text)


def ones(n):
    """Needs another package.

    >>> ones(1)
    [1.0]
    """
    return numpy.ones(n).tolist()


def wrong(n):
    """Says what is not so.

    >>> wrong(1)
    3
    """
    return n


def shown(n):
    """Only prints.

    >>> print(shown(1))
    1
    """
    return n


def below_zero(operations):
    """Of a benchmark.

    >>> below_zero([1])
    False
    """
    return False


def with_default(n, step=STEP):
    """Needs its file.

    >>> with_default(1)
    2
    """
    return n * step


def again(x):
    """Twice a number.

    >>> double(2)
    4
    >>> double(0)
    0
    """
    return x


def count_words_in_text(text):
    return len(text.split())


def sort_rows_by_size(rows):
    def join_cells(cells):
        return cells

    return rows
'''

SOLUTIONS = {
    'double': 'def double(x):\n    return x + x\n',
    'initials': "def initials(text):\n    return ''.join(w[0] for w in text.split())\n",
    'squeeze': "def squeeze(text):\n    return text.replace(' ', '')\n",
}


def config(url: str, root: pathlib.Path, **exercises: Any) -> dict[str, Any]:
    """A config of exercises that are mined from the file, and a second one that is no Python."""
    made = runs.config(url, root, samples=40)
    (root / 'shelf.py').write_text(CODE)
    (root / 'broken.py').write_text('def (:\n' + '# a line of text\n' * 30)
    made['sources'] = {
        'own': {'kind': 'files', 'paths': [str(root / name) for name in ('shelf.py', 'broken.py')]}
    }
    made['topics'] = {'leaves': 0}
    made['texts'] |= {'kind': 'exercises'}
    made['exercises'] = {'packages': 1, **exercises}
    factors = ['attempt'] if exercises['mode'] == 'completed' else ['form', 'technique']
    made['diversity'] = {'window': 20, 'least': 1000, 'factors': factors}
    made['plain'] = {'samples': 0}
    return made
