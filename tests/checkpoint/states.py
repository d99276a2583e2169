"""A small training state, its abstract form, and what it means for two to be the same."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class State:
    """As training has it: named parts, of which some are empty."""

    step: Any
    params: Any
    opt_state: Any
    loss_scale: Any = None
    seed: Any = 7


def make_state(step: int, width: int = 16) -> State:
    """A state whose every value depends on the step."""
    keys = iter(jax.random.split(jax.random.key(step), 8))
    params = {
        'embed': {'kernel': jax.random.normal(next(keys), (64, width))},
        'blocks': {
            'mlp': {
                'up': {
                    'kernel': jax.random.normal(next(keys), (2, width, 4 * width)),
                    'bias': jax.random.normal(next(keys), (2, 4 * width), jnp.bfloat16),
                }
            }
        },
    }
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3))
    moments = jax.tree.map(lambda x: x + jnp.asarray(step, x.dtype), optimizer.init(params))
    return State(jnp.int32(step), params, moments)


def abstract(state: Any) -> Any:
    """The same tree without values; what is no array stays."""

    def leaf(x: Any) -> Any:
        is_array = isinstance(x, jax.Array)
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding) if is_array else x

    return jax.tree.map(leaf, state)


def assert_same(one: Any, other: Any) -> None:
    """Fails unless structure, dtypes and all bits are the same."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    leaves = ([np.asarray(leaf) for leaf in jax.tree.leaves(tree)] for tree in (one, other))
    for left, right in zip(*leaves, strict=True):
        assert (left.dtype, left.shape) == (right.dtype, right.shape)
        assert left.tobytes() == right.tobytes()
