"""Questions and functions of our own: right, distinct, the same for a seed, and halves alike."""

import re

import numpy as np
import pytest

from phijax import sandbox
from phijax.errors import InputError
from phijax.evaluate import statistics
from phijax.evaluate.overfitting import membership
from phijax.evaluate.overfitting.twins import arithmetic, functions, questions


def test_questions_have_the_answer_of_their_numbers():
    drawn = questions.draw(0, 500)
    signs = ''
    for question in drawn:
        results = arithmetic.results(question.solution)
        assert all(value.denominator == 1 and value > 0 for value in results)
        assert results[-1] == question.answer == int(question.solution.split('#### ')[1])
        assert [int(n) for n in re.findall(r'\d+', question.text)] == list(question.numbers)
        value = question.numbers[0]
        for number, (sign,) in zip(
            question.numbers[1:], re.findall(r'<<\d+([+*/-])\d+=', question.solution), strict=True
        ):
            value = {'+': value + number, '-': value - number}.get(sign) or (
                value * number if sign == '*' else value / number
            )
            signs += sign
        assert value == question.answer
        assert 1 <= question.steps <= questions.MOST_STEPS
    assert set(signs) == set('+-*/')
    assert len({question.text for question in drawn}) == 500


def test_a_seed_says_all():
    assert questions.draw(3, 20) == questions.draw(3, 20)
    assert questions.draw(3, 20)[:10] == questions.draw(3, 10)
    assert questions.draw(3, 20) != questions.draw(4, 20)
    assert functions.draw(3, 20) == functions.draw(3, 20)


def test_the_halves_of_a_draw_are_alike():
    drawn = questions.draw(5, 2000, (1, 3))
    halves = drawn[:1000], drawn[1000:]
    for measure in (lambda q: len(q.text), lambda q: q.answer, lambda q: q.steps):
        distance = statistics.kolmogorov_smirnov(*([measure(q) for q in half] for half in halves))
        assert distance < 1.63 * np.sqrt(2 / 1000)  # the 1 % level
    blind = membership.detectors(*([q.text for q in half] for half in halves), {})
    for name, detector in blind.items():
        assert detector.auroc.low < 0.52, name
        assert detector.auroc.high > 0.48, name


def test_the_right_answer_has_any_rank_among_the_choices():
    drawn = [question for question in questions.draw(7, 3000) if question.answer >= 4]
    ranks, places = [], []
    for question in drawn:
        values, gold = questions.choices(question, seed=1)
        assert values[gold] == question.answer
        assert len(set(values)) == 4
        assert min(values) > 0
        ranks.append(sorted(values).index(question.answer))
        places.append(gold)
    for counts in (np.bincount(ranks), np.bincount(places)):
        assert np.abs(counts / len(drawn) - 0.25).max() < 0.04
    assert questions.choices(drawn[0], seed=1) == questions.choices(drawn[0], seed=1)


@pytest.mark.parametrize('steps', [(0, 2), (3, 2), (1, 7)])
def test_impossible_steps_are_refused(steps):
    with pytest.raises(InputError, match='allowed are 1 to 6'):
        questions.draw(0, 1, steps)


@pytest.mark.skipif(
    sandbox.probe().level < sandbox.Level.STRONG, reason=str(sandbox.probe().missing)
)
def test_functions_pass_their_tests_and_their_examples():
    drawn = functions.draw(0, 120)
    jobs = []
    for function in drawn:
        examples = re.findall(r'>>> (.*)\n    (.*)\n', function.prompt)
        assert len(examples) == 2
        own = ''.join(f'assert {call} == {result}\n' for call, result in examples)
        jobs.append(
            sandbox.Job(
                code=function.prompt + function.solution,
                tests=f'{function.test}\ncheck({function.name})\n{own}',
                names=(function.name,),
            )
        )
    verdicts = dict(sandbox.run_many(jobs, workers=2))
    assert len(verdicts) == 120
    assert all(verdict.passed for verdict in verdicts.values())


def test_functions_are_distinct_and_of_every_kind():
    drawn = functions.draw(1, 300)
    assert len({function.prompt for function in drawn}) == 300
    kinds = {re.sub(r'\d', '', function.name) for function in drawn}
    assert len(kinds) == 12
    with pytest.raises(InputError, match='allowed are 0 to'):
        functions.draw(0, 10_000)
