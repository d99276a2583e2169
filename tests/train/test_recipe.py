"""A wrong config is answered by name, and by nothing but InputError."""

import json
import re
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from phijax.errors import InputError
from phijax.train import recipe
from tests.train import tiny

WRONG = [
    ({'num_stepz': 3}, 'unknown key num_stepz (did you mean num_steps?)'),
    (
        {'optimizer.peak_rte': 3},
        'unknown key optimizer.peak_rte (did you mean optimizer.peak_rate?)',
    ),
    ({'data.zzz': 3}, 'unknown key data.zzz; known: directory, made_by, weights, length'),
    ({'model.embed_dimm': 3}, "'embed_dimm' is not one of"),
    ({'model.embed_dimm': 3}, "did you mean 'embed_dim'?"),
    ({'num_steps': 2.5}, 'num_steps must be a whole number, got 2.5'),
    ({'num_steps': True}, 'num_steps must be a whole number, got True'),
    ({'num_steps': 0}, 'num_steps must be at least 1, got 0'),
    ({'batch_size': -4}, 'batch_size must be at least 1, got -4'),
    ({'log_every': 0}, 'log_every must be at least 1, got 0'),
    ({'max_skips': 0}, 'max_skips must be at least 1, got 0'),
    ({'data.length': 0}, 'data.length must be at least 1, got 0'),
    ({'mesh.rows_per_device': 0}, 'mesh.rows_per_device must be at least 1, got 0'),
    ({'checkpoints.every': 0}, 'checkpoints.every must be at least 1, got 0'),
    ({'checkpoints.keep': 0}, 'checkpoints.keep must be at least 1, got 0'),
    ({'checkpoints.keep_every': -1}, 'checkpoints.keep_every must be at least 0, got -1'),
    ({'seed': -1}, 'seed must be at least 0, got -1'),
    ({'seed': 2**31}, 'seed must be at most 2147483647, got 2147483648'),
    ({'loss_chunk': -1}, 'loss_chunk must be at least 0, got -1'),
    ({'evaluate_every': -1}, 'evaluate_every must be at least 0, got -1'),
    ({'evaluate_rows': -1}, 'evaluate_rows must be at least 0, got -1'),
    ({'optimizer.final_rate': -1e-3}, 'optimizer.final_rate must be at least 0, got -0.001'),
    ({'optimizer.warmup_steps': -1}, 'optimizer.warmup_steps must be at least 0, got -1'),
    ({'optimizer.decay_steps': -1}, 'optimizer.decay_steps must be at least 0, got -1'),
    ({'optimizer.weight_decay': -0.1}, 'optimizer.weight_decay must be at least 0, got -0.1'),
    ({'optimizer.clip_norm': -1.0}, 'optimizer.clip_norm must be at least 0, got -1.0'),
    ({'optimizer.eps': -1e-8}, 'optimizer.eps must be at least 0, got -1e-08'),
    ({'optimizer.peak_rate': 0.0}, 'optimizer.peak_rate must be positive, got 0.0'),
    ({'optimizer.peak_rate': 'fast'}, "optimizer.peak_rate must be a finite number, got 'fast'"),
    ({'optimizer.eps': float('nan')}, 'optimizer.eps must be a finite number, got nan'),
    ({'optimizer.final_rate': float('inf')}, 'optimizer.final_rate must be a finite number'),
    ({'optimizer.b1': 1.0}, 'optimizer.b1 must be in [0, 1), got 1.0'),
    ({'optimizer.b2': -0.1}, 'optimizer.b2 must be in [0, 1), got -0.1'),
    ({'objective': {'kind': 'rlhf', 'beta': 0.1}}, 'objective.kind must be one of pretraining, ch'),
    ({'objective': {'kind': 'chat', 'beta': 0}}, 'objective.beta must be positive, got 0'),
    ({'objective': {'kind': 'chat'}}, 'the config lacks objective.beta'),
    ({'objective': {'kind': 'chat', 'bta': 0.1}}, 'unknown key objective.bta (did you mean'),
    ({'objective': 'chat'}, "objective must be a group of fields, got 'chat'"),
    ({'optimizer.schedule': 'step'}, "one of linear, constant, cosine, wsd, got 'step'"),
    ({'data.attention': 'full'}, "data.attention must be one of packed, document, got 'full'"),
    ({'mesh.layout': 'zero1'}, "mesh.layout must be one of zero3, zero2, got 'zero1'"),
    (
        {'optimizer.warmup_steps': 21},
        'optimizer.warmup_steps and decay_steps must fit into num_steps (20), got 21 and 0',
    ),
    (
        {'optimizer.schedule': 'wsd', 'optimizer.decay_steps': 17},
        'must fit into num_steps (20), got 4 and 17',
    ),
    ({'data.length': 33}, 'data.length must be at most model.max_length (32), got 33'),
    ({'loss_chunk': 5}, 'loss_chunk must be 0 or divide data.length (16), got 5'),
    ({'mesh.tensor': 0}, 'mesh.tensor must be positive, at most one of them -1, got (-1, 1, 0)'),
    ({'mesh.fsdp': -2}, 'got (-1, -2, 1)'),
    ({'mesh.fsdp': -1}, 'got (-1, -1, 1)'),
    ({'data.weights': {'argparse': 0}}, "data.weights must be positive, got {'argparse': 0}"),
    ({'data.weights': {'argparse': 'all'}}, "data.weights must be numbers by name, got {'arg"),
    ({'data.prepare': 'stdlib'}, "data.prepare must be a group of fields, got 'stdlib'"),
    ({'prompts': 'def f'}, "prompts must be a list of texts, got 'def f'"),
    ({'prompts': ['def f', 3]}, "prompts must be a list of texts, got ['def f', 3]"),
    ({'data': 'tokens'}, "data must be a group of fields, got 'tokens'"),
    ({'optimizer': None}, 'optimizer must be a group of fields, got None'),
    ({'model': 'phi1'}, "model must be a group of fields, got 'phi1'"),
    ({'model.embed_dim': None}, 'model.embed_dim must be a whole number, got None'),
    ({'model.embed_dim': 32.0}, 'model.embed_dim must be a whole number, got 32.0'),
    ({'model.norm_eps': float('nan')}, 'model.norm_eps must be a finite number, got nan'),
    ({'model.qk_layernorm': 'no'}, "model.qk_layernorm must be true or false, got 'no'"),
    ({'model.num_kv_heads': 3}, 'model: num_kv_heads must divide num_heads (4), got 3'),
    ({'model.dtype': 'float64'}, "model: dtype 'float64' is not one of float32, bfloat16"),
    ({'checkpoints.select': 'first'}, "last, best, or a step from 1 to 20, got 'first'"),
    ({'checkpoints.select': '²'}, "last, best, or a step from 1 to 20, got '²'"),
    ({'checkpoints.select': '25'}, "last, best, or a step from 1 to 20, got '25'"),
    ({'checkpoints.select': '0', 'checkpoints.keep_every': 5}, "a step from 1 to 20, got '0'"),
    ({'checkpoints.select': '10'}, 'checkpoints.every (5) and of checkpoints.keep_every (0)'),
    (
        {'checkpoints.select': '12', 'checkpoints.keep_every': 4},
        'checkpoints.select=12 needs a checkpoint that is saved and kept',
    ),
    (
        {'checkpoints.select': 'best', 'evaluate_every': 0},
        'evaluate_every must divide checkpoints.every (5), got 0',
    ),
    (
        {'checkpoints.select': 'best', 'evaluate_every': 2},
        'evaluate_every must divide checkpoints.every (5), got 2',
    ),
]
RIGHT = [
    {},
    {'optimizer.warmup_steps': 20},
    {'optimizer.schedule': 'wsd', 'optimizer.decay_steps': 16},
    {'optimizer.decay_steps': 17},
    {'optimizer.clip_norm': 0, 'optimizer.b1': 0.0},
    {'data.length': 32},
    {'loss_chunk': 16},
    {'loss_chunk': 4},
    {'mesh.data': 2, 'mesh.fsdp': -1},
    {'checkpoints.select': '20'},
    {'checkpoints.select': '10', 'checkpoints.keep_every': 10},
    {'checkpoints.select': 'best'},
    {'prompts': ['def f', '']},
    {'data.weights': {}},
    {'seed': 2**31 - 1},
    {'objective': {'kind': 'chat', 'beta': 0.1}},
    {'objective': {'kind': 'preference', 'beta': 0.5}},
    {'objective': {'kind': 'pretraining', 'beta': 0.5}},
]
JUNK = [
    *(None, True, -1, 0, 3, 10**400, -0.5, float('nan'), float('inf'), 'x', '', '²', 'last'),
    *([], [None], ['a', 'b'], {}, {'a': None}, {3: {'b': []}}, (1, 2), b'x', object(), 1j),
]


