"""Outlines: what stands where, and lines that stand nowhere."""

import pytest

from phijax.data.synthesis import outline
from phijax.errors import InputError


def test_entries_have_the_names_on_the_way_to_them():
    text = '# head\nA\n  B  # a remark\n    C # 3\n\n  D\nE\n'
    assert outline.parse(text, 'x') == [
        (('A',), 2),
        (('A', 'B'), 3),
        (('A', 'B', 'C # 3'), 4),
        (('A', 'D'), 6),
        (('E',), 7),
    ]


@pytest.mark.parametrize('line', ['   B', '    B', '\tB', ' B'])
def test_a_line_that_is_indented_otherwise_is_named(line):
    with pytest.raises(InputError, match=r"topics.txt, line 2: 'B' must be indented by 2 spaces"):
        outline.parse(f'A\n{line}\n', 'topics.txt')


def test_a_first_line_stands_at_the_margin():
    with pytest.raises(InputError, match='line 1'):
        outline.parse('  A\n', 'x')
