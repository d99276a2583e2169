"""CodeGen's block beside phi-1's: the same but for what its attention lacks."""

import jax
import numpy as np

from phijax import models
from tests.models import tiny

CONFIG = models.config('codegen_350m', **tiny.SIZES, unroll=1)


def test_attention_alone_has_no_biases():
    axes = models.axes(CONFIG)
    assert {name: set(product) for name, product in axes['blocks']['attention'].items()} == {
        'query': {'kernel'},
        'key': {'kernel'},
        'value': {'kernel'},
        'out': {'kernel'},
    }
    assert axes['blocks']['mlp']['up'] == {'kernel': 'ldf', 'bias': 'lf'}
    assert axes['head'] == {'kernel': 'dv', 'bias': 'v'}


def test_it_is_phi1_with_biases_of_zero():
    phi = tiny.config(qk_layernorm=False)
    params, tokens = tiny.randomised(CONFIG), tiny.tokens(CONFIG, 2, 20)
    zeros = jax.tree.map(np.zeros_like, tiny.randomised(phi)['blocks']['attention'])
    attention = {
        name: zeros[name] | product for name, product in params['blocks']['attention'].items()
    }
    filled = params | {'blocks': params['blocks'] | {'attention': attention}}
    np.testing.assert_array_equal(
        tiny.forward(CONFIG)(params, tokens), tiny.forward(phi)(filled, tokens)
    )


def test_a_published_model_is_phi1_small_without_those_biases():
    ours, phi = (
        jax.eval_shape(lambda: models.init(models.config(name), jax.random.key(0)))  # noqa: B023
        for name in ('codegen_350m', 'phi1_small')
    )
    size = lambda params: sum(x.size for x in jax.tree.leaves(params))  # noqa: E731
    assert size(phi) - size(ours) == 20 * 4 * 1024
