"""Each axis of each array lies where the one table says, on whatever mesh."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from phijax import models, partitioning
from phijax.models import decoder

CONFIG = models.config(
    'phi1_small',
    vocab_size=64,
    embed_dim=16,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=8,
    mlp_dim=24,
    rotary_dim=4,
    qk_layernorm=True,
)
# By name: cut in storage on fsdp and tensor; whole on fsdp.
EXPECTED = {
    'embed.kernel': (P('tensor', 'fsdp'), P('tensor', None)),
    'head.kernel': (P('fsdp', 'tensor'), P(None, 'tensor')),
    'head.bias': (P('tensor'), P('tensor')),
    'final_norm.scale': (P(None), P(None)),
    'final_norm.bias': (P(None), P(None)),
    'blocks.norm.scale': (P(None, None), P(None, None)),
    'blocks.norm.bias': (P(None, None), P(None, None)),
    'blocks.attention.query.kernel': (
        P(None, 'fsdp', 'tensor', None),
        P(None, None, 'tensor', None),
    ),
    'blocks.attention.query.bias': (P(None, 'tensor', None), P(None, 'tensor', None)),
    'blocks.attention.key.kernel': (
        P(None, 'fsdp', 'tensor', None),
        P(None, None, 'tensor', None),
    ),
    'blocks.attention.key.bias': (P(None, 'tensor', None), P(None, 'tensor', None)),
    'blocks.attention.value.kernel': (
        P(None, 'fsdp', 'tensor', None),
        P(None, None, 'tensor', None),
    ),
    'blocks.attention.value.bias': (P(None, 'tensor', None), P(None, 'tensor', None)),
    'blocks.attention.out.kernel': (
        P(None, 'tensor', None, 'fsdp'),
        P(None, 'tensor', None, None),
    ),
    'blocks.attention.out.bias': (P(None, None), P(None, None)),
    'blocks.attention.query_norm.scale': (P(None, None), P(None, None)),
    'blocks.attention.query_norm.bias': (P(None, None), P(None, None)),
    'blocks.attention.key_norm.scale': (P(None, None), P(None, None)),
    'blocks.attention.key_norm.bias': (P(None, None), P(None, None)),
    'blocks.mlp.up.kernel': (P(None, 'fsdp', 'tensor'), P(None, None, 'tensor')),
    'blocks.mlp.up.bias': (P(None, 'tensor'), P(None, 'tensor')),
    'blocks.mlp.down.kernel': (P(None, 'tensor', 'fsdp'), P(None, 'tensor', None)),
    'blocks.mlp.down.bias': (P(None, None), P(None, None)),
}


def mesh(*shape: int) -> jax.sharding.Mesh:
    return partitioning.make_mesh(shape, jax.devices()[: int(np.prod(shape))])


def specs(tree: Any) -> dict[str, P]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(k, simple=True, separator='.'): x.spec for k, x in leaves}


def test_mesh_has_the_named_axes() -> None:
    assert dict(mesh(2, 4, 1).shape) == {'data': 2, 'fsdp': 4, 'tensor': 1}
    assert partitioning.make_mesh((8, 1, 1)).size == len(jax.devices()) == 8


@pytest.mark.parametrize('gathered', [False, True])
def test_every_parameter_lies_where_its_axes_say(gathered: bool) -> None:
    axes, sizes = models.axes(CONFIG), CONFIG.sizes
    found = specs(partitioning.layout(mesh(2, 2, 2), axes, sizes, gathered=gathered))
    assert found == {name: pair[gathered] for name, pair in EXPECTED.items()}


@pytest.mark.parametrize(
    ('shape', 'names', 'spec'),
    [
        ((1, 1, 1), 'ldnh', P(None, None, None, None)),
        ((8, 1, 1), 'ldnh', P(None, None, None, None)),
        ((1, 8, 1), 'ldnh', P(None, 'fsdp', None, None)),
        ((1, 1, 4), 'ldnh', P(None, None, 'tensor', None)),
        # Four key heads over eight devices: whole, as are 17 rows of a vocabulary over two.
        ((1, 1, 8), 'ldkh', P(None, None, None, None)),
        ((1, 2, 4), 'ldkh', P(None, 'fsdp', None, None)),
        ((1, 4, 2), 'vd', P(None, 'fsdp')),
    ],
)
def test_axis_that_does_not_divide_stays_whole(shape: tuple, names: str, spec: P) -> None:
    sizes = {'l': 2, 'd': 16, 'n': 4, 'k': 2, 'h': 8, 'v': 17}
    assert partitioning.layout(mesh(*shape), names, sizes).spec == spec


@pytest.mark.parametrize('transform', [optax.adamw(1e-3), optax.sgd(0.1, momentum=0.9)])
def test_moments_lie_with_their_parameters(transform: optax.GradientTransformation) -> None:
    place = mesh(2, 2, 2)
    params = jax.eval_shape(lambda: models.init(CONFIG, jax.random.key(0)))
    layout = partitioning.layout(place, models.axes(CONFIG), CONFIG.sizes)
    state = jax.eval_shape(transform.init, params)
    moments = specs(partitioning.layout_like(place, state, layout))
    shapes = {name: len(x.shape) for name, x in zip(moments, jax.tree.leaves(state), strict=True)}
    matched = 0
    for name, spec in moments.items():
        owner = next((o for o in EXPECTED if name.endswith(f'.{o}')), None)
        assert spec == (EXPECTED[owner][0] if owner else P())
        assert bool(owner) == bool(shapes[name])
        matched += owner is not None
    assert matched in (len(EXPECTED), 2 * len(EXPECTED))


def test_leaf_belongs_to_the_parameter_of_its_longest_path() -> None:
    place = mesh(1, 2, 4)
    outer, inner = (jax.NamedSharding(place, P(axis)) for axis in ('fsdp', 'tensor'))
    layout = {'kernel': outer, 'block': {'kernel': inner}}
    array = jax.ShapeDtypeStruct((8,), np.float32)
    tree = {'mu': {'block': {'kernel': array}, 'kernel': array}, 'count': array, 'bias': array}
    found = specs(partitioning.layout_like(place, tree, layout))
    assert found == {
        'mu.block.kernel': P('tensor'),
        'mu.kernel': P('fsdp'),
        'count': P(),
        'bias': P(),
    }


def test_rows_go_over_data_and_fsdp_in_order() -> None:
    place = mesh(2, 2, 2)
    batch = jax.device_put(np.arange(8), partitioning.rows(place))
    rows = {shard.device.id: shard.data.tolist() for shard in batch.addressable_shards}
    devices = place.devices
    assert rows == {
        devices[data, fsdp, tensor].id: [4 * data + 2 * fsdp, 4 * data + 2 * fsdp + 1]
        for data in range(2)
        for fsdp in range(2)
        for tensor in range(2)
    }
    whole = jax.device_put(np.arange(8), partitioning.replicated(place))
    assert all(shard.data.shape == (8,) for shard in whole.addressable_shards)


@pytest.mark.parametrize(
    ('names', 'shape', 'spec'),
    [
        ('btd', (8, 3, 16), P(('data', 'fsdp'))),
        ('btnh', (8, 3, 4, 2), P(('data', 'fsdp'), None, 'tensor')),
        ('btkh', (8, 3, 4, 2), P(('data', 'fsdp'), None, 'tensor')),
        ('btkh', (8, 3, 1, 2), P(('data', 'fsdp'))),
        ('btf', (8, 3, 6), P(('data', 'fsdp'), None, 'tensor')),
        ('btv', (8, 3, 6), P(('data', 'fsdp'), None, 'tensor')),
        ('btv', (6, 3, 6), P(None, None, 'tensor')),
    ],
)
def test_activations_are_cut_by_rows_and_heads(names: str, shape: tuple, spec: P) -> None:
    place = mesh(2, 2, 2)
    with partitioning.activations(place):
        found = decoder.constrain.get()(jnp.zeros(shape), names).sharding
    assert found.is_equivalent_to(jax.NamedSharding(place, spec), len(shape))
    left = decoder.constrain.get()(jnp.zeros(shape), names).sharding
    assert isinstance(left, jax.sharding.SingleDeviceSharding)


def test_activations_end_with_an_error_too() -> None:
    before = decoder.constrain.get()
    with pytest.raises(RuntimeError), partitioning.activations(mesh(1, 1, 1)):
        raise RuntimeError
    assert decoder.constrain.get() is before
