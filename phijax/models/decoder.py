"""A decoder as data: a configuration and `params`, walked by plain functions.

Flax builds the layers; outside this package there are only nested dicts of arrays.
"""

import contextvars
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key

from phijax.models import codegen, phi, phi3, phi3_small, rotary
from phijax.models.attention import Inputs
from phijax.models.blocked import Mask
from phijax.models.cache import Cache
from phijax.models.configs import Config
from phijax.models.layers import fold_in
from phijax.models.packed import Packed
from phijax.models.rotary import Rescaling

Params = dict[str, Any]

# How a traced activation with named axes is laid out over a mesh; `partitioning` sets it.
constrain: contextvars.ContextVar[Callable[[Array, str], Array]] = contextvars.ContextVar(
    'constrain', default=lambda x, names: x
)

_FAMILIES: dict[str, Any] = {
    'codegen': codegen,
    'phi': phi,
    'phi3': phi3,
    'phi3_small': phi3_small,
}
# The largest stacks that are unrolled by default. A loop over layers copies what it keeps for the
# backward pass, and the parameters of each layer when it decodes: measured in experiments/speed.
_UNROLLED = {'cpu': 12, 'gpu': 40}
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
    lengths: Int[Array, ' b'] | None = None,
    cache: Cache | None = None,
    rescaling: Rescaling | None = None,
    key: Key[Array, ''] | None = None,
) -> tuple[Float[Array, 'b t d'], Cache | None]:
    """The last norm's output at each position, and the cache with the new keys.

    A row longer than `config.original_length` has the long factors of LongRoPE, all along. A row
    that a cache holds keeps the factors that it started with, so one that grows beyond that length
    must start again: with `lengths` 0, `long` true, and all its tokens.

    Args:
        segments: number of the document of each position, to keep attention within documents.
        positions: place of each token in its document, for rows without a cache; by default it
            counts from 0, or on from what the cache holds.
        lengths: how many tokens of each row are real, the rest being padding at its end, which no
            cache keeps; by default all.
        cache: what `init_cache` or an earlier call returned. It must have room for the new tokens.
        rescaling: numbers of LongRoPE for every row in place of those of `config`; as they are
            arrays, other numbers need no other program.
        key: dropout's key; None means no dropout.
    """
    params = _cast(params, config.dtype)
    ends = _ends(config, params)
    start = jnp.zeros(len(tokens), jnp.int32) if cache is None else cache.lengths
    added = jnp.full(len(tokens), tokens.shape[1], jnp.int32) if lengths is None else lengths
    if positions is None:
        positions = start[:, None] + jnp.arange(tokens.shape[1])[None]
    long = _long(config, positions, added, cache)
    tables = rotary.tables(config, positions, rescaling or rotary.rescaling(config, long))
    mask = Mask(segments=segments)
    inputs = Inputs(jnp.int32(0), tables, mask, None, start, added, key)
    x = constrain.get()(ends.enter(tokens, fold_in(key, config.num_layers)), 'btd')
    x, stores = _walk(config, params['blocks'], x, inputs, cache and cache.layers)
    if cache is not None:
        cache = Cache(start + added, cache.long if long is None else long, stores)
    return ends.final_norm(x), cache


def head(config: Config, params: Params, x: Float[Array, 'b t d']) -> Float[Array, 'b t v']:
    """Scores of the next token at each position, in float32."""
    return constrain.get()(_ends(config, _cast(params, config.dtype)).logits(x), 'btv')


def apply(
    config: Config,
    params: Params,
    tokens: Int[Array, 'b t'],
    *,
    segments: Int[Array, 'b t'] | None = None,
    positions: Int[Array, 'b t'] | None = None,
    lengths: Int[Array, ' b'] | None = None,
    cache: Cache | None = None,
    key: Key[Array, ''] | None = None,
) -> tuple[Float[Array, 'b t v'], Cache | None]:
    """`head` of `hidden`: the logits, and the cache with the new keys."""
    x, cache = hidden(
        config,
        params,
        tokens,
        segments=segments,
        positions=positions,
        lengths=lengths,
        cache=cache,
        key=key,
    )
    return head(config, params, x), cache


