"""The configs of evaluations: every variant is a plan, and a mistake names what is allowed."""

import pathlib
import re
import runpy

import pytest

from phijax import command, evaluate
from phijax.errors import InputError
from phijax.evaluate import published
from phijax.evaluate.overfitting import plan as overfitting
from tests.evaluate.test_running import FIELDS

FOLDER = pathlib.Path(__file__).resolve().parents[2] / 'configs' / 'eval'
VARIANTS = {
    'phi1': ('greedy', 'sampled', 'smoke'),
    'phi1_5': ('full', 'smoke'),
    'phi2': ('full', 'instruct', 'smoke'),
    'phi3_mini': ('full', 'chatml', 'smoke'),
}


def _fields(name, variant):
    return command.plain(runpy.run_path(str(FOLDER / f'{name}.py'))['get_config'](variant))


@pytest.mark.parametrize(('name', 'variant'), [(n, v) for n, vs in VARIANTS.items() for v in vs])
def test_every_variant_is_an_evaluation(name, variant):
    plan = evaluate.from_dict(_fields(name, variant))
    assert plan.chosen()
    assert set(plan.beside) <= set(published.MODELS)
    assert (plan.limit > 0) == (variant == 'smoke')


@pytest.mark.parametrize('variant', ['full', 'smoke'])
def test_every_variant_is_an_examination(variant):
    assert overfitting.from_dict(_fields('overfitting', variant)).sets


def test_every_config_is_tested():
    assert {path.stem for path in FOLDER.glob('*.py')} == {*VARIANTS, 'overfitting'}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'dtype': 'float64'}, 'dtype must be one of float32, bfloat16, float16'),
        ({'bits': 2}, 'bits must be one of 0, 8, 4, got 2'),
        ({'ks': (2,)}, 'ks must be from 1 to num_samples (1), got 2'),
        ({'top_p': 0}, 'top_p must be in (0, 1], got 0'),
        ({'tasks': ()}, 'tasks is empty; there are winogrande'),
        ({'limit': 'all'}, "limit must be a number of at least 0, got 'all'"),
        ({'shots': {'piqqa': 1}}, 'did you mean piqa?'),
    ],
)
def test_a_wrong_evaluation_is_refused(changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        evaluate.from_dict(FIELDS | changes)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'sets': ['mbpp']}, "sets must be of gsm8k, humaneval, got ['mbpp']"),
        ({'shards': 1}, 'shards must be a whole number of at least 2, got 1'),
        ({'limit': 5}, 'limit must be 0 or at least twice the shards'),
    ],
)
def test_a_wrong_examination_is_refused(changes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        overfitting.from_dict(_fields('overfitting', 'full') | changes)
