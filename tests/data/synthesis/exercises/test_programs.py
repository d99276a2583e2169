"""Functions as texts: taken apart, and put together to the same program."""

import ast

import pytest

from phijax.data.synthesis.exercises import programs

CODE = '''import math
from os import path

@cached
def area(r: float, *more: "Point", unit: str = 'm') -> float:
    """The area.

    >>> area(0)
    0.0
    """
    # of a circle
    full = math.pi * r ** 2

    return full  # and no more


def one(x): "Doc."; return x
'''


def test_a_function_is_taken_with_its_comments():
    function = programs.find(CODE, 'area')
    assert function.arguments == "r, *more, unit='m'"
    assert function.docstring == 'The area.\n\n>>> area(0)\n0.0'
    assert (
        function.body == '# of a circle\nfull = math.pi * r ** 2\n\nreturn full  # and no more'[14:]
    )
    assert function.imports == ('import math', 'from os import path')
    assert function.text.startswith(
        'import math\nfrom os import path\n\n\ndef area(r, *more, unit='
    )


def test_it_is_the_same_program():
    function = programs.find(CODE, 'area')
    again = programs.find(function.text, 'area')
    assert again == function
    assert ast.get_docstring(ast.parse(function.text).body[-1]) == function.docstring


def test_a_function_of_one_line():
    assert programs.find(CODE, 'one').body == 'return x'
    assert programs.find('def f(): return 1', 'f').body == 'return 1'
    assert programs.find('def f(): "Doc."', 'f').body == ''
    assert programs.find('f = 1', 'f') is None


@pytest.mark.parametrize('docstring', ['a', 'a "quote"', 'ends with "', 'a \\n b', 'two\nlines'])
def test_docstrings_are_quoted(docstring):
    assert ast.literal_eval(programs.quoted(docstring)).strip('\n') == docstring


@pytest.mark.parametrize('code', ['def f(:', 'x = \0', '(' * 5000])
def test_what_is_no_python_is_an_error(code):
    with pytest.raises(SyntaxError):
        programs.parse(code)


@pytest.mark.parametrize(
    ('answer', 'code'),
    [
        ('Here:\n```python\nx = 1\n```\nand\n```\ny\n```', 'x = 1\n'),
        ('```py\nx = 1\n```', 'x = 1\n'),
        ('```\nx = 1\n```', 'x = 1\n'),
        ('x = 1', 'x = 1'),
        ('```python\nx = 1', '```python\nx = 1'),  # it was cut off
    ],
)
def test_code_is_the_first_block(answer, code):
    assert programs.code_in(answer) == code