@pytest.mark.parametrize(('changes', 'answer'), WRONG)
def test_wrong_config_is_answered_by_name(changes: dict[str, Any], answer: str) -> None:
    with pytest.raises(InputError, match=re.escape(answer)):
        tiny.make(**changes)


@pytest.mark.parametrize('changes', RIGHT)
def test_config_is_taken_as_it_is(changes: dict[str, Any]) -> None:
    fields = tiny.fields(**changes)
    made = recipe.from_dict(fields)
    assert json.loads(json.dumps(recipe.to_dict(made))) == json.loads(json.dumps(fields))
    assert recipe.from_dict(recipe.to_dict(made)) == made


@pytest.mark.parametrize('key', ['num_steps', 'model', 'data', 'mesh.layout', 'model.embed_dim'])
def test_missing_key_is_named(key: str) -> None:
    fields = tiny.fields()
    group, _, name = key.rpartition('.')
    del (fields[group] if group else fields)[name]
    with pytest.raises(InputError, match=name):
        recipe.from_dict(fields)


def answer(fields: Any) -> str:
    """What a config is refused with; empty if it is taken."""
    try:
        assert isinstance(recipe.from_dict(fields), recipe.Recipe)
    except InputError as error:
        return str(error) or pytest.fail('refused without a word')
    return ''


