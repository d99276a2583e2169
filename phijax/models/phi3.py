"""phi-3-mini and phi-3-medium, and models of Llama's shape."""

import jax
from flax import nnx
from jaxtyping import Array, Float

from phijax.models import layers
from phijax.models.attention import Attention, Inputs
from phijax.models.cache import Store
from phijax.models.configs import Phi3Config
from phijax.models.layers import GatedMlp, RmsNorm, dropout, fold_in


class Block(nnx.Module):
    """`x += attention(norm(x))`, then `x += mlp(norm(x))`, with a norm for each.

    Source: modular_phi3.py of transformers (the order, RMSNorm, SwiGLU, no biases).
    """

    def __init__(self, config: Phi3Config, rngs: nnx.Rngs) -> None:
        """Builds the norms and the branches."""
        self.attention_norm = RmsNorm(config)
        self.attention = Attention(config, rngs, bias=False)
        self.mlp_norm = RmsNorm(config)
        self.mlp = GatedMlp(config, rngs, lambda gate, up: jax.nn.silu(gate) * up, bias=False)
        self.dropout = config.residual_dropout

    def __call__(
        self, x: Float[Array, 'b t d'], inputs: Inputs
    ) -> tuple[Float[Array, 'b t d'], Store | None]:
        """`x` after this layer, and the store with this layer's keys."""
        attended, store = self.attention(self.attention_norm(x), inputs)
        x = x + dropout(attended, self.dropout, fold_in(inputs.key, 1))
        transformed = self.mlp(self.mlp_norm(x))
        return x + dropout(transformed, self.dropout, fold_in(inputs.key, 2)), store


class Ends(layers.Ends):
    """The embedding, an RMSNorm, and a head that may be tied."""

    def __init__(self, config: Phi3Config, rngs: nnx.Rngs) -> None:
        """Builds the three."""
        super().__init__(config, rngs, RmsNorm, tied=config.tied_head)
