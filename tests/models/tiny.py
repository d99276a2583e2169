"""Small models whose every parameter is random, so that none can be dropped or swapped unseen."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from phijax import models

# No two sizes are equal, and the heads do not add up to the width.
SIZES = {
    'vocab_size': 61,
    'embed_dim': 24,
    'num_layers': 3,
    'num_heads': 6,
    'num_kv_heads': 2,
    'head_dim': 10,
    'mlp_dim': 40,
    'rotary_dim': 4,
}


def config(**overrides: Any) -> models.Config:
    """A phi of 20,000 parameters, with fewer key/value heads and every optional part.

    One layer at a time is compiled, which is faster for a test than the unrolled stack.
    """
    return models.config('phi1', **SIZES | {'qk_layernorm': True, 'unroll': 1} | overrides)


def randomised(config: models.Config, seed: int = 0, std: float = 0.2) -> models.Params:
    """Parameters that are all normal with standard deviation `std`, biases and scales too."""
    random = np.random.default_rng(seed)

    def draw(names: str) -> jax.Array:
        shape = [config.sizes[axis] for axis in names]
        return jax.numpy.asarray(random.normal(0, std, shape), jax.numpy.float32)

    return jax.tree.map(draw, models.axes(config))


def key(seed: int = 0) -> jax.Array:
    """A random key of a kind whose draws take a tenth of the time to compile."""
    return jax.random.key(seed, impl='rbg')


def tokens(config: models.Config, batch: int, length: int, seed: int = 0) -> jax.Array:
    """Random token ids."""
    random = np.random.default_rng(seed)
    return jax.numpy.asarray(random.integers(config.vocab_size, size=(batch, length)), 'int32')


def jit(function: Callable[..., Any], **options: Any) -> Any:
    """`jax.jit` without the optimisations of LLVM, which take most of the time of a small test."""
    return jax.jit(function, compiler_options={'xla_backend_optimization_level': 0}, **options)


@functools.cache
def forward(config: models.Config) -> Any:
    """`models.apply` for `config`, compiled once per shape: `(params, tokens, ...) -> logits`."""
    return jit(lambda params, tokens, **rest: models.apply(config, params, tokens, **rest)[0])


@functools.cache
def gradients(config: models.Config) -> Any:
    """A compiled `(params, tokens, ...) -> ((loss, logits), gradients)`.

    The loss is the mean, in nats, over predictions of each next token.
    """

    def loss(params: models.Params, tokens: jax.Array, **rest: Any) -> tuple[jax.Array, jax.Array]:
        logits, _ = models.apply(config, params, tokens, **rest)
        scores = jax.nn.log_softmax(logits[:, :-1])
        chosen = jax.numpy.take_along_axis(scores, tokens[:, 1:, None], axis=-1)
        return -chosen.mean(), logits

    return jit(jax.value_and_grad(loss, has_aux=True))


def assert_near(gradients: models.Params, expected: models.Params, tolerance: float) -> None:
    """Asserts that each array differs from the expected one by less than a share of its largest.

    No expected array may be zero: that would be met by a parameter that is not used.
    """
    pairs = zip(jax.tree.leaves_with_path(gradients), jax.tree.leaves(expected), strict=True)
    for (path, gradient), target in pairs:
        scale = np.abs(target).max()
        assert scale > 1e-6, jax.tree_util.keystr(path)
        np.testing.assert_allclose(
            gradient, target, rtol=0, atol=tolerance * scale, err_msg=jax.tree_util.keystr(path)
        )
