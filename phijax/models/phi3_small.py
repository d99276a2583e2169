"""phi-3-small."""

import functools

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from phijax.models import layers
from phijax.models.attention import Attention, Inputs
from phijax.models.cache import Store
from phijax.models.configs import Phi3SmallConfig
from phijax.models.layers import GatedMlp, LayerNorm, dropout, fold_in, gegelu


class Block(nnx.Module):
    """`x += attention(norm(x))`, then `x += mlp(norm(x))`; whether sparse or dense is the mask's.

    Source: modeling_phi3_small.py of microsoft/Phi-3-small-8k-instruct.
    Deviation: biases start at zero, where the source leaves them at torch's default.
    """

    def __init__(self, config: Phi3SmallConfig, rngs: nnx.Rngs) -> None:
        """Builds the norms and the branches."""
        activation = functools.partial(gegelu, limit=config.activation_limit)
        down_std = config.init_std / (2 * config.num_layers) ** 0.5
        self.attention_norm = LayerNorm(config)
        scale = config.attention_multiplier / config.head_dim
        self.attention = Attention(config, rngs, bias=True, scale=scale)
        self.mlp_norm = LayerNorm(config)
        self.mlp = GatedMlp(config, rngs, activation, bias=True, down_std=down_std)
        self.dropout = config.residual_dropout

    def __call__(
        self, x: Float[Array, 'b t d'], inputs: Inputs
    ) -> tuple[Float[Array, 'b t d'], Store | None]:
        """`x` after this layer, and the store with this layer's keys."""
        y, store = self.attention(self.attention_norm(x), inputs)
        x = x + y
        y = self.mlp(self.mlp_norm(x))
        return x + dropout(y, self.dropout, fold_in(inputs.key, 2)), store


class Ends(layers.Ends):
    """The embedding, a LayerNorm and the tied head, with muP's multipliers."""

    def __init__(self, config: Phi3SmallConfig, rngs: nnx.Rngs) -> None:
        """Builds embedding and norm."""
        super().__init__(config, rngs, LayerNorm, tied=True)
        self.config = config

    def enter(self, tokens: Int[Array, 'b t'], key: Key[Array, ''] | None) -> Float[Array, 'b t d']:
        """The embeddings, multiplied after their dropout."""
        return super().enter(tokens, key) * self.config.embed_multiplier

    def logits(self, x: Float[Array, 'b t d']) -> Float[Array, 'b t v']:
        """Divided scores; those of dummy tokens are the lowest number."""
        scores = super().logits(x) / self.config.width_multiplier
        dummies = jnp.isin(jnp.arange(scores.shape[-1]), jnp.array(self.config.dummy_tokens, int))
        return jnp.where(dummies, jnp.finfo(scores.dtype).min, scores)
