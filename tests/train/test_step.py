"""One update: the same on every mesh and in any parts, and none of it after a bad gradient."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from phijax.train import losses, step
from tests.train import tiny
from tests.train.trial import Trial, changed

DROPPED = {'model.residual_dropout': 0.1}
HALF = {'model.dtype': 'float16'}
EVERY_STATE = ('step', 'loss_scale', 'good_steps', 'skipped', 'skipped_in_a_row')


def spoilt(state: step.State, value: float) -> step.State:
    """The state with one number of one parameter replaced."""
    bias = state.params['final_norm']['bias']
    bias = jax.device_put(
        np.asarray(bias) + np.eye(1, bias.size, 3, dtype=np.float32)[0] * value, bias.sharding
    )
    norm = state.params['final_norm'] | {'bias': bias}
    return dataclasses.replace(state, params=state.params | {'final_norm': norm})


def bits(tree: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def counters(state: step.State) -> dict[str, float]:
    return {name: float(getattr(state, name)) for name in EVERY_STATE}


def assert_same_run(trial: Trial, other: Trial) -> None:
    params, metrics = trial.run
    other_params, other_metrics = other.run
    for expected, found in zip(metrics, other_metrics, strict=True):
        assert found == pytest.approx(expected, rel=2e-6)
        assert found['loss'] == pytest.approx(expected['loss'], rel=1e-6)
    for expected, found in zip(*map(jax.tree.leaves, (params, other_params)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


def test_updates_learn_and_report(trial: Callable[..., Trial]) -> None:
    _, metrics = trial().run
    losses = [values['loss'] for values in metrics]
    assert losses[0] == pytest.approx(np.log(tiny.VOCAB_SIZE), rel=0.01)
    assert losses == sorted(losses, reverse=True)
    # Four steps of warmup to 1e-2.
    assert [values['learning_rate'] for values in metrics] == pytest.approx([2.5e-3, 5e-3, 7.5e-3])
    assert all(0 < values['grad_norm'] < 10 for values in metrics)
    assert {values['skipped'] for values in metrics} == {0}
    assert {values['loss_scale'] for values in metrics} == {1}


@pytest.mark.parametrize(
    'changes',
    [
        {'model.remat': 'full', 'model.unroll': 1},
        {'model.remat': 'dots', 'loss_chunk': 4, 'mesh.rows_per_device': 4},
    ],
)
def test_ways_to_save_memory_change_no_number(
    trial: Callable[..., Trial], changes: dict[str, Any]
) -> None:
    assert_same_run(trial(), trial(**changes))


@pytest.mark.parametrize(
    ('shape', 'changes'),
    [
        ((8, 1, 1), {'mesh.rows_per_device': 1}),
        ((1, 8, 1), {}),
        ((2, 2, 2), {}),
        ((1, 4, 2), {}),
        ((1, 4, 2), {'mesh.layout': 'zero2'}),
    ],
)
def test_meshes_change_no_number(
    trial: Callable[..., Trial], shape: tuple[int, int, int], changes: dict[str, Any]
) -> None:
    assert_same_run(trial(), trial(shape, **changes))


def place(tree: dict[str, Any], name: str) -> P:
    for part in name.split('.'):
        tree = tree[part]
    return tree.sharding.spec


@pytest.mark.parametrize(
    ('layout', 'kernel'), [('zero3', P(None, 'fsdp', 'tensor')), ('zero2', P(None, None, 'tensor'))]
)
def test_state_is_laid_out_as_the_recipe_says(
    trial: Callable[..., Trial], layout: str, kernel: P
) -> None:
    """Before the first update and after it, so that no update compiles again."""
    tried = trial((1, 4, 2), **({} if layout == 'zero3' else {'mesh.layout': layout}))
    fresh = tried.program.init()
    state, _ = tried.update(tried.fresh())
    for found in (fresh, state):
        adam = found.opt_state[1]
        query = 'blocks.attention.query.kernel'
        assert trimmed(place(found.params, query)) == kernel
        assert trimmed(place(adam.mu, query)) == P(None, 'fsdp', 'tensor')
        assert trimmed(place(adam.nu, query)) == P(None, 'fsdp', 'tensor')
        assert trimmed(place(found.params, 'blocks.mlp.up.bias')) == P(None, 'tensor')
        assert trimmed(place(found.params, 'blocks.norm.scale')) == P()
        assert trimmed(adam.count.sharding.spec) == trimmed(found.step.sharding.spec) == P()
        shard = adam.mu['embed']['kernel'].addressable_shards[0].data
        assert shard.shape == (tiny.VOCAB_SIZE // 2, tiny.MODEL['embed_dim'] // 4)


def trimmed(spec: P) -> P:
    parts = list(spec)
    while parts and parts[-1] is None:
        parts.pop()
    return P(*parts)


def test_microbatches_leave_rows_on_their_devices(trial: Callable[..., Trial]) -> None:
    """On a mesh of data only, nothing but sums goes between devices."""
    text = trial((8, 1, 1), **{'mesh.rows_per_device': 1}).compiled.as_text()
    found = set(re.findall(r'\b(all-\w+(?:-\w+)?|collective-\w+|reduce-scatter)\(', text))
    assert found == {'all-reduce'}


@pytest.mark.parametrize('value', [float('nan'), 1e30])
def test_bad_gradient_changes_nothing_but_counters(
    trial: Callable[..., Trial], value: float
) -> None:
    """A loss that is no number; and one that is, whose gradient is too large for float32."""
    tried = trial()
    good, _ = tried.update(tried.fresh(), 0)
    state = spoilt(good, value)
    before = bits((state.params, state.opt_state))
    for count in (1, 2):
        state, metrics = tried.update(state, 1)
        assert np.isfinite(metrics['loss']) == np.isfinite(value)
        assert not np.isfinite(metrics['grad_norm'])
        assert bits((state.params, state.opt_state)) == before
        assert (metrics['skipped'], metrics['skipped_in_a_row']) == (count, count)
        expected = {'step': 1 + count, 'skipped': count, 'skipped_in_a_row': count}
        assert counters(state) == {'loss_scale': 1, 'good_steps': 0} | expected


def test_good_update_after_bad_ones_is_the_next_of_the_schedule(
    trial: Callable[..., Trial],
) -> None:
    tried = trial()
    first, _ = tried.update(tried.fresh(), 0)
    bad = changed(first, step=4, skipped=3, skipped_in_a_row=2)
    state, metrics = tried.update(bad, 1)
    _, straight = tried.run[1][:2]
    assert counters(state) == {
        'step': 5,
        'loss_scale': 1,
        'good_steps': 0,
        'skipped': 3,
        'skipped_in_a_row': 0,
    }
    assert (metrics['skipped'], metrics['skipped_in_a_row']) == (3, 0)
    # One update was made before, whatever was skipped.
    for name in ('loss', 'learning_rate', 'grad_norm'):
        assert metrics[name] == straight[name]


def test_stop_of_one_row_is_heard(trial: Callable[..., Trial]) -> None:
    tried = trial((1, 4, 2))
    flags = np.zeros(16, np.int32)
    flags[13] = 1
    batch = tried.place(tried.batches[0] | {'stop': flags})
    assert int(tried.compiled(tried.fresh(), batch)[1]['stop']) == 1
    assert tried.update(tried.fresh())[1]['stop'] == 0


def test_dropout_follows_seed_and_step(trial: Callable[..., Trial]) -> None:
    tried = trial(**DROPPED)
    first, again, later = (
        tried.update(tried.fresh(step=number))[1]['loss'] for number in (0, 0, 1)
    )
    assert first == again
    assert first != later


def test_each_microbatch_has_a_dropout_of_its_own(trial: Callable[..., Trial]) -> None:
    """Else it would not matter which of them comes first."""
    tried = trial(**DROPPED, **{'mesh.rows_per_device': 8})
    swapped = {name: value[np.arange(16) ^ 1] for name, value in tried.batches[0].items()}
    found = []
    for batch in (tried.batches[0], swapped):
        _, metrics = tried.compiled(tried.fresh(), tried.place(batch))
        found.append(float(metrics['loss']))
    assert found[0] != found[1]
    assert found[0] == pytest.approx(found[1], rel=0.01)


def test_gradient_is_that_of_the_mean_over_the_predicted_tokens(
    trial: Callable[..., Trial],
) -> None:
    """Within documents these are fewer than the row has, and not so many in each microbatch."""
    tried = trial(**{'data.attention': 'document', 'mesh.rows_per_device': 4})
    batch = {name: value for name, value in tried.batches[0].items() if name != 'stop'}

    @jax.jit
    @jax.grad
    def gradient(params: Any, batch: losses.Batch) -> jax.Array:
        nats, count = losses.pretraining(tried.recipe.model, params, batch, within_documents=True)
        return nats / count

    expected = optax.tree.norm(gradient(tried.program.init().params, batch))
    _, metrics = tried.update(tried.fresh())
    assert metrics['grad_norm'] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize('attention', ['packed', 'document'])
def test_evaluation_is_the_loss_without_dropout(
    trial: Callable[..., Trial], attention: str
) -> None:
    tried = trial((1, 4, 2), **DROPPED | {'data.attention': attention})
    batch = {name: value for name, value in tried.batches[0].items() if name != 'stop'}
    params = tried.program.init().params
    nats, count = tried.program.evaluate(params, tried.place(batch))
    within = attention == 'document'
    alone = jax.jit(losses.pretraining, static_argnums=0, static_argnames='within_documents')
    expected = alone(
        tried.recipe.model,
        jax.tree.map(np.asarray, params),
        batch,
        within_documents=within,
    )
    assert float(nats) == pytest.approx(float(expected[0]), rel=1e-6)
    assert int(count) == int(expected[1])
    assert (int(count) < 16 * 16) == within


def test_float16_is_scaled_and_near(trial: Callable[..., Trial]) -> None:
    half, single = trial(**HALF), trial()
    for scale in (2.0**16, 2.0**8):
        state, metrics = half.update(half.fresh(loss_scale=scale))
        assert metrics['loss_scale'] == scale
        assert metrics['skipped'] == 0
        assert metrics['loss'] == pytest.approx(single.run[1][0]['loss'], rel=1e-3)
        assert metrics['grad_norm'] == pytest.approx(single.run[1][0]['grad_norm'], rel=1e-2)
        assert (float(state.loss_scale), int(state.good_steps)) == (scale, 1)


def test_float16_starts_high_and_grows_after_a_good_run(trial: Callable[..., Trial]) -> None:
    half = trial(**HALF)
    assert counters(half.fresh()) == {
        'step': 0,
        'loss_scale': 2**16,
        'good_steps': 0,
        'skipped': 0,
        'skipped_in_a_row': 0,
    }
    for good_steps, scale, left in ((998, 2**10, 999), (999, 2**11, 0)):
        state, _ = half.update(half.fresh(loss_scale=2**10, good_steps=good_steps))
        assert (float(state.loss_scale), int(state.good_steps)) == (scale, left)


def test_float16_backs_off_without_counting_to_the_abort(trial: Callable[..., Trial]) -> None:
    half = trial(**HALF)
    state = half.fresh(loss_scale=2**40, good_steps=7)
    before = bits((state.params, state.opt_state))
    for count in (1, 2, 3, 4):
        state, metrics = half.update(state)
        assert bits((state.params, state.opt_state)) == before
        assert (metrics['skipped'], metrics['skipped_in_a_row']) == (count, 0)
        assert float(state.loss_scale) == 2.0 ** (40 - count)
        assert int(state.good_steps) == 0


def test_float16_counts_at_the_smallest_scale(trial: Callable[..., Trial]) -> None:
    half = trial(**HALF)
    state = spoilt(half.fresh(loss_scale=2), float('nan'))
    seen = []
    for _ in range(3):
        state, metrics = half.update(state)
        seen.append((float(state.loss_scale), metrics['skipped'], metrics['skipped_in_a_row']))
    assert seen == [(1, 1, 0), (1, 2, 1), (1, 3, 2)]
