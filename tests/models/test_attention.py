"""The layer's choice of kernel."""

import functools

import jax
import numpy as np
import pytest

from phijax.models import attention
from phijax.models.blocked import Mask
from phijax.models.configs import Reach
from tests.models import tiny
from tests.models.test_blocked import documents, draw, plain


@pytest.mark.parametrize('segmented', [False, True])
@pytest.mark.parametrize('window', [None, 5])
def test_cudnn_is_asked_for_the_same(monkeypatch, window, segmented):
    """XLA's kernel of the same function stands in, as cuDNN's needs a GPU."""
    real = jax.nn.dot_product_attention
    asked = []

    def stand_in(*arrays, implementation, **rest):
        asked.append(implementation)
        return real(*arrays, implementation='xla', **rest)

    monkeypatch.setattr(jax.nn, 'dot_product_attention', stand_in)
    query, key, value, _ = draw(20)
    mask = Mask(segments=documents(20) if segmented else None, reach=Reach(window=window))
    y = tiny.jit(functools.partial(attention._attend_cudnn, mask=mask, scale=8**-0.5))(
        query, key, value
    )
    exact = tiny.jit(functools.partial(plain, mask=mask))(query, key, value)
    np.testing.assert_allclose(y, exact, atol=1e-5)
    assert asked == ['cudnn']