def places(fields: dict[str, Any], prefix: str = '') -> Iterator[str]:
    for name, value in fields.items():
        yield prefix + name
        if isinstance(value, dict) and not prefix:
            yield from places(value, f'{name}.')


@pytest.mark.parametrize('place', list(places(tiny.fields())))
def test_junk_in_one_place_is_taken_or_answered_with_its_name(place: str) -> None:
    answers = [answer(tiny.fields(**{place: junk})) for junk in JUNK]
    refused = [text for text in answers if text]
    assert refused
    assert all(place.rpartition('.')[2] in text for text in refused)


anything = strategies.recursive(
    strategies.sampled_from(JUNK) | strategies.floats() | strategies.integers() | strategies.text(),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.text(max_size=5) | strategies.integers(), inner)
    ),
    max_leaves=5,
)
changes = strategies.dictionaries(
    strategies.sampled_from([p for p in places(tiny.fields()) if '.' in p or p != 'model'])
    | strategies.text(max_size=8).map(lambda text: text.replace('.', '')),
    anything,
    min_size=1,
    max_size=4,
)


@hypothesis.given(changes)
def test_nothing_but_input_errors_comes_out(changes: dict[str, Any]) -> None:
    fields = tiny.fields()
    # Inner places first: a whole group may be replaced by something else.
    for name in sorted(changes, key=lambda name: '.' not in name):
        group, _, key = name.rpartition('.')
        (fields[group] if group else fields)[key] = changes[name]
    assert isinstance(answer(fields), str)


