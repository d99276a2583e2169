"""A decoder as data: a configuration and `params`, walked by plain functions.

Flax builds the layers; outside this package there are only nested dicts of arrays.
"""

import contextvars
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from phijax.models import phi, rotary
from phijax.models.attention import Cache, Inputs, Mask
from phijax.models.configs import Config
from phijax.models.layers import dropout, fold_in

Params = dict[str, Any]

# How a traced activation with named axes is laid out over a mesh; `partitioning` sets it.
constrain: contextvars.ContextVar[Callable[[Array, str], Array]] = contextvars.ContextVar(
    'constrain', default=lambda x, names: x
)

_FAMILIES: dict[str, Any] = {'phi': phi}
_UNROLLED_ON_CPU = 12
_POLICIES = {
    'full': jax.checkpoint_policies.nothing_saveable,
    'dots': jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


def init(config: Config, key: Key[Array, '']) -> Params:
    """Fresh float32 parameters: nested dicts, with every layer stacked on a leading axis `l`.

    The values depend on `config` and `key` only, not on how the result is sharded.
    """
    family = _FAMILIES[config.family]
    ends_key, blocks_key = jax.random.split(key)

    def block(key: Key[Array, '']) -> Params:
        return _pure(family.Block(config, nnx.Rngs(key)))

    blocks = jax.vmap(block)(jax.random.split(blocks_key, config.num_layers))
    return _pure(family.Ends(config, nnx.Rngs(ends_key))) | {'blocks': blocks}


def axes(config: Config) -> Params:
    """The tree of `params` with the names of each array's axes, such as `ldnh`, for leaves."""
    (_, ends), (_, block) = _structure(config)
    stacked = jax.tree.map(lambda names: 'l' + names, _letters(block, 'axes'))
    return _letters(ends, 'axes') | {'blocks': stacked}


def fan_in(config: Config) -> Params:
    """The tree of `params` with the axes that each array's product sums over, such as `nh`.

    It is empty for what is looked up, added or multiplied by: embeddings, biases, norms.
    """
    (_, ends), (_, block) = _structure(config)
    return _letters(ends, 'fan_in') | {'blocks': _letters(block, 'fan_in')}


def hidden(
    config: Config,
    params: Params,
    tokens: Int[Array, 'b t'],
    *,
    segments: Int[Array, 'b t'] | None = None,
    positions: Int[Array, 'b t'] | None = None,
    cache: Cache | None = None,
    key: Key[Array, ''] | None = None,
) -> tuple[Float[Array, 'b t d'], Cache | None]:
    """The last norm's output at each position, and the cache with the new keys.

    Args:
        segments: number of the document of each position, to keep attention within documents.
        positions: place of each token in its document; by default it counts from 0, or on from
            what the cache holds.
        cache: what `init_cache` or an earlier call returned. It must have room for the new
            tokens, whose keys go to the slots of their positions.
        key: dropout's key; None means no dropout.
    """
    params = _cast(params, config.dtype)
    (ends_graph, ends_state), (block_graph, block_state) = _structure(config)
    ends = _merge(ends_graph, ends_state, {k: v for k, v in params.items() if k != 'blocks'})
    positions = _positions(tokens, positions, cache)
    tables = rotary.tables(positions, config.rotary_dim, config.rope_theta)
    mask = Mask(segments=segments)

    def layer(carry: tuple, layer_params: tuple) -> tuple[tuple, None]:
        x, cache = carry
        index, block_params = layer_params
        block = _merge(block_graph, block_state, block_params)
        inputs = Inputs(index, positions, tables, mask, cache, fold_in(key, index))
        x, cache = block(constrain.get()(x, 'btd'), inputs)
        return (constrain.get()(x, 'btd'), cache), None

    if config.remat != 'none':
        # A loop's own structure keeps XLA from merging the recomputation with the forward pass.
        merging = _unroll(config) > 1
        layer = jax.checkpoint(layer, policy=_POLICIES[config.remat], prevent_cse=merging)
    x = constrain.get()(ends.embed(tokens), 'btd')
    x = dropout(x, config.embed_dropout, fold_in(key, config.num_layers))
    stack = (jnp.arange(config.num_layers), params['blocks'])
    (x, cache), _ = jax.lax.scan(layer, (x, cache), stack, unroll=_unroll(config))
    if cache is not None:
        cache = cache | {'index': positions[:, -1] + 1}
    return ends.final_norm(x), cache


def head(config: Config, params: Params, x: Float[Array, 'b t d']) -> Float[Array, 'b t v']:
    """Scores of the next token at each position, in float32."""
    (graph, state), _ = _structure(config)
    ends = {k: v for k, v in _cast(params, config.dtype).items() if k != 'blocks'}
    return constrain.get()(_merge(graph, state, ends).head(x), 'btv')


def apply(
    config: Config,
    params: Params,
    tokens: Int[Array, 'b t'],
    *,
    segments: Int[Array, 'b t'] | None = None,
    positions: Int[Array, 'b t'] | None = None,
    cache: Cache | None = None,
    key: Key[Array, ''] | None = None,
) -> tuple[Float[Array, 'b t v'], Cache | None]:
    """`head` of `hidden`: the logits, and the cache with the new keys."""
    x, cache = hidden(
        config, params, tokens, segments=segments, positions=positions, cache=cache, key=key
    )
    return head(config, params, x), cache


@functools.cache
def _structure(config: Config) -> tuple[tuple, tuple]:
    """Graph and abstract state of the ends and of one block."""
    family = _FAMILIES[config.family]
    build = (lambda: family.Ends(config, nnx.Rngs(0)), lambda: family.Block(config, nnx.Rngs(0)))
    ends, block = (nnx.split(nnx.eval_shape(make)) for make in build)
    return ends, block


def _merge(graph: nnx.GraphDef, state: nnx.State, params: Params) -> Any:
    """The module of one structure with `params` in its places."""
    return nnx.merge(graph, jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(params)))


def _pure(module: nnx.Module) -> Params:
    return nnx.to_pure_dict(nnx.state(module, nnx.Param))


def _letters(state: nnx.State, field: str) -> Params:
    """The letters that each parameter was given in `field`, none if it has no such field."""
    is_variable = lambda x: isinstance(x, nnx.Variable)  # noqa: E731
    letters = jax.tree.map(lambda x: x.get_metadata().get(field, ''), state, is_leaf=is_variable)
    return nnx.to_pure_dict(letters)


def _cast(params: Params, dtype: str) -> Params:
    """`params` in the compute dtype, but for those of the norms.

    Done on the whole stack, so that what is gathered between devices is already narrow.
    """
    if 'scale' in params:
        return params
    return {
        name: _cast(value, dtype) if isinstance(value, dict) else value.astype(dtype)
        for name, value in params.items()
    }


def _positions(tokens: Array, positions: Array | None, cache: Cache | None) -> Array:
    if positions is not None:
        return positions
    steps = jnp.arange(tokens.shape[1])[None]
    if cache is None:
        return jnp.broadcast_to(steps, tokens.shape)
    return cache['index'][:, None] + steps


def _unroll(config: Config) -> int:
    if config.unroll:
        return min(config.unroll, config.num_layers)
    few = config.num_layers <= _UNROLLED_ON_CPU
    return config.num_layers if few and jax.default_backend() == 'cpu' else 1
