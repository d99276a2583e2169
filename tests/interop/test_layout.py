"""The transposes that follow from the letters, beside those written by hand."""

import numpy as np
import pytest

from phijax.interop import layout, phi
from tests.models import tiny

CONFIG = tiny.config()
L, D, N, K, H, F, V = (CONFIG.sizes[axis] for axis in 'ldnkhfv')

# Module of the parameters -> name in the file and how torch keeps its weight: out x in.
BY_HAND = {
    'embed.kernel': ('model.embed_tokens.weight', lambda x: x),
    'head.kernel': ('lm_head.weight', lambda x: x.T),
    'head.bias': ('lm_head.bias', lambda x: x),
    'final_norm.scale': ('model.final_layernorm.weight', lambda x: x),
    'final_norm.bias': ('model.final_layernorm.bias', lambda x: x),
    'blocks.norm.scale': ('input_layernorm.weight', lambda x: x),
    'blocks.norm.bias': ('input_layernorm.bias', lambda x: x),
    'blocks.attention.query.kernel': ('self_attn.q_proj.weight', lambda x: x.reshape(D, N * H).T),
    'blocks.attention.query.bias': ('self_attn.q_proj.bias', lambda x: x.reshape(N * H)),
    'blocks.attention.key.kernel': ('self_attn.k_proj.weight', lambda x: x.reshape(D, K * H).T),
    'blocks.attention.key.bias': ('self_attn.k_proj.bias', lambda x: x.reshape(K * H)),
    'blocks.attention.value.kernel': ('self_attn.v_proj.weight', lambda x: x.reshape(D, K * H).T),
    'blocks.attention.value.bias': ('self_attn.v_proj.bias', lambda x: x.reshape(K * H)),
    'blocks.attention.out.kernel': ('self_attn.dense.weight', lambda x: x.reshape(N * H, D).T),
    'blocks.attention.out.bias': ('self_attn.dense.bias', lambda x: x),
    'blocks.attention.query_norm.scale': ('self_attn.q_layernorm.weight', lambda x: x),
    'blocks.attention.query_norm.bias': ('self_attn.q_layernorm.bias', lambda x: x),
    'blocks.attention.key_norm.scale': ('self_attn.k_layernorm.weight', lambda x: x),
    'blocks.attention.key_norm.bias': ('self_attn.k_layernorm.bias', lambda x: x),
    'blocks.mlp.up.kernel': ('mlp.fc1.weight', lambda x: x.T),
    'blocks.mlp.up.bias': ('mlp.fc1.bias', lambda x: x),
    'blocks.mlp.down.kernel': ('mlp.fc2.weight', lambda x: x.T),
    'blocks.mlp.down.bias': ('mlp.fc2.bias', lambda x: x),
}


@pytest.fixture(scope='module')
def params():
    return {
        path: np.asarray(leaf) for path, leaf in layout.flatten(tiny.randomised(CONFIG)).items()
    }


def test_every_tensor_of_transformers(params):
    expected = {}
    assert params.keys() == BY_HAND.keys()
    for path, (name, change) in BY_HAND.items():
        if path.startswith('blocks.'):
            for i in range(L):
                expected[f'model.layers.{i}.{name}'] = change(params[path][i])
        else:
            expected[name] = change(params[path])
    plan = layout.plan(CONFIG, phi.FAMILY.names[0])
    assert plan.keys() == expected.keys()
    for name, pieces in plan.items():
        tensor = layout.pack(pieces, params)
        assert tensor.shape == layout.shape(pieces) == expected[name].shape
        np.testing.assert_array_equal(tensor, expected[name], err_msg=name)


@pytest.mark.parametrize('table', range(3))
def test_unpacking_undoes_packing(table):
    config = tiny.config(qk_layernorm=False)
    params = layout.flatten(tiny.randomised(config))
    again = {path: np.full(x.shape, np.nan, np.float32) for path, x in params.items()}
    for pieces in layout.plan(config, phi.FAMILY.names[table]).values():
        layout.unpack(pieces, layout.pack(pieces, params), again)
    for path, array in params.items():
        np.testing.assert_array_equal(again[path], array, err_msg=path)


def test_layers_come_in_order():
    names = list(layout.plan(tiny.config(num_layers=12), phi.FAMILY.names[0]))
    layers = [int(name.split('.')[2]) for name in names if 'layers' in name]
    assert layers == sorted(layers)
    assert set(layers) == set(range(12))


def test_flatten_and_unflatten():
    tree = {'a': {'b': 1, 'c': {'d': 2}}, 'e': 3}
    assert layout.flatten(tree) == {'a.b': 1, 'a.c.d': 2, 'e': 3}
    assert layout.unflatten(layout.flatten(tree)) == tree


def test_shapes():
    shapes = layout.shapes(CONFIG)
    assert shapes['blocks.attention.query.kernel'] == (L, D, N, H)
    assert shapes['head.kernel'] == (D, V)
    assert shapes['blocks.mlp.down.kernel'] == (L, F, D)
    assert len(shapes) == len(BY_HAND)
