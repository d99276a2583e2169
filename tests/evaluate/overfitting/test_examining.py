"""The whole examination of a model in files: leaked items are found, and the page says it all."""

import json
import re
import runpy

import pytest

from phijax import sandbox
from phijax.data import tokenize
from phijax.errors import InputError
from phijax.evaluate.overfitting import canaries, examining, page, plan, sets

FIELDS = {
    'sets': ('humaneval',),
    'limit': 12,
    'answered': 0,
    'max_new_tokens': 4,
    'shards': 3,
    'permutations': 1,
    'tokens': '',
    'canaries': '',
    'references': 15,
    'evaluation': '',
    'dtype': 'float32',
    'seed': 0,
    'rows_at_once': 4,
}
LEAKED = 6


@pytest.fixture(scope='module')
def pairs(asset):
    asset('humaneval'), asset('benchmarks')
    return sets.humaneval(0)[: FIELDS['limit']]


@pytest.fixture(scope='module')
def examined(checkpoint, pairs, tmp_path_factory):
    """What is found of a model whose training text has the first items, and canaries."""
    root = tmp_path_factory.mktemp('examined')
    planted = canaries.plant(canaries.draw(0, each=1), root / 'canaries')
    lines = [json.dumps({'text': f'# {n}\n{pairs[n].text}\n'}) + '\n' for n in range(LEAKED)]
    (root / 'leaked.jsonl').write_text(''.join(lines))
    source = {'kind': 'files', 'paths': [str(root / 'leaked.jsonl'), str(planted)]}
    fields = {'sources': {'text': source}, 'tokenizer': str(checkpoint), 'heldout_fraction': 0.0}
    tokenize.run(tokenize.from_dict(fields), root / 'tokens')
    answers = [{'id': pair.id, 'correct': n < LEAKED} for n, pair in enumerate(pairs)]
    (root / 'evaluation' / 'samples').mkdir(parents=True)
    (root / 'evaluation' / 'samples' / 'humaneval.jsonl').write_text(
        ''.join(json.dumps(line) + '\n' for line in [{'asked': {}}, *answers])
    )
    chosen = plan.from_dict(
        FIELDS
        | {
            'tokens': str(root / 'tokens'),
            'canaries': str(root / 'canaries' / canaries.PLANTED),
            'evaluation': str(root / 'evaluation'),
        }
    )
    table = examining.run(chosen, checkpoint, root / 'report')
    found = json.loads((root / 'report' / examining.RESULTS).read_text())
    return found, table, (root / 'report' / examining.REPORT).read_text()


def test_items_of_the_training_text_are_found_and_what_they_are_worth(examined, pairs):
    found, _, _ = examined
    training = found['sets']['humaneval']['training']
    assert training['items covered by half'] == LEAKED
    leaked = {pair.id for pair in pairs[:LEAKED]}
    assert {each['id'] for each in training['most matched']} < leaked
    gain = training['gain']
    assert gain['accuracy'] == 0.5
    assert gain['chosen']['gain'] == 0.5
    assert gain['chosen']['contaminated'] == LEAKED
    assert gain['p'] < 0.01


def test_every_detector_has_its_figures(examined):
    found, _, _ = examined
    one = found['sets']['humaneval']
    assert one['items'] == 12
    assert one['twins'] == 12
    names = ('loss', 'loss / zlib size', 'loss / lower case', 'Min-K%', 'Min-K%++')
    blind = ('length', 'zlib size', 'words')
    assert set(one['detectors']) == {*names, *blind}
    for name, each in one['detectors'].items():
        assert 0 <= each['low'] <= each['value'] <= each['high'] <= 1
        assert each['blind'] == (name in blind)
    gap = one['likelihood gap']
    assert gap['low'] <= gap['value'] <= gap['high']
    assert gap['value'] == pytest.approx(
        one['nats per character'][0] - one['nats per character'][1]
    )
    assert 0 < one['order']['p_value'] < 1
    assert [each['copies'] for each in found['canaries']] == [0, 1, 4, 16]


def test_the_page_says_what_is_in_the_files(examined):
    found, table, text = examined
    assert table in text
    for test in found['tests']:
        assert test['p, of all tests'] >= test['p']
        assert test['test'] in table
    assert 'gain of items in the training text' in table
    for detector in found['sets']['humaneval']['detectors']:
        assert f'| {detector} |' in text
    assert 'up to 8 %' in text
    assert 'up to 13 %' in text
    assert 'What this does not show' in text
    assert re.search(r'\| 16 \|', text)


def test_p_values_count_how_many_tests_there_are():
    one = {
        'order': {'p_value': 0.03},
        'accuracy gap': {'p': 0.004},
        'training': {'gain': {'p': 0.2}},
    }
    other = {'order': {'p_value': 0.5}, 'accuracy gap': None, 'training': None}
    rows = page.tests({'sets': {'gsm8k': one, 'humaneval': other}})
    assert [row['p, of all tests'] for row in rows] == pytest.approx([0.09, 0.016, 0.4, 0.5])
    assert [row['finding'] for row in rows] == ['no', 'yes', 'no', 'no']


@pytest.mark.skipif(
    sandbox.probe().level < sandbox.Level.STRONG, reason=str(sandbox.probe().missing)
)
def test_items_and_twins_are_answered(checkpoint, pairs, tmp_path):
    chosen = plan.from_dict(FIELDS | {'answered': 2})
    examining.run(chosen, checkpoint, tmp_path)
    found = json.loads((tmp_path / examining.RESULTS).read_text())
    asked = found['sets']['humaneval']['accuracy gap']
    assert asked['items'] == 2
    assert asked['accuracy'] == [0, 0]  # a model of random parameters
    assert asked['p'] == 1
    assert found['sets']['humaneval']['training'] is None
    assert 'Not at hand' in (tmp_path / examining.REPORT).read_text()


def test_answers_that_are_not_there_are_asked_for(checkpoint, examined, tmp_path):
    tokens = examined[0]['tokens']
    chosen = plan.from_dict(FIELDS | {'tokens': tokens, 'evaluation': str(tmp_path)})
    with pytest.raises(InputError, match=r'there are no answers at .*humaneval\.jsonl'):
        examining.run(chosen, checkpoint, tmp_path / 'report')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'sets': ('gsm9k',)}, r"sets must be of gsm8k, humaneval, got \['gsm9k'\]"),
        ({'sets': ()}, r'sets must be of gsm8k, humaneval, got \[\]'),
        ({'shards': 1}, 'shards must be a whole number of at least 2, got 1'),
        ({'limit': 5}, r'at least twice the shards \(6\), got 5'),
        ({'dtype': 'int8'}, "dtype must be one of .* got 'int8'"),
        ({'permutation': 3}, 'did you mean permutations'),
    ],
)
def test_bad_plans_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        plan.from_dict(FIELDS | change)


def test_the_config_is_a_plan():
    get_config = runpy.run_path('configs/eval/overfitting.py')['get_config']
    for variant in ('full', 'smoke'):
        values = get_config(variant).to_dict()
        assert plan.from_dict(values).shards >= 10


def test_a_twin_is_asked_as_its_item_is(pairs, asset):
    for pair in [*pairs, *sets.gsm8k(0)[:20]]:
        if pair.problems:
            item, twin = pair.problems
            assert twin.id == f'{item.id}, twin'
            assert twin.context != item.context
            shared = item.context.rpartition('\nQ: ')[0]
            assert twin.context.startswith(shared)
            assert twin.reference != item.reference