@hypothesis.given(anything)
def test_something_else_than_a_config_is_answered(value: Any) -> None:
    assert answer(value)


@pytest.mark.parametrize(
    ('sizes', 'devices', 'shape'),
    [
        ((-1, 1, 1), 8, (8, 1, 1)),
        ((2, -1, 2), 8, (2, 2, 2)),
        ((1, 4, -1), 8, (1, 4, 2)),
        ((-1, 2, 4), 8, (1, 2, 4)),
        ((2, 2, 2), 8, (2, 2, 2)),
        ((-1, 1, 1), 1, (1, 1, 1)),
    ],
)
def test_mesh_takes_the_rest(sizes: tuple, devices: int, shape: tuple) -> None:
    data, fsdp, tensor = sizes
    changes = {'mesh.data': data, 'mesh.fsdp': fsdp, 'mesh.tensor': tensor}
    assert tiny.make(**changes).mesh.shape(devices) == shape


@pytest.mark.parametrize('sizes', [(3, -1, 1), (2, 2, 1), (-1, 4, 4), (4, 4, 1), (1, 1, 1)])
def test_mesh_that_does_not_cover_the_devices_is_answered(sizes: tuple) -> None:
    data, fsdp, tensor = sizes
    changes = {'mesh.data': data, 'mesh.fsdp': fsdp, 'mesh.tensor': tensor}
    answer = f'mesh data={data}, fsdp={fsdp}, tensor={tensor} does not cover 8 device(s)'
    with pytest.raises(InputError, match=re.escape(answer)):
        tiny.make(**changes).mesh.shape(8)


@pytest.mark.parametrize(
    ('batch_size', 'rows_per_device', 'shape', 'parts'),
    [
        (16, 16, (1, 1, 1), 1),
        (16, 4, (1, 1, 1), 4),
        (16, 16, (2, 2, 2), 1),
        (16, 2, (2, 2, 2), 2),
        (16, 1, (4, 2, 1), 2),
        (24, 3, (1, 4, 2), 2),
    ],
)
def test_batch_is_cut_into_parts(
    batch_size: int, rows_per_device: int, shape: tuple, parts: int
) -> None:
    changes = {'batch_size': batch_size, 'mesh.rows_per_device': rows_per_device}
    assert tiny.make(**changes).num_microbatches(shape) == parts


@pytest.mark.parametrize(
    ('batch_size', 'shape', 'answer'),
    [
        (12, (4, 2, 1), 'batch_size must be a multiple of 8 (data x fsdp of the mesh), got 12'),
        (16, (4, 1, 2), 'mesh.rows_per_device must divide the 4 rows of each device, got 3'),
    ],
)
def test_batch_that_does_not_divide_is_answered(batch_size: int, shape: tuple, answer: str) -> None:
    changes = {'batch_size': batch_size, 'mesh.rows_per_device': 3}
    with pytest.raises(InputError, match=re.escape(answer)):
        tiny.make(**changes).num_microbatches(shape)


def test_tokens_per_step_are_those_predicted() -> None:
    assert tiny.make(batch_size=24, **{'data.length': 8}).tokens_per_step == 192


def test_usual_objective_is_not_written_down() -> None:
    """So that a run from before there were others goes on as the same run."""
    usual = {'objective': {'kind': 'pretraining', 'beta': 0.1}}
    assert tiny.make(**usual) == tiny.make()
    assert 'objective' not in recipe.to_dict(tiny.make(**usual))


def test_a_pair_is_two_rows() -> None:
    pair = tiny.make(**tiny.OBJECTIVES['preference'])
    assert (pair.rows_per_step, pair.tokens_per_step, pair.terms_per_step) == (32, 32 * 32, 16)
    chat = tiny.make(**tiny.OBJECTIVES['chat'])
    assert (chat.rows_per_step, chat.tokens_per_step, chat.terms_per_step) == (16, 512, 512)
