"""Stop strings: where a text is cut, and what of one under way can be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.errors import InputError
from phijax.generate import stops


@pytest.mark.parametrize(
    ('text', 'given', 'expected'),
    [
        ('abcdef', (), 'abcdef'),
        ('abcdef', ('x',), 'abcdef'),
        ('abcdef', ('de', 'bc'), 'a'),
        ('abab', ('ab',), ''),
        ('', ('a',), ''),
        ('abcd', ('abc', 'b'), 'a'),
        ('xabc', ('c', 'abc'), 'x'),
    ],
)
def test_a_text_ends_before_its_first_stop(text, given, expected):
    assert stops.cut(text, given) == expected


@pytest.mark.parametrize(
    ('text', 'given', 'expected'),
    [
        ('ab\n', ('\ndef',), 'ab'),
        ('ab\nde', ('\ndef',), 'ab'),
        ('ab\ndx', ('\ndef',), 'ab\ndx'),
        ('ab\ndef c', ('\ndef',), 'ab'),
        ('aab', ('aabaab',), ''),
        ('caf\ufffd', (), 'caf'),
        ('ab', ('b', 'abc'), 'a'),
    ],
)
def test_what_may_still_change_is_not_shown(text, given, expected):
    assert stops.settled(text, given) == expected


@given(st.text('ab', max_size=12), st.lists(st.text('ab', min_size=1, max_size=4), max_size=3))
def test_what_is_shown_is_never_taken_back(text, given):
    whole = stops.cut(text, given)
    for length in range(len(text) + 1):
        assert whole.startswith(stops.settled(text[:length], given))
        if stops.cut(text[:length], given) != text[:length]:
            assert stops.cut(text[:length], given) == whole
    if not any(stop in text for stop in given):
        assert stops.cut(text, given) == text


def test_an_empty_stop_is_refused():
    with pytest.raises(InputError, match='stop must not be empty'):
        stops.check(['a', ''])
