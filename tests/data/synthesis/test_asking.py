"""Windows asked through a real endpoint on loopback: again, kept, retired, and how it ends."""

import collections
import random

import pytest

from phijax.data.client import Budget, Client, Endpoint
from phijax.data.document import identify
from phijax.data.errors import BudgetError, QualityError, UnavailableError
from phijax.data.synthesis import asking, diversity
from phijax.data.synthesis.asking import Problem, Prompt, Run, Teacher
from phijax.data.synthesis.factors import Sampler
from phijax.errors import InputError
from tests.data.client import server
from tests.data.client.server import Script
from tests.data.synthesis import teacher

FORMS = ('a', 'b', 'c')
AGAIN = 'could not be used: '
LIMITS = diversity.Settings(window=10, least=10_000)


class Counting:
    """Prompts with nothing but their factors; words that begin with `bad` are no use."""

    def __init__(self, topics=50):
        self.sampler = Sampler({'topic': [f't{n}' for n in range(topics)], 'form': FORMS})

    def prompt(self, index, factors):
        said = f'{index} {factors["topic"]} {factors["form"]}'
        return Prompt(index, factors, 'k/f', 'd', ({'role': 'user', 'content': said},), 50)

    def text(self, _, answer):
        return answer.text.strip()

    def said(self, text):
        return text

    def check(self, prompt, text):
        bad = text.startswith('bad')
        return Problem('malformed', 'it was bad') if bad and prompt.template else None


def said(body):
    return body['messages'][-1]['content']


@pytest.fixture
def windows(tmp_path):
    """The windows of a run, and what the server counted."""

    def run(write, samples=40, limits=LIMITS, most=1.0, script=None, tokens=10**8, kind=None):
        with server.run(script or Script(write=write)) as running:
            endpoint = Endpoint(
                running.url, 'm', max_concurrency=8, backoff_seconds=0.02, max_attempts=2
            )
            asked = Teacher('m', max_rejected=most)
            with Client(endpoint, Budget(tokens), tmp_path / 'journal') as client:
                kind = kind or Counting()
                found = list(Run(kind, asked, limits, samples, client.complete))
            return found, running.stats

    return run


def results(found):
    return [each for window in found for each in window.results]


def test_good_answers_are_asked_for_once_and_in_order(windows):
    found, stats = windows(said, samples=25)
    assert [each.prompt.index for each in results(found)] == list(range(25))
    assert [len(window.results) for window in found] == [10, 10, 5]
    assert stats.requests == 25
    assert {each.reason for each in results(found)} == {''}
    assert all(each.text == each.prompt.messages[0]['content'] for each in results(found))


def test_a_bad_answer_is_asked_again_once_with_what_was_wrong(windows):
    def write(body):
        is_first = AGAIN not in said(body)
        bad = said(body).split()[0] in ('3', '12') and (is_first or said(body).startswith('12'))
        return f'bad {said(body)}' if bad else said(body)

    found, stats = windows(write, samples=20)
    third, twelfth = results(found)[3], results(found)[12]
    assert (third.asked, third.reason) == (2, '')
    assert f'{AGAIN}it was bad' in third.text
    assert 'bad 3' not in third.text
    assert (twelfth.asked, twelfth.reason) == (2, 'malformed')
    assert twelfth.text.startswith('bad 12')
    assert stats.requests == 22
    assert third.tokens[0] > results(found)[4].tokens[0], 'both answers are counted'


@pytest.mark.parametrize(
    ('fault', 'reason', 'asked'),
    [
        ('length', 'truncated', 2),
        ('refusal', 'refused', 2),
        ('filtered', 'refused', 2),
        ('empty', 'malformed', 2),
        ('filter', 'failed_permanent', 1),
    ],
)
def test_what_the_endpoint_cannot_give_is_kept_as_rejected(windows, fault, reason, asked):
    script = Script(write=said, rates={fault: 1.0})
    found, stats = windows(said, samples=4, script=script)
    assert [each.reason for each in results(found)] == [reason] * 4
    assert {each.asked for each in results(found)} == {asked}
    assert stats.requests == 4 * asked


