"""Programs in texts: what counts as one, and what is wrong with it."""

import pytest

from phijax.data.synthesis import commonsense, textbooks

GOOD = 'Some prose.\n\n```python\nx = 1\nprint(x)\n```\n\nMore.\n\n```\nno program\n```\n'


def test_programs_are_the_blocks_of_python():
    assert textbooks.programs(GOOD + '```py\ny\n```') == ['x = 1\nprint(x)\n', 'y\n']
    assert textbooks.check_programs(GOOD) == ''


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('Only prose.', 'had no ```python block'),
        ('```\nx = 1\n```', 'had no ```python block'),
        (GOOD + '```python\nx = 1', 'was not closed'),
        (GOOD + '```python\nx = = 1\n```', 'block 2 is no Python (SyntaxError)'),
        (GOOD + '```python\n\0\n```', 'block 2 is no Python'),
        (f'```python\n{"(" * 500}{")" * 500}\n```', 'block 1 is no Python'),
    ],
)
def test_what_is_wrong_is_said(text, message):
    assert message in textbooks.check_programs(text)


def test_a_session_is_no_program():
    assert textbooks.check_programs('```python\n>>> 1 + 1\n2\n```') == ''


def test_warnings_of_programs_are_not_ours(recwarn):
    assert textbooks.check_programs('```python\nx = "\\d"\n1 is 1\n```') == ''
    assert not recwarn.list


def test_half_of_the_prompts_for_common_sense_name_a_topic():
    assert commonsense.COMMONSENSE.views == textbooks.KNOWLEDGE.views == ('topic', 'extract')
    assert 'extract' not in textbooks.CODE.views
