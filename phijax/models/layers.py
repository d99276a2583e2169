"""The parts that every block is put together from. A parameter carries the names of its axes."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from phijax.models.configs import Config
from phijax.models.packed import Bytes, Packed


class Einsum(nnx.Module):
    """A product along named axes: `Einsum('btd,dnh->btnh', ...)` has a kernel `dnh`, a bias `nh`.

    The equation is the one place where the axes are named; shapes, sharding, upscaling and weight
    decay follow from it.
    """

    def __init__(
        self,
        equation: str,
        config: Config,
        rngs: nnx.Rngs,
        *,
        bias: bool,
        wide: bool = False,
        std: float | None = None,
    ) -> None:
        """Draws the kernel from a normal; the bias starts at zero.

        Args:
            wide: the result is float32 whatever the inputs are (logits).
            std: the standard deviation of the kernel; by default `config.init_std`.
        """
        inputs, kernel_axes, output = equation.replace('->', ',').split(',')
        bias_axes = ''.join(a for a in output if a in kernel_axes and a not in inputs)
        shape = [config.sizes[a] for a in kernel_axes]
        self.equation = equation
        self.wide = wide
        std = config.init_std if std is None else std
        values = std * jax.random.normal(rngs.params(), shape)
        summed = ''.join(a for a in kernel_axes if a not in output)
        self.kernel = nnx.Param(values, axes=kernel_axes, fan_in=summed)
        if bias:
            self.bias = nnx.Param(jnp.zeros([config.sizes[a] for a in bias_axes]), axes=bias_axes)

    def __call__(self, x: Float[Array, '...']) -> Float[Array, '...']:
        """The product, plus the bias."""
        y = product(self.equation, x, self.kernel.get_value(), wide=self.wide)
        return y + self.bias[...] if hasattr(self, 'bias') else y


class Embed(nnx.Module):
    """A table of one row per token id."""

    def __init__(self, config: Config, rngs: nnx.Rngs) -> None:
        """Draws the table from a normal of `config.init_std`."""
        shape = (config.vocab_size, config.embed_dim)
        self.kernel = nnx.Param(
            config.init_std * jax.random.normal(rngs.params(), shape), axes='vd'
        )

    def __call__(self, tokens: Int[Array, 'b t']) -> Float[Array, 'b t d']:
        """The rows of `tokens`."""
        table: Any = self.kernel.get_value()
        return table.rows(tokens) if isinstance(table, Bytes) else jnp.take(table, tokens, axis=0)


class LayerNorm(nnx.Module):
    """Zero mean and unit variance along the last axis in float32, then a learned scale and bias."""

    def __init__(self, config: Config, axis: str = 'd') -> None:
        """Starts as the identity on a normalised input."""
        size = config.sizes[axis]
        self.eps = config.norm_eps
        self.scale = nnx.Param(jnp.ones(size), axes=axis)
        self.bias = nnx.Param(jnp.zeros(size), axes=axis)

    def __call__(self, x: Float[Array, '*a']) -> Float[Array, '*a']:
        """`x`, normalised, in its own dtype."""
        wide = x.astype(jnp.float32)
        centred = wide - wide.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        normed = centred * jax.lax.rsqrt(variance + self.eps)
        return (normed * self.scale[...] + self.bias[...]).astype(x.dtype)


class RmsNorm(nnx.Module):
    """Mean square one along the last axis in float32, then a learned scale.

    Source: arXiv:1910.07467, eq. 4.
    """

    def __init__(self, config: Config, axis: str = 'd') -> None:
        """Starts as the identity on a normalised input."""
        self.eps = config.norm_eps
        self.scale = nnx.Param(jnp.ones(config.sizes[axis]), axes=axis)

    def __call__(self, x: Float[Array, '*a']) -> Float[Array, '*a']:
        """`x`, normalised, in its own dtype."""
        wide = x.astype(jnp.float32)
        normed = wide * jax.lax.rsqrt((wide * wide).mean(axis=-1, keepdims=True) + self.eps)
        return (normed * self.scale[...]).astype(x.dtype)


class Mlp(nnx.Module):
    """Two products with the tanh form of GELU (`gelu_new`) between them."""

    def __init__(self, config: Config, rngs: nnx.Rngs, *, bias: bool) -> None:
        """Builds both products."""
        self.up = Einsum('btd,df->btf', config, rngs, bias=bias)
        self.down = Einsum('btf,fd->btd', config, rngs, bias=bias)

    def __call__(self, x: Float[Array, 'b t d']) -> Float[Array, 'b t d']:
        """The transformed `x`."""
        return self.down(jax.nn.gelu(self.up(x), approximate=True))


class GatedMlp(nnx.Module):
    """The product of a gate and a branch of their own, joined by `activation`, then a product down.

    Source: arXiv:2002.05202, eq. 6 (with SiLU: SwiGLU).
    """

    def __init__(
        self,
        config: Config,
        rngs: nnx.Rngs,
        activation: Callable[[Array, Array], Array],
        *,
        bias: bool,
        down_std: float | None = None,
    ) -> None:
        """Builds the three products.

        Args:
            activation: from gate and branch to what the last product takes.
            down_std: the standard deviation of the last kernel; by default `config.init_std`.
        """
        self.gate = Einsum('btd,df->btf', config, rngs, bias=bias)
        self.up = Einsum('btd,df->btf', config, rngs, bias=bias)
        self.down = Einsum('btf,fd->btd', config, rngs, bias=bias, std=down_std)
        self.activation = activation

    def __call__(self, x: Float[Array, 'b t d']) -> Float[Array, 'b t d']:
        """The transformed `x`."""
        return self.down(self.activation(self.gate(x), self.up(x)))


class Ends(nnx.Module):
    """What lies below and above the stack: embedding, last norm and head.

    A tied head has no kernel of its own and multiplies by the embedding's.
    """

    def __init__(
        self,
        config: Config,
        rngs: nnx.Rngs,
        norm: type,
        *,
        bias: bool = False,
        tied: bool = False,
    ) -> None:
        """Builds the three."""
        self.embed = Embed(config, rngs)
        self.final_norm = norm(config)
        if not tied:
            self.head = Einsum('btd,dv->btv', config, rngs, bias=bias, wide=True)
        self.dropout = config.embed_dropout

    def enter(self, tokens: Int[Array, 'b t'], key: Key[Array, ''] | None) -> Float[Array, 'b t d']:
        """What the first layer takes."""
        return dropout(self.embed(tokens), self.dropout, key)

    def logits(self, x: Float[Array, 'b t d']) -> Float[Array, 'b t v']:
        """Scores of the next token in float32, from the last norm's output."""
        if hasattr(self, 'head'):
            return self.head(x)
        return product('btd,vd->btv', x, self.embed.kernel.get_value(), wide=True)


