"""Causal attention with grouped heads as a layer: projections, rotation, and what it looks at."""

import math
from typing import NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from phijax.models import rotary
from phijax.models.blocked import Mask, attend
from phijax.models.cache import New, Store, attend_cached
from phijax.models.configs import Config
from phijax.models.layers import Einsum, LayerNorm, fold_in


class Inputs(NamedTuple):
    """What a layer needs besides its parameters and `x`.

    Attributes:
        layer: its place among the layers of its kind, whose caches are stacked in `store`.
        start: how many keys each row has in the cache.
        added: how many of the positions are real, the rest being padding at the end.
    """

    layer: Int[Array, '']
    tables: rotary.Tables
    mask: Mask
    store: Store | None
    start: Int[Array, ' b']
    added: Int[Array, ' b']
    key: Key[Array, ''] | None


class Attention(nnx.Module):
    """Projections, rotation, causal attention over `n` query heads and `k` key/value heads."""

    def __init__(
        self,
        config: Config,
        rngs: nnx.Rngs,
        *,
        bias: bool,
        normalise: bool = False,
        scale: float | None = None,
    ) -> None:
        """Builds the four products.

        Args:
            normalise: queries and keys of each head go through a LayerNorm (`qk_layernorm`).
            scale: what scores are multiplied by; by default 1 / sqrt(head_dim).
        """
        self.query = Einsum('btd,dnh->btnh', config, rngs, bias=bias)
        self.key = Einsum('btd,dkh->btkh', config, rngs, bias=bias)
        self.value = Einsum('btd,dkh->btkh', config, rngs, bias=bias)
        self.out = Einsum('btnh,nhd->btd', config, rngs, bias=bias)
        if normalise:
            self.query_norm = LayerNorm(config, 'h')
            self.key_norm = LayerNorm(config, 'h')
        self.dropout = config.attention_dropout
        self.implementation = config.attention
        self.scale = 1 / math.sqrt(config.head_dim) if scale is None else scale

    def __call__(
        self, x: Float[Array, 'b t d'], inputs: Inputs
    ) -> tuple[Float[Array, 'b t d'], Store | None]:
        """What each position gathers from those before it, and the store with its keys added."""
        query, key, value = self.query(x), self.key(x), self.value(x)
        if hasattr(self, 'query_norm'):
            query, key = self.query_norm(query), self.key_norm(key)
        query = rotary.rotate(query, inputs.tables)
        key = rotary.rotate(key, inputs.tables)
        store, mask = inputs.store, inputs.mask
        if store is not None:
            new = New(query, key, value, inputs.start, inputs.added)
            y, store = attend_cached(store, inputs.layer, new, mask, self.scale)
        elif self.implementation == 'cudnn' and mask.reach.sparsity is None:
            y = _attend_cudnn(query, key, value, mask, self.scale)
        else:
            random = fold_in(inputs.key, 0)
            y = attend(query, key, value, mask, scale=self.scale, rate=self.dropout, key_=random)
        return self.out(y), store


def _attend_cudnn(query: Array, key: Array, value: Array, mask: Mask, scale: float) -> Array:
    dense = None
    if mask.segments is not None:
        dense = mask.segments[:, None, :, None] == mask.segments[:, None, None, :]
    window = None if mask.reach.window is None else (mask.reach.window - 1, 0)
    return jax.nn.dot_product_attention(
        query,
        key,
        value,
        mask=dense,
        scale=scale,
        is_causal=True,
        local_window_size=window,
        implementation='cudnn',
    )
