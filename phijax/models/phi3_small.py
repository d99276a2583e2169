"""phi-3-small."""

import functools
import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from phijax.models import layers
from phijax.models.attention import Attention, Inputs
from phijax.models.cache import Store
from phijax.models.configs import Phi3SmallConfig
from phijax.models.layers import GatedMlp, LayerNorm, dropout, fold_in


class Block(nnx.Module):
    """`x += attention(norm(x))`, then `x += mlp(norm(x))`; whether sparse or dense is the mask's.

    Source: modeling_phi3_small.py of microsoft/Phi-3-small-8k-instruct (the order, dropout after
    the MLP only, scores over `head_dim`, the last kernel's smaller start).
    Deviation: biases start at zero there too, where the source leaves them at torch's default.
    """

    def __init__(self, config: Phi3SmallConfig, rngs: nnx.Rngs) -> None:
        """Builds the norms and the branches."""
        activation = functools.partial(gegelu, limit=config.activation_limit)
        down_std = config.init_std / math.sqrt(2 * config.num_layers)
        scale = config.attention_multiplier / config.head_dim
        self.attention_norm = LayerNorm(config)
        self.attention = Attention(config, rngs, bias=True, scale=scale)
        self.mlp_norm = LayerNorm(config)
        self.mlp = GatedMlp(config, rngs, activation, bias=True, down_std=down_std)
        self.dropout = config.residual_dropout

    def __call__(
        self, x: Float[Array, 'b t d'], inputs: Inputs
    ) -> tuple[Float[Array, 'b t d'], Store | None]:
        """`x` after this layer, and the store with this layer's keys."""
        attended, store = self.attention(self.attention_norm(x), inputs)
        x = x + attended
        transformed = self.mlp(self.mlp_norm(x))
        return x + dropout(transformed, self.dropout, fold_in(inputs.key, 2)), store


class Ends(layers.Ends):
    """The embedding, a LayerNorm and the tied head, with muP's multipliers."""

    def __init__(self, config: Phi3SmallConfig, rngs: nnx.Rngs) -> None:
        """Builds the two."""
        super().__init__(config, rngs, LayerNorm, tied=True)
        self.config = config

    def enter(self, tokens: Int[Array, 'b t'], key: Key[Array, ''] | None) -> Float[Array, 'b t d']:
        """The embeddings, multiplied after their dropout."""
        return super().enter(tokens, key) * self.config.embed_multiplier

    def logits(self, x: Float[Array, 'b t d']) -> Float[Array, 'b t v']:
        """Divided scores; those of dummy tokens are the lowest number."""
        scores = super().logits(x) / self.config.width_multiplier
        dummies = jnp.zeros(self.config.vocab_size, bool).at[
            jnp.array(self.config.dummy_tokens, int)
        ]
        return jnp.where(dummies.set(True), jnp.finfo(scores.dtype).min, scores)


def gegelu(gate: Float[Array, '*a'], up: Float[Array, '*a'], *, limit: float) -> Float[Array, '*a']:
    """`gate * sigmoid(1.702 gate) * (up + 1)`, the gate clamped from above, `up` on both sides.

    Infinities are not clamped.
    Source: modeling_phi3_small.py of microsoft/Phi-3-small-8k-instruct (`gegelu`).
    """
    gate = jnp.where(jnp.isinf(gate), gate, jnp.minimum(gate, limit))
    up = jnp.where(jnp.isinf(up), up, jnp.clip(up, -limit, limit))
    return gate * jax.nn.sigmoid(1.702 * gate) * (up + 1)
