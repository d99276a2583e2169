"""Mistakes are told in one line, and the model that a search makes has what it found."""

import dataclasses

import pytest

from phijax import longrope, models
from phijax.errors import InputError
from phijax.longrope import plan as planning
from phijax.longrope.baselines import Method
from tests.longrope.small import CONFIG, fields
from tests.models import tiny


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'target_lenth': 3}, 'unknown key target_lenth .did you mean target_length'),
        ({'texts.reprot': 3}, 'unknown key texts.reprot .did you mean texts.report'),
        ({'search.round': 3}, 'unknown key search.round .did you mean search.rounds'),
        ({'texts': 3}, 'texts must be a group of fields, got 3'),
        ({'seed': 'one'}, "seed must be of type int, got 'one'"),
        ({'search.rounds': True}, 'search.rounds must be of type int, got True'),
        ({'search.ceiling': 0.5}, 'search.ceiling must be at least 1, got 0.5'),
        ({'search.probability': 0.0}, r'search.probability must be in \(0, 1\], got 0.0'),
        ({'texts.report': 1}, 'texts.report must be at least 2, got 1'),
        ({'magnitude': 'su'}, "magnitude must be one of none, sqrt, yarn, got 'su'"),
    ],
)
def test_mistakes_in_a_config(source, changes, said):
    with pytest.raises(InputError, match=said):
        longrope.from_dict(fields(source, **changes))


def test_a_missing_group_is_told(source):
    values = fields(source)
    del values['texts']
    with pytest.raises(InputError, match='the config lacks texts'):
        longrope.from_dict(values)


def test_models_that_cannot_be_extended(source):
    plan = longrope.from_dict(fields(source, target_length=32))
    with pytest.raises(InputError, match='target_length must be more than 32, the max_length of'):
        planning.check(plan, CONFIG)
    larger = planning.extended(CONFIG, Method((1.0, 2.0)), 64)
    with pytest.raises(InputError, match=r'has LongRoPE factors already \(from 32 tokens to 64\)'):
        planning.check(longrope.from_dict(fields(source, target_length=128)), larger)


def test_the_search_starts_from_the_three_methods(source):
    plan = longrope.from_dict(fields(source))
    assert planning.ceiling(plan, CONFIG) == 250
    linear, ntk, yarn = planning.starts(plan, CONFIG)
    assert linear == (200, 200)
    assert ntk == (100, 200)
    assert yarn[-1] == 200


@pytest.mark.parametrize('family', ['phi1', 'phi3_mini', 'phi3_small'])
def test_short_rows_stay_as_they_were(family):
    sizes = tiny.SIZES | {'num_layers': 2, 'max_length': 16}
    family_sizes = {'phi3_mini': {'window': 3}, 'phi3_small': {'dummy_tokens': ()}}.get(family, {})
    config = models.config(family, **sizes, **family_sizes)
    larger = planning.extended(config, Method((1.5, 3.0), 2.0), 48)
    assert (larger.max_length, larger.original_length) == (48, 16)
    assert (larger.long_factors, larger.long_magnitude) == ((1.5, 3.0), 2.0)
    unwindowed = dataclasses.replace(config, window=0) if family == 'phi3_mini' else config
    params, tokens = tiny.randomised(config), tiny.tokens(config, 1, 16)
    short = tiny.forward(larger)(params, tokens)
    assert (short == tiny.forward(unwindowed)(params, tokens)).all()
    longer = tiny.tokens(config, 1, 40)
    change = tiny.forward(larger)(params, longer) - tiny.forward(unwindowed)(params, longer)
    assert (change != 0).any()
