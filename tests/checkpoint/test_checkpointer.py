"""What is saved comes back bit for bit, onto any mesh, and in one line of steps."""

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from phijax import checkpoint
from phijax.checkpoint import manifest
from tests.checkpoint.states import abstract, assert_same, make_state

ODD_BITS = [0x7FC00001, 0xFFC12345, 0x7F800000, 0x80000000, 0x00000001, 0x3F800001]


def mesh_of(data: int, fsdp: int) -> jax.sharding.Mesh:
    devices = jax.devices()[: data * fsdp]
    kinds = (jax.sharding.AxisType.Auto,) * 2
    return jax.make_mesh((data, fsdp), ('data', 'fsdp'), axis_types=kinds, devices=devices)


def cut(state: Any, mesh: jax.sharding.Mesh) -> Any:
    """The shardings of a state whose matrices are cut along `fsdp`, its first axis `data`."""

    def sharding(x: Any) -> Any:
        is_matrix = isinstance(x, jax.Array) and x.ndim > 1
        return NamedSharding(mesh, PartitionSpec('data', 'fsdp') if is_matrix else PartitionSpec())

    return jax.tree.map(sharding, state)


def test_every_bit_comes_back(directory: pathlib.Path) -> None:
    state = make_state(3)
    state.params['odd'] = jnp.asarray(np.array(ODD_BITS, np.uint32).view(np.float32))
    state.loss_scale = {'flag': jnp.array(True), 'big': np.int64(2**40), 'rate': 0.1, 'none': None}
    with checkpoint.Checkpointer(directory) as keeper:
        keeper.save(3, state, {'config': {'model': {'width': 16}}, 'loss': float('nan')})
        keeper.wait()
        restored, metadata = keeper.restore(abstract(state))
    assert_same(restored, state)
    assert type(restored.opt_state[1]) is type(state.opt_state[1])
    assert (type(restored.seed), type(restored.loss_scale['big'])) == (int, np.int64)
    assert metadata['config'] == {'model': {'width': 16}}
    assert metadata['loss'] != metadata['loss']


def test_a_step_that_donates_the_state_does_not_reach_the_save(
    directory: pathlib.Path, restore: Callable
) -> None:
    state = {'params': {'kernel': jax.random.normal(jax.random.key(0), (512, 1024))}}
    expected = jax.tree.map(np.array, state)
    update = jax.jit(lambda tree: jax.tree.map(lambda x: x * 2 + 1, tree), donate_argnums=0)
    host = {'counter': np.zeros(4)}
    with checkpoint.Checkpointer(directory) as keeper:
        keeper.save(1, state | host, {})
        host['counter'] += 1
        for _ in range(5):
            state = update(state)
        jax.block_until_ready(state)
    restored, _ = restore(directory, expected | {'counter': np.zeros(4)})
    assert_same(restored, expected | {'counter': np.zeros(4)})


@pytest.mark.parametrize('shape', [(8, 1), (4, 2), (2, 4), (1, 8), (1, 1)])
def test_a_state_is_restored_onto_any_mesh(
    directory: pathlib.Path, restore: Callable, shape: tuple[int, int]
) -> None:
    state = make_state(4)
    state.params = {'kernel': state.params['embed']['kernel']}
    state.opt_state = {'mu': state.params}
    state.seed = jnp.int32(7)
    placed = jax.device_put(state, cut(state, mesh_of(8, 1)))
    with checkpoint.Checkpointer(directory) as keeper:
        keeper.save(4, placed, {})
    wanted = jax.device_put(jax.tree.map(jnp.zeros_like, state), cut(state, mesh_of(*shape)))
    restored, _ = restore(directory, wanted)
    assert_same(restored, state)
    for left, right in zip(jax.tree.leaves(restored), jax.tree.leaves(wanted), strict=True):
        assert left.sharding == right.sharding


def test_leaves_without_a_sharding_go_to_one_device(saved: pathlib.Path) -> None:
    wanted = jax.eval_shape(lambda: make_state(0).params)
    params, _ = checkpoint.restore_params(saved, wanted)
    assert_same(params, make_state(10).params)
    assert params['embed']['kernel'].devices() == {jax.devices()[0]}