def gegelu(gate: Float[Array, '*a'], up: Float[Array, '*a'], *, limit: float) -> Float[Array, '*a']:
    """`gate * sigmoid(1.702 gate) * (up + 1)`, the gate clamped from above, `up` on both sides.

    Infinities are not clamped.
    Source: modeling_phi3_small.py of microsoft/Phi-3-small-8k-instruct (`gegelu`).
    """
    gate = jnp.where(jnp.isinf(gate), gate, jnp.minimum(gate, limit))
    up = jnp.where(jnp.isinf(up), up, jnp.clip(up, -limit, limit))
    return gate * jax.nn.sigmoid(1.702 * gate) * (up + 1)


def product(equation: str, x: Array, kernel: Array | Packed, *, wide: bool = False) -> Array:
    """The einsum of `x` and `kernel`, however it is stored; float32 if `wide`."""
    if isinstance(kernel, Packed):
        return kernel.product(x, wide=wide)
    return (_wide_einsum if wide else jnp.einsum)(equation, x, kernel)


def dropout(x: Float[Array, '*a'], rate: float, key: Key[Array, ''] | None) -> Float[Array, '*a']:
    """`x` with each entry zero at probability `rate`, the rest scaled up; `key=None` is `x`."""
    if key is None or not rate:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def fold_in(key: Key[Array, ''] | None, data: int | Int[Array, '']) -> Key[Array, ''] | None:
    """The key of branch `data`; no key has no branches."""
    return None if key is None else jax.random.fold_in(key, data)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _wide_einsum(equation: str, x: Array, kernel: Array) -> Array:
    """An einsum with a float32 result whose gradients are products in the kernel's own dtype.

    Without the rule the float32 cotangent would widen both products of the backward pass.
    """
    return jnp.einsum(equation, x, kernel, preferred_element_type=jnp.float32)


def _wide_einsum_forward(equation: str, x: Array, kernel: Array) -> tuple[Array, tuple]:
    return _wide_einsum(equation, x, kernel), (x, kernel)


def _wide_einsum_backward(equation: str, kept: tuple, gradient: Array) -> tuple[Array, Array]:
    x, kernel = kept
    inputs, kernel_axes, output = equation.replace('->', ',').split(',')
    gradient = gradient.astype(kernel.dtype)
    return (
        jnp.einsum(f'{output},{kernel_axes}->{inputs}', gradient, kernel).astype(x.dtype),
        jnp.einsum(f'{inputs},{output}->{kernel_axes}', x, gradient),
    )


_wide_einsum.defvjp(_wide_einsum_forward, _wide_einsum_backward)
