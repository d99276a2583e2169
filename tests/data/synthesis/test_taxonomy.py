"""Names that say the same, trees as outlines, and files that are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.errors import MissingDataError
from phijax.data.synthesis import taxonomy
from phijax.errors import InputError

WORDS = ('sorting', 'lists', 'merge', 'of', 'large', 'files', 'in', 'two', 'steps', 'dictionary')


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('Sorting of lists', 'list sorting'),
        ('The Dictionaries', 'dictionary'),
        ('Classes', 'class'),
        ('Boxes & matches', 'box, match'),
        ('\uff26ull width', 'Full-width'),
        ('STRASSE', 'straße'),
    ],
)
def test_names_that_say_the_same(one, other):
    assert taxonomy.normal(one) == taxonomy.normal(other)


@pytest.mark.parametrize(
    ('one', 'other'), [('For loops', 'While loops'), ('Bus', 'Buses of tomorrow'), ('In', 'Of')]
)
def test_names_that_do_not(one, other):
    assert taxonomy.normal(one) != taxonomy.normal(other)


@given(st.lists(st.sets(st.sampled_from(WORDS), min_size=1), max_size=30))
def test_what_is_similar_is_found_as_by_comparing_with_all(names):
    known, taken = taxonomy.Known(), []
    for name in map(' '.join, map(sorted, names)):
        words = taxonomy.normal(name)
        alike = [o for o in taken if len(words & o) >= taxonomy.SIMILAR * len(words | o)]
        assert bool(known.find(name)[0]) == bool(alike)
        if not alike:
            known.take(name)
            taken.append(words)


@pytest.mark.parametrize(('name', 'least'), [('code', 40), ('commonsense', 60)])
def test_our_taxonomies_have_subjects_enough_with_areas(name, least):
    paths = taxonomy.load(name)
    subjects = [path for path in paths if len(path) == 1]
    assert len(subjects) >= least
    for subject in subjects:
        assert sum(path[:1] == subject for path in paths) >= 4, subject


def test_a_drawn_tree_is_read_again(tmp_path):
    paths = taxonomy.load('code')
    drawn = taxonomy.draw(paths)
    assert drawn.startswith('Values and names  # 6\n  Numbers and arithmetic\n')
    (tmp_path / 'tree.txt').write_text(drawn)
    assert taxonomy.load(str(tmp_path / 'tree.txt')) == paths


def test_counts_are_of_leaves():
    paths = [('A',), ('A', 'B'), ('A', 'B', 'C'), ('A', 'B', 'D'), ('A', 'E'), ('F',)]
    assert taxonomy.draw(paths) == 'A  # 3\n  B  # 2\n    C\n    D\n  E\nF\n'
    assert taxonomy.leaves(paths) == [paths[2], paths[3], paths[4], paths[5]]
    assert taxonomy.area(paths[2]) == 'B, within A'


def test_a_file_with_a_topic_twice_is_refused_with_both_lines(tmp_path):
    file = tmp_path / 'mine.txt'
    file.write_text('Lists\n  Sorting of lists\nTools\n  List sorting\n')
    with pytest.raises(
        InputError, match=r"mine.txt, line 4: 'List sorting' repeats 'Sorting of lists' of line 2"
    ):
        taxonomy.load(str(file))


def test_files_that_are_not_there_or_empty(tmp_path):
    with pytest.raises(MissingDataError, match='a file, or code, commonsense'):
        taxonomy.load('nothing')
    (tmp_path / 'empty.txt').write_text('# nothing\n')
    with pytest.raises(InputError, match=r'empty.txt'):
        taxonomy.load(str(tmp_path / 'empty.txt'))
