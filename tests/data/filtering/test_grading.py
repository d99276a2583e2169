import inspect
import textwrap

import pytest

from phijax.data.filtering import grading, rubric

TEXTBOOK = '''
"""Searching in sorted lists."""


def binary_search(items, wanted):
    """The index of `wanted` in a sorted list, or -1.

    >>> binary_search([1, 3, 5], 3)
    1
    """
    low, high = 0, len(items) - 1
    while low <= high:
        middle = (low + high) // 2
        if items[middle] == wanted:
            return middle
        if items[middle] < wanted:
            low = middle + 1  # it lies in the right half
        else:
            high = middle - 1
    return -1
'''
SETTINGS = 'DEBUG = True\nHOST = "localhost"\nPORTS = [80, 443, 8080]\nNAMES = {"a": 1, "b": 2}\n'
WINDOW = '''
import tkinter


def show():
    """Shows a window."""
    root = tkinter.Tk()
    for index in range(3):
        tkinter.Button(root, text=str(index), width=10 + index * 2).pack()
    root.mainloop()
'''
FRAMEWORK = """
from . import base
from .registry import register
from mypackage.core import Thing


@register('thing')
class Special(base.Base, Thing):
    option = True
    def run(self, context):
        return super().run(context).using(self.option)
"""


def test_a_textbook_example_has_the_highest_grade():
    grade = grading.grade(TEXTBOOK, 'search.py')
    assert (grade.level, grade.self_contained, grade.meaningful, grade.clear) == (
        5,
        True,
        True,
        True,
    )
    assert grade.topic in ('algorithms', 'data structures', 'text processing')


@pytest.mark.parametrize('text', [SETTINGS, WINDOW])
def test_what_the_paper_calls_not_meaningful(text):
    grade = grading.grade(text, 'x.py')
    assert not grade.meaningful
    assert grade.level <= 1


def test_what_leans_on_other_files():
    grade = grading.grade(FRAMEWORK, 'x.py')
    assert not grade.self_contained
    assert grade.level <= 2


@pytest.mark.parametrize('path', ['tests/test_search.py', 'pkg/test_search.py', 'search_test.py'])
def test_a_test_is_no_textbook(path):
    assert grading.grade(TEXTBOOK, path).level <= 1


@pytest.mark.parametrize('text', ['def f(:\n', '(' * 5000, '\n'.join(['x ='] * 3)])
def test_what_does_not_parse(text):
    assert grading.grade(text).level == 0


def test_real_code_is_ranked_as_a_person_would():
    high = [textwrap, inspect.getmodule(inspect.cleandoc)]
    import bisect
    import heapq
    import opcode

    levels = {
        m.__name__: grading.grade(inspect.getsource(m)).level for m in (bisect, heapq, opcode)
    }
    assert levels['bisect'] > levels['opcode']
    assert levels['heapq'] > levels['opcode']
    assert all(grading.grade(inspect.getsource(m)).level >= 1 for m in high)


def test_the_schema_is_of_the_grade():
    names = set(grading.Grade.__dataclass_fields__)
    assert set(rubric.SCHEMA['required']) == set(rubric.SCHEMA['properties']) == names


@pytest.mark.parametrize('name', rubric.RUBRICS)
def test_the_question_holds_the_text_and_the_scale(name):
    system, user = rubric.messages(name, 'THE TEXT')
    assert 'THE TEXT' in user['content']
    assert all(f'{level}: ' in system['content'] for level in grading.LEVELS)
    assert all(topic in system['content'] for topic in grading.TOPICS)
