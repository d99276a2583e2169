"""Answers that are no use, each for the one reason that it was made with."""

import random

import pytest

from phijax.data.synthesis import checks
from phijax.data.synthesis.asking import Prompt
from tests.data.synthesis import teacher

CHANCE = random.Random(5)
EXTRACT = teacher.prose('', CHANCE, 120)
ASKED = (
    f'Write about merge sort, for a reader who has never seen one: {teacher.prose("", CHANCE, 60)}'
)
QUESTION = f'{ASKED} {EXTRACT}'
PROMPT = Prompt(
    index=0,
    factors={},
    template='code/lesson',
    digest='',
    messages=({'role': 'system', 'content': 's'}, {'role': 'user', 'content': QUESTION}),
    max_tokens=100,
    topic='Merge sort',
    extract=EXTRACT,
    words=200,
)
GOOD = f'Merging is simple. {teacher.prose("", CHANCE, 200)}'


def reason(text, prompt=PROMPT):
    found = checks.problem(prompt, text, most_repeated=0.4, most_copied=0.2)
    return found.reason if found else ''


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (GOOD, ''),
        ('', 'malformed'),
        ('a \ud800 surrogate ' + GOOD, 'malformed'),
        ('a \0 byte ' + GOOD, 'malformed'),
        (teacher.REFUSAL, 'refused'),
        ('I\u2019m sorry, this is beyond me. ' + GOOD, 'refused'),
        ('As an AI language model, I have no kitchen. ' + GOOD, 'refused'),
        ('Merge sort is fast.', 'too_short'),
        ('Merge sort goes on. ' * 100, 'repetitive'),
        (f'{ASKED} {GOOD[:300]}', 'prompt_echo'),
        (f'{EXTRACT} merge', 'copied'),
        (GOOD.replace('Merging', 'Cooking'), 'off_topic'),
    ],
)
def test_reasons(text, expected):
    assert reason(text) == expected


@pytest.mark.parametrize(
    'text',
    [
        "She said: I'm sorry I'm late. He laughed.",
        'The robot cannot help it: it falls.',
        'An apology is more than saying sorry.',
    ],
)
def test_texts_in_which_people_apologise_are_no_refusals(text):
    assert not checks.is_refusal(text)


def test_without_a_topic_or_an_extract_neither_is_checked():
    bare = Prompt(0, {}, 't', '', PROMPT.messages, 100)
    assert reason(GOOD.replace('Merging', 'Cooking'), bare) == ''


@pytest.mark.parametrize(
    ('text', 'topic', 'expected'),
    [
        ('We sorted the cards.', 'Sorting by key', True),
        ('Dictionaries map keys.', 'A dictionary of counts', True),
        ('A day at the lake.', 'Binary search', False),
        ('Anything', 'Of the', False),
        ('', '漢字', False),
    ],
)
def test_about_a_topic(text, topic, expected):
    assert checks.is_about(text, topic) == expected


def test_what_is_repeated_is_counted_in_runs_of_five():
    assert checks.repeated('a b c d e f g') == 0.0
    assert checks.repeated('a b c d e ' * 3) == pytest.approx(1 - 5 / 11)
    assert checks.repeated('a b') == 0.0
