import pathlib
import runpy

import pytest

from phijax import command
from phijax.data import filtering
from phijax.errors import InputError

ROOT = pathlib.Path(__file__).parents[3] / 'configs' / 'filter'
VARIANTS = [
    ('code', 'full'),
    ('code', 'smoke'),
    ('code', 'files'),
    ('web', 'full'),
    ('web', 'smoke'),
    ('web', 'hub'),
]


def plain(name, variant='smoke'):
    return command.plain(runpy.run_path(str(ROOT / f'{name}.py'))['get_config'](variant))


@pytest.mark.parametrize(('name', 'variant'), VARIANTS)
def test_every_variant_can_be_used(name, variant):
    config = filtering.from_dict(plain(name, variant))
    assert config.ingest.shards >= 4
    assert config.annotate.rubric == name


@pytest.mark.parametrize('name', ['code', 'web'])
def test_a_judge_needs_a_model_and_a_budget(name):
    asked = plain(name)
    asked['annotate'] |= {'grader': 'endpoint'}
    with pytest.raises(InputError, match=r"annotate\.model is ''"):
        filtering.from_dict(asked)
    asked['annotate'] |= {'model': 'judge'}
    with pytest.raises(InputError, match='max_tokens is 0'):
        filtering.from_dict(asked)
    asked['budget'] |= {'max_tokens': 1000}
    assert filtering.from_dict(asked).budget['max_tokens'] == 1000


@pytest.mark.parametrize(
    ('group', 'values', 'message'),
    [
        ('select', {'amount': 1}, r'select\.amount is not a setting; did you mean amounts'),
        ('select', {'amounts': (0.2, 0.6)}, 'from the widest phase to the narrowest'),
        ('select', {'amounts': (1.5,)}, 'at most 1'),
        ('select', {'rule': 'best'}, 'one of threshold, fraction, tokens'),
        ('select', {'rule': 'threshold', 'num_params': 9}, 'fraction or tokens'),
        ('ingest', {'language': 'cobol'}, 'one of python, text'),
        ('ingest', {'shards': 0}, r'ingest\.shards is 0'),
        ('annotate', {'cut': 6}, 'from 1 to 5'),
        ('annotate', {'rubric': 'poems'}, 'one of code, web'),
        ('embed', {'kind': 'magic'}, 'one of ngrams, model'),
        ('forest', {'labels': 'names'}, 'one of valuable, grades'),
        ('deduplicate', {'threshold': 2.0}, 'threshold is 2.0'),
        ('decontaminate', {'tau': 0.2}, 'match rate'),
    ],
)
def test_a_value_that_cannot_be_used_is_told_at_the_door(group, values, message):
    asked = plain('code')
    asked[group] = asked[group] | values
    with pytest.raises(InputError, match=message):
        filtering.from_dict(asked)


def test_sources_are_texts():
    asked = plain('code')
    asked['sources'] = {'talk': {'kind': 'chat', 'paths': ('x',)}}
    with pytest.raises(InputError, match='one of files, stdlib, installed, hub'):
        filtering.from_dict(asked)
    asked['sources'] = {}
    with pytest.raises(InputError, match='sources is'):
        filtering.from_dict(asked)
    with pytest.raises(InputError, match=r'unknown key selects \(did you mean select'):
        filtering.from_dict(plain('code') | {'selects': {}})
