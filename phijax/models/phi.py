"""phi-1, phi-1.5 and phi-2."""

from flax import nnx
from jaxtyping import Array, Float

from phijax.models import layers
from phijax.models.attention import Attention, Inputs
from phijax.models.cache import Store
from phijax.models.configs import PhiConfig
from phijax.models.layers import LayerNorm, Mlp, dropout, fold_in


class Block(nnx.Module):
    """`x + attention(norm(x)) + mlp(norm(x))`: one norm, and the two branches side by side.

    Source: arXiv:2306.11644, sec. 2.3 (parallel attention and MLP); modular_phi.py of
    transformers (the one norm, biases on every product).
    """

    def __init__(self, config: PhiConfig, rngs: nnx.Rngs) -> None:
        """Builds the norm and the branches."""
        self.norm = LayerNorm(config)
        self.attention = Attention(config, rngs, bias=True, normalise=config.qk_layernorm)
        self.mlp = Mlp(config, rngs, bias=True)
        self.dropout = config.residual_dropout

    def __call__(
        self, x: Float[Array, 'b t d'], inputs: Inputs
    ) -> tuple[Float[Array, 'b t d'], Store | None]:
        """`x` after this layer, and the store with this layer's keys."""
        normed = self.norm(x)
        attended, store = self.attention(normed, inputs)
        attended = dropout(attended, self.dropout, fold_in(inputs.key, 1))
        transformed = dropout(self.mlp(normed), self.dropout, fold_in(inputs.key, 2))
        return x + attended + transformed, store


class Ends(layers.Ends):
    """The embedding, a LayerNorm, and a head with a bias."""

    def __init__(self, config: PhiConfig, rngs: nnx.Rngs) -> None:
        """Builds the three."""
        super().__init__(config, rngs, LayerNorm, bias=True)