@functools.cache
def _structure(config: Config) -> tuple[tuple, tuple]:
    """Graph and abstract state of the ends and of one block."""
    family = _FAMILIES[config.family]
    build = (lambda: family.Ends(config, nnx.Rngs(0)), lambda: family.Block(config, nnx.Rngs(0)))
    ends, block = (nnx.split(nnx.eval_shape(make)) for make in build)
    return ends, block


def _ends(config: Config, params: Params) -> Any:
    """What lies below and above the stack."""
    (graph, state), _ = _structure(config)
    return _merge(graph, state, {k: v for k, v in params.items() if k != 'blocks'})


def _merge(graph: nnx.GraphDef, state: nnx.State, params: Params) -> Any:
    """The module of one structure with `params` in its places."""
    leaves = jax.tree.leaves(params, is_leaf=lambda x: isinstance(x, Packed))
    return nnx.merge(graph, jax.tree.unflatten(jax.tree.structure(state), leaves))


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


def _walk(
    config: Config, blocks: Params, x: Float[Array, 'b t d'], inputs: Inputs, stores: Any
) -> tuple[Float[Array, 'b t d'], Any]:
    """`x` after every layer, and the stores of the cache, one for each kind of layer."""
    _, (graph, state) = _structure(config)
    kinds = len(config.pattern)

    def run(params: Params, x: Array, number: Array, kind: int, store: Any) -> tuple[Array, Any]:
        """One layer."""
        mask = dataclasses.replace(inputs.mask, reach=config.pattern[kind])
        own = inputs._replace(
            layer=number // kinds, mask=mask, store=store, key=fold_in(inputs.key, number)
        )
        x, store = _merge(graph, state, params)(constrain.get()(x, 'btd'), own)
        return constrain.get()(x, 'btd'), store

    if config.remat != 'none':
        # A loop's own structure keeps XLA from merging the recomputation with the forward pass.
        merging = _unroll(config) > 1
        run = jax.checkpoint(
            run, policy=_POLICIES[config.remat], prevent_cse=merging, static_argnums=3
        )

    def turn(carry: tuple, turn_params: tuple) -> tuple[tuple, None]:
        """A layer of each kind."""
        (x, stores), (number, params) = carry, turn_params
        stores = list(stores) if stores is not None else [None] * kinds
        for kind in range(kinds):
            own = jax.tree.map(lambda p: p[kind], params)  # noqa: B023
            x, stores[kind] = run(own, x, number * kinds + kind, kind, stores[kind])
        return (x, tuple(stores) if stores[0] is not None else None), None

    turns = config.num_layers // kinds
    by_turn = jax.tree.map(lambda p: p.reshape(turns, kinds, *p.shape[1:]), blocks)
    xs = (jnp.arange(turns), by_turn)
    unroll = max(1, _unroll(config) // kinds)
    return jax.lax.scan(turn, (x, stores), xs, unroll=unroll)[0]


def _long(
    config: Config, positions: Array, added: Array, cache: Cache | None
) -> Bool[Array, ' b'] | None:
    """Which rows have LongRoPE's long factors: those with a real position beyond the original."""
    if not config.original_length:
        return None
    real = jnp.arange(positions.shape[1])[None] < added[:, None]
    beyond = (real & (positions >= config.original_length)).any(axis=1)
    return beyond if cache is None else cache.long | (beyond & (cache.lengths == 0))


def _unroll(config: Config) -> int:
    if config.unroll:
        return min(config.unroll, config.num_layers)
    few = config.num_layers <= _UNROLLED.get(jax.default_backend(), 0)
    return config.num_layers if few else 1
