"""CodeGen, from which phi-1's shape was taken and whose embeddings its filter was learnt on."""

from flax import nnx

from phijax.models import layers, phi
from phijax.models.attention import Attention
from phijax.models.configs import CodegenConfig
from phijax.models.layers import LayerNorm, Mlp


class Block(phi.Block):
    """phi-1's block, but for the products of its attention, which have no biases.

    Source: modeling_codegen.py of transformers. It rotates neighbouring features; here they are
    those in halves, and `interop` puts the rows of queries and keys in that order.
    """

    def __init__(self, config: CodegenConfig, rngs: nnx.Rngs) -> None:
        """Builds the norm and the branches."""
        self.norm = LayerNorm(config)
        self.attention = Attention(config, rngs, bias=False)
        self.mlp = Mlp(config, rngs, bias=True)
        self.dropout = config.residual_dropout


class Ends(layers.Ends):
    """The ends of phi-1: the embedding, a LayerNorm, and a head with a bias."""

    def __init__(self, config: CodegenConfig, rngs: nnx.Rngs) -> None:
        """Builds the three."""
        super().__init__(config, rngs, LayerNorm, bias=True)
