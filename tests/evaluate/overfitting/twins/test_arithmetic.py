"""Every twin of GSM8K's problems recomputed by other means, and what admits no twin."""

import functools
import re

import pytest

from phijax.evaluate.overfitting import sets
from phijax.evaluate.overfitting.twins import arithmetic
from phijax.evaluate.overfitting.twins.arithmetic import Item
from phijax.evaluate.tasks import reading

ANNOTATION = re.compile(r'<<(.+?)=(.+?)>>(\S*)')
EGGS = Item(
    'Tom has 16 eggs. He eats 3 and sells the rest for $2 each. How much does he make?',
    'He sells 16 - 3 = <<16-3=13>>13 eggs.\nHe makes 13 * 2 = $<<13*2=26>>26.\n#### 26',
)


@functools.cache
def items():
    documents = reading.documents('gsm8k/gold_bpb_5shot')
    return [Item(document['question'], document['answer']) for document in documents]


@functools.cache
def twins(count):
    """Pairs of an item and its twin, of the first so many items."""
    pairs = [(item, arithmetic.twin(item, seed=0)) for item in items()[:count]]
    return [(item, other) for item, other in pairs if other]


def recomputed(answer):
    """The results of the annotations, by Python itself, each as it stands after the annotation."""
    results = []
    for expression, stated, shown in ANNOTATION.findall(answer):
        assert re.fullmatch(r'[\d.,+\-*/() ]+', expression), expression
        plain = re.sub(r'(?<![\d.])0+(?=\d)', '', expression.replace(',', ''))
        value = eval(plain, {'__builtins__': {}})
        assert value == float(stated.replace(',', '')), answer
        assert value == int(value) >= 0, answer
        digits = re.match(r'[\d,]*', shown)[0].rstrip(',').replace(',', '')
        assert not digits or int(digits) == value, answer
        results.append(int(value))
    return results


def check(item, other):
    """Asserts all that a twin promises."""
    results, before = recomputed(other.answer), [int(r) for r in arithmetic.results(item.answer)]
    assert results[-1] == other.result != item.result
    assert int(other.answer.split('#### ')[1].replace(',', '')) == results[-1]
    assert [len(str(r)) for r in results] == [len(str(r)) for r in before]
    assert other.steps == item.steps
    assert [len(str(n)) for n in other.numbers] == [len(str(n)) for n in item.numbers]
    assert other.question != item.question
    signs = [re.sub(r'[\d., ]', '', e) for e, _, _ in ANNOTATION.findall(other.answer)]
    assert signs == [re.sub(r'[\d., ]', '', e) for e, _, _ in ANNOTATION.findall(item.answer)]
    shapes = [re.sub(r'\d[\d,]*(?:\.\d+)?', '#', each.answer) for each in (item, other)]
    assert shapes[0].count('#') == shapes[1].count('#')


def test_every_twin_is_right_by_another_calculation(asset):
    asset('benchmarks')
    found = twins(250)
    assert len(found) >= 0.42 * 250
    for item, other in found:
        check(item, other)


@pytest.mark.slow
def test_every_twin_of_the_whole_set_is_right(asset):
    asset('benchmarks')
    assert len(items()) == 1319
    assert len(twins(1319)) == 617
    for item, other in twins(1319):
        check(item, other)


def test_twins_are_of_the_sizes_of_their_items(asset):
    asset('benchmarks')
    pairs = [
        sets.Pair('', item.question, other.question, None, arithmetic.measures(item, other))
        for item, other in twins(250)
    ]
    found = sets.matching(pairs)
    assert found['steps, KS distance'] == 0
    assert found['characters, KS distance'] < 0.03
    assert found['sizes of numbers, KS distance'] < 0.1


def test_a_twin_by_hand():
    for seed in range(20):
        other = arithmetic.twin(EGGS, seed)
        check(EGGS, other)
        name, eggs, eaten, price = re.fullmatch(
            r'(\w+) has (\d+) eggs. He eats (\d) and sells the rest for \$(\d) each. '
            r'How much does he make\?',
            other.question,
        ).groups()
        assert other.result == (int(eggs) - int(eaten)) * int(price)
        assert name != 'Tom'
    assert arithmetic.twin(EGGS, 0) == arithmetic.twin(EGGS, 0) != arithmetic.twin(EGGS, 1)


@pytest.mark.parametrize(
    ('question', 'answer'),
    [
        # 8 was computed without an annotation, so it comes from nowhere.
        ('She has 10 dogs less 2, and 5 cats.', '10-2=8 dogs, 8+5=<<8+5=13>>13\n#### 13'),
        # A half does not stay whole.
        ('There are 5 cakes for 2 of us.', '5/2=<<5/2=2.5>>2.5\n#### 2.5'),
        # Not what it says.
        ('There are 5 cakes and 3 pies.', '5+3=<<5+3=9>>9\n#### 9'),
        # The answer is not the last result.
        ('There are 5 cakes and 3 pies.', '5+3=<<5+3=8>>8\n#### 7'),
        # Nothing but numbers in words.
        ('There are five cakes and three pies.', '5+3=<<5+3=8>>8\n#### 8'),
        # Percentages stay, and there is nothing else.
        ('What is 25% of 100%?', '100*.25=<<100*.25=25>>25\n#### 25'),
    ],
)
def test_what_cannot_be_traced_has_no_twin(question, answer):
    assert arithmetic.twin(Item(question, answer), seed=0) is None


def test_a_number_of_two_places_moves_only_where_both_agree():
    item = Item('6 cups, 3 mugs, 9 jugs.', '9-3=<<9-3=6>>6 and 6+6=<<6+6=12>>12\n#### 12')
    for seed in range(20):
        other = arithmetic.twin(item, seed)
        cups, mugs, jugs = other.numbers
        assert cups == jugs - mugs
        assert other.result == 2 * cups


def test_constants_in_words_stay():
    item = Item(
        'Ann works 8 days and rests one week. How many days is that?',
        'A week has 7 days. 8+7=<<8+7=15>>15\n#### 15',
    )
    found = {arithmetic.twin(item, seed).answer for seed in range(20)}
    assert len(found) > 1
    assert all('+7=' in answer and 'has 7 days' in answer for answer in found)


def test_articles_fit_their_numbers():
    item = Item('It is a 7 mile walk, 3 times.', '7*3=<<7*3=21>>21\n#### 21')
    questions = {arithmetic.twin(item, seed).question for seed in range(40)}
    assert len(questions) > 5
    assert not any('a 8 ' in question for question in questions)


@pytest.mark.parametrize(
    ('expression', 'value'), [('2*(3+4)-1', 13), ('1,200/4', 300), ('.5*08', 4)]
)
def test_expressions_have_their_exact_value(expression, value):
    assert arithmetic.evaluate(expression) == value


@pytest.mark.parametrize(
    'expression', ['2**9', '-3+5', '__import__("os")', '2+', '1/0', 'x+1', '"a"*3']
)
def test_nothing_but_the_four_operations_is_evaluated(expression):
    with pytest.raises(ValueError, match=r'four operations|no value'):
        arithmetic.evaluate(expression)
