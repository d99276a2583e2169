"""Names: their parts, how often packages use them, and which are too near to a benchmark's."""

import ast

import pytest

from phijax.data.synthesis.exercises import mining, names
from phijax.data.synthesis.exercises.names import Count, Parts, Protected


@pytest.mark.parametrize(
    ('name', 'parts'),
    [
        ('sort_rows_by_key', ('sort', 'rows', 'by_key')),
        ('_parse_header', ('parse', 'header', '')),
        ('find_prime_numbers_in_range', ('find', 'prime_numbers', 'in_range')),
        ('merge_in_place', ('merge', '', 'in_place')),
        ('header_parse', None),
        ('parse', None),
        ('parse_a_very_long_name', None),
        ('parse_x1', None),
        ('find_rows_by', None),
        ('CamelCase', None),
    ],
)
def test_parts(name, parts):
    made = names.divide(name)
    assert made == (Parts(*parts) if parts else None)
    if made:
        assert str(made) == name.strip('_')


def test_functions_of_classes_count_too():
    tree = ast.parse(
        'class A:\n  def count_words(self): pass\n'
        'if 1:\n  def f():\n    def sort_rows(): pass\n'
        'try: x = 1 if y else 2\nexcept E:\n  def join_cells(): pass\n'
        'match x:\n  case 1:\n    def pack_rows(): pass\n'
    )
    found = {str(parts) for parts in names.in_code(tree)}
    assert found == {'count_words', 'sort_rows', 'join_cells', 'pack_rows'}


def test_parts_are_counted_by_packages_that_use_them():
    count = Count()
    for package in 'abc':
        count.add(package, [Parts('sort', 'rows', 'by_key')])
    count.add('a', [Parts('sort', 'odd', '')] * 9 + [Parts('count', 'cells', '')])
    count.add('b', [Parts('count', 'cells', '')])
    assert count.most_used('object', 9) == ['rows', 'cells', 'odd']
    assert count.most_used('object', 9, least=2) == ['rows', 'cells']
    assert count.most_used('verb', 1) == ['sort']
    assert count.most_used('qualifier', 9) == ['by_key']


@pytest.mark.parametrize(
    ('name', 'near'),
    [
        ('has_close_elements', True),
        ('hasCloseElements', True),
        ('has_close_element', True),
        ('has_closed_elements', True),
        ('has_close_elements_2', True),
        ('has_closest_elements', False),
        ('adds', False),  # short names differ by a letter
        ('add', True),
        ('sort_rows', False),
    ],
)
def test_names_near_a_benchmarks_are_known(name, near):
    assert (name in Protected(['has_close_elements', 'add', ''])) == near


def test_objects_that_would_make_such_a_name_are_known():
    protected = Protected(['count_prime_words_in_text', 'sum_digits'])
    objects = ['prime_words', 'prime_word', 'digits', 'digit', 'rows']
    clashes = protected.clashes(['count', 'sum'], objects, ['in_text', ''])
    assert clashes == {'prime_words', 'prime_word', 'digits', 'digit'}


def test_every_function_of_the_benchmarks_is_protected(asset):
    asset('humaneval')
    asset('benchmarks')
    protected = mining.protected()
    for name in ('has_close_elements', 'below_zero', 'remove_Occ', 'sort_matrix'):
        assert name in protected