def test_a_text_that_was_there_is_rejected(windows):
    found, stats = windows(lambda body: f'text {int(said(body).split()[0]) % 7}', samples=25)
    reasons = [each.reason for each in results(found)]
    assert reasons == [''] * 7 + ['duplicate'] * 18
    assert stats.requests == 25, 'it is no use to ask again'
    kept = [identify(each.text) for each in results(found) if not each.reason]
    assert len(set(kept)) == len(kept)


def test_a_combination_is_retired_two_windows_later(windows):
    """All texts of form b begin alike; no window is judged by less than it has."""

    def write(body):
        number, _, form = said(body).split()[:3]
        own = teacher.prose('', random.Random(number), 60)
        return f'once upon a time there {own}' if form == 'b' else own

    limits = diversity.Settings(
        window=30, least=10, factors=('form',), max_opening=0.2, min_rank=0.0
    )
    found, _ = windows(write, samples=120, limits=limits)
    forms = [
        collections.Counter(each.prompt.factors['form'] for each in window.results)
        for window in found
    ]
    assert [counts['b'] for counts in forms[:4]] == [10, 10, 0, 0]
    assert [window.retired for window in found] == [0, 0, 1, 1, 1]
    assert sum(map(len, (window.results for window in found))) == 120
    assert [each.measure for each in found[0].breaches] == ['opening']
    assert found[2].breaches == []
    indices = [each.prompt.index for each in results(found)]
    assert indices == sorted(indices)
    assert len({tuple(each.prompt.factors.values()) for each in results(found)}) == 120


def test_it_ends_when_everything_is_retired(windows):
    limits = diversity.Settings(window=30, least=10, factors=('form',), max_opening=0.2)
    with pytest.raises(QualityError, match='3 combinations of form, 3 are retired'):
        windows(
            lambda body: f'it always begins like that {said(body)}',
            samples=150,
            limits=limits,
            kind=Counting(200),
        )


def test_it_ends_when_there_are_no_more_combinations(windows):
    with pytest.raises(QualityError, match=r'of 15 samples all others were asked for'):
        windows(said, samples=16, kind=Counting(5))
    found, _ = windows(said, samples=15, kind=Counting(5))
    assert len(results(found)) == 15


def test_too_many_bad_answers_end_it(windows):
    with pytest.raises(QualityError, match=r"10 of 10 texts cannot be used \({'malformed': 10}\)"):
        windows(lambda body: 'bad', most=0.5)


def test_failures_for_now_end_it_and_the_same_run_goes_on(windows):
    first = {'5 t': ['error', 'error']}
    plan = {
        f'{n} {t["topic"]} {t["form"]}': first['5 t'] for n in (5,) for t in [Counting().sampler(n)]
    }
    with pytest.raises(UnavailableError, match='1 of 10 requests failed for now'):
        windows(said, samples=20, script=Script(write=said, plan=plan))
    found, stats = windows(said, samples=20)
    assert [each.reason for each in results(found)] == [''] * 20
    assert stats.requests == 11, 'what was answered is not asked again'


def test_the_budget_is_hard_and_a_larger_one_goes_on(windows):
    with pytest.raises(BudgetError):
        windows(said, tokens=600)
    found, _ = windows(said)
    assert len(results(found)) == 40


def test_another_model_ends_it(windows):
    rates = {'renamed': 0.1}
    with pytest.raises(InputError, match='two teachers would be mixed'):
        windows(said, script=Script(write=said, rates=rates))


def test_requests_differ_in_seed_and_number():
    made, kind = Teacher('m', seed=5), Counting()
    one, other = (made.request(kind.prompt(n, kind.sampler(0))) for n in (0, 1))
    assert (one.seed, other.seed) == (5, 6)
    assert (one.sample_index, other.sample_index) == (0, 1)
    assert asking.Teacher(max_rejected=0.0).max_rejected == 0.0
    with pytest.raises(InputError, match=r'teacher\.max_rejected'):
        Teacher(max_rejected=1.1)