def test_a_run_saves_on_after_going_back_and_clears_the_damage(
    saved: pathlib.Path, told: list[str]
) -> None:
    shutil.rmtree(saved / '00000010' / 'state' / 'params')
    with checkpoint.Checkpointer(saved, warn=told.append) as keeper:
        assert keeper.restore(abstract(make_state(0)))[1]['step'] == 5
        assert keeper.steps() == [5, 10]
        keeper.save(8, make_state(8), {})
        keeper.wait()
        assert keeper.steps() == [5, 8]
        keeper.save(10, make_state(10), {})
    assert checkpoint.verify(saved, 10) == []
    assert len(told) == 1


def test_a_damaged_step_is_replaced_by_saving_it_again(
    saved: pathlib.Path, told: list[str]
) -> None:
    (saved / '00000010' / manifest.FILE).unlink()
    with checkpoint.Checkpointer(saved, warn=told.append) as keeper:
        keeper.restore(abstract(make_state(0)))
        keeper.save(10, make_state(10), {'again': True})
    assert checkpoint.steps(saved) == [5, 10]
    assert checkpoint.verify(saved, 10) == []
    assert checkpoint.read_metadata(saved) == {'again': True}


def test_a_state_that_is_saved_is_not_saved_twice(saved: pathlib.Path) -> None:
    with checkpoint.Checkpointer(saved) as keeper:
        keeper.restore(abstract(make_state(0)))
        keeper.save(10, make_state(10), {'again': True})
        keeper.save(15, make_state(15), {})
        keeper.save(15, make_state(15), {'again': True})
    assert checkpoint.read_metadata(saved, 10)['step'] == 10
    assert checkpoint.read_metadata(saved, 15) == {}


@pytest.mark.parametrize('step', [7, 10, 15])
def test_a_run_does_not_write_beside_what_it_does_not_continue(
    saved: pathlib.Path, step: int
) -> None:
    with checkpoint.Checkpointer(saved) as keeper:
        with pytest.raises(ValueError, match=f'save step {step} after step -1: .* of step 10;'):
            keeper.save(step, make_state(step), {})
        keeper.restore(abstract(make_state(0)), step=5)
        with pytest.raises(ValueError, match=f'save step {step} after step 5: .* of step 10;'):
            keeper.save(step, make_state(step), {})
        keeper.restore(abstract(make_state(0)))
        keeper.save(15, make_state(15), {})
        with pytest.raises(ValueError, match=r'save step 14 after step 15: .* of step 15;'):
            keeper.save(14, make_state(14), {})
    assert checkpoint.steps(saved) == [5, 10, 15]


@pytest.mark.parametrize(
    ('leaf', 'message'),
    [
        ('text', 'params.bad is <U4'),
        (object(), 'params.bad is object'),
        (jax.random.key(0), 'key<'),
    ],
)
def test_what_is_no_number_is_refused(directory: pathlib.Path, leaf: Any, message: str) -> None:
    with checkpoint.Checkpointer(directory) as keeper:
        with pytest.raises(ValueError, match=message):
            keeper.save(1, {'params': {'bad': leaf}}, {})
        with pytest.raises(ValueError, match='have only 1 names'):
            keeper.save(1, {'a': {'b': 1}, 'a.b': 1}, {})
        with pytest.raises(ValueError, match="must be a number or None, got 'low'"):
            keeper.save(1, {'a': 1}, {'metric': 'low'})
        with pytest.raises(TypeError, match='JSON'):
            keeper.save(1, {'a': 1}, {'config': object()})
    assert checkpoint.steps(directory) == []


def test_limits_below_one_are_refused(directory: pathlib.Path) -> None:
    for limits in ({'keep': 0}, {'keep_every': 0}):
        with pytest.raises(ValueError, match=r'must be at least 1, got .*0'):
            checkpoint.Checkpointer(directory, **limits)
