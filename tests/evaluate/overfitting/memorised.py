"""A tiny model that was trained, for a few seconds, on half of some random rows."""

import functools

import jax
import numpy as np

from phijax import models
from tests.models import tiny

ROWS, LENGTH, EPOCHS, RATE = 64, 24, 60, 0.01


@functools.cache
def model():
    """The config, the params, and rows whose first half was seen in every step."""
    config = tiny.config(max_length=64, num_layers=2, qk_layernorm=False)
    rows = np.asarray(tiny.tokens(config, ROWS, LENGTH, seed=5))
    params = models.init(config, jax.random.key(0))
    gradients = tiny.gradients(config)
    seen = rows[: ROWS // 2]
    square = jax.tree.map(np.zeros_like, jax.tree.map(np.asarray, params))
    for _ in range(EPOCHS):
        _, slope = gradients(params, seen)
        square = jax.tree.map(lambda s, g: 0.9 * s + 0.1 * np.square(g), square, slope)
        params = jax.tree.map(
            lambda p, g, s: p - RATE * g / (np.sqrt(s) + 1e-6), params, slope, square
        )
    return config, params, rows.tolist()


def texts(rows):
    """Rows as words."""
    return [' '.join(f't{token}' for token in row) for row in rows]
