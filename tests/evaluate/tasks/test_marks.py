"""Marks of written words: numbers against lm-evaluation-harness, spans against SQuAD's rules."""

from collections.abc import Callable

import pytest

from phijax.evaluate import tasks
from phijax.evaluate.tasks import reading, squad
from phijax.evaluate.tasks.items import Grade, Problem

NOTHING = tasks.Execution()


def grade(name: str, text: str, **reference: object) -> Grade:
    problem = Problem(id='0', context='', message='', reference=reference)
    writing = tasks.task(name).writing
    assert writing is not None
    [found] = writing.grade([problem], [text], NOTHING, False)
    return found


NUMBERS = [
    ('18', 'So it is 18. The answer is 18.'),
    ('18', ' 9 * 2 = 18. The answer is 18'),
    ('18', ' The answer is $18.\n\n'),
    ('18', ' The answer is 18.00.'),
    ('18', ' The answer is 18 eggs, not 20.'),
    ('18', ' the answer is 18.'),
    ('18', ' The answer is 17. No: The answer is 18. '),
    ('2125', ' The answer is 2,125.'),
    ('2125', ' The answer is $2,125.'),
    ('-10', ' The answer is -10.'),
    ('-10', ' It is - 10.'),
    ('8', 'five'),
    ('8', ''),
    ('8', '8'),
    ('8', '#### 8'),
    ('8', ' 8.'),
    ('8', ' The answer is 8%.'),
    ('8', ' The answer is ...'),
    ('8', ' 3, 5, 8 .'),
    ('8', ' 8,'),
    ('5', ' He has 5.5 left.'),
]


@pytest.mark.parametrize(('gold', 'text'), NUMBERS)
def test_strict_and_flexible_are_those_of_the_harness(gold: str, text: str) -> None:
    rendering = pytest.importorskip('tests.evaluate.tasks.rendering')
    rows = [{'question': 'How many?', 'answer': f'So.\n#### {gold}'}]
    harness = rendering.build('gsm8k/gsm8k-cot.yaml', rows)
    found = grade('gsm8k', text, answer=gold)
    assert [found.values['strict'], found.values['flexible']] == rendering.marked(harness, text)


@pytest.mark.parametrize(
    ('gold', 'text', 'correct', 'found', 'reason'),
    [
        ('18', ' The answer is 18.', True, '18', 'passed'),
        ('18', 'The answer is 18.00', True, '18.00', 'passed'),
        ('2125', '#### 2,125', True, '2125', 'passed'),
        ('18', ' 18 eggs, of which 2 broke', False, '2', 'wrong'),
        ('-10', 'It is $-10!', True, '-10', 'passed'),
        ('10', 'It is -10', False, '-10', 'wrong'),
        ('18', ' I do not know.', False, None, 'no answer'),
    ],
)
def test_last_number_decides(
    gold: str, text: str, correct: bool, found: str | None, reason: str
) -> None:
    assert grade('gsm8k', text, answer=gold)[:3] == (correct, found, reason)


def test_the_worked_answers_of_gsm8k_are_right(asset: Callable) -> None:
    asset('benchmarks')
    writing = tasks.task('gsm8k').writing
    assert writing is not None
    problems = [item for item in tasks.task('gsm8k').items(0) if isinstance(item, Problem)]
    worked = [row['answer'] for row in reading.documents('gsm8k/gold_bpb_5shot')]
    grades = writing.grade(problems, worked, NOTHING, False)
    assert len(grades) == 1319
    assert all(found.correct and found.values['flexible'] for found in grades)
    shifted = writing.grade(problems, worked[1:] + worked[:1], NOTHING, False)
    assert sum(found.correct for found in shifted) < 100


@pytest.mark.parametrize(
    ('text', 'plain'),
    [
        ('The  Virgin Mary!', 'virgin mary'),
        ('an apple, a day', 'apple day'),
        ("Destiny's Child", 'destinys child'),
        ('Theatre', 'theatre'),
        ('1,000', '1000'),
        ('"A"', ''),
        ('Beyonc\u00e9\u2019s', 'beyonc\u00e9\u2019s'),
        ('THE\nEND', 'end'),
    ],
)
def test_normalise(text: str, plain: str) -> None:
    assert squad.normalise(text) == plain


@pytest.mark.parametrize(
    ('text', 'gold', 'value'),
    [
        ('23 years', '23', 2 / 3),
        ('the 23 years', '23 years', 1.0),
        ('years years', 'years', 2 / 3),
        ('nothing', '23', 0.0),
        ('the', 'a', 0.0),
    ],
)
def test_f1(text: str, gold: str, value: float) -> None:
    assert squad.f1(text, gold) == pytest.approx(value)


@pytest.mark.parametrize(
    ('text', 'correct', 'found', 'overlap'),
    [
        (' 23 years', True, '23 years', 1.0),
        (' The 23.\nQuestion: why?', True, 'The 23.', 1.0),
        ('\n\n23', True, '23', 1.0),
        ('23 long years', False, '23 long years', 0.8),
        ('It is 24.', False, 'It is 24.', 0.0),
        (' \n ', False, None, 0.0),
    ],
)
def test_squad_takes_the_nearest_answer(
    text: str, correct: bool, found: str | None, overlap: float
) -> None:
    given = grade('squad', text, answers=['23 years', '23'])
    assert given[:2] == (correct, found)
    assert given.values['f1'] == pytest.approx(overlap)
