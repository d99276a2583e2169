"""Kernels stored in few bits. A product reads the bits: no kernel is ever there in full.

A kernel is seen as a matrix, from what a product sums over to its output channels.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32, Int
from jaxtyping import Int8 as Int8Array

GROUP = 32
LEVELS = 8

_static = dataclasses.field(metadata={'static': True})


@dataclasses.dataclass(frozen=True)
class Form:
    """How a matrix is a kernel again.

    Attributes:
        summed: sizes of the axes that a product sums over.
        output: sizes of its other axes.
        table: whether the summed axes are the last ones, as in a table of embeddings.
    """

    summed: tuple[int, ...]
    output: tuple[int, ...]
    table: bool

    def matrix(self, kernel: Array) -> Float[Array, '*l s o']:
        """The matrix of a kernel, or of a stack of them."""
        lead = kernel.shape[: kernel.ndim - len(self.summed) - len(self.output)]
        sizes = (math.prod(self.summed), math.prod(self.output))
        if self.table:
            return kernel.reshape(*lead, *sizes[::-1]).swapaxes(-1, -2)
        return kernel.reshape(*lead, *sizes)

    def kernel(self, matrix: Float[Array, '*l s o']) -> Array:
        """The kernel of a matrix, or a stack of kernels."""
        lead = matrix.shape[:-2]
        if self.table:
            return matrix.swapaxes(-1, -2).reshape(*lead, *self.output, *self.summed)
        return matrix.reshape(*lead, *self.summed, *self.output)


class Packed:
    """What takes the place of a kernel's array in `params`."""

    form: Form
    dtype: str

    def matrix(self) -> Float32[Array, '*l s o']:
        """What is stored, as a matrix of numbers, or a stack of them."""
        raise NotImplementedError

    def multiply(self, x: Float[Array, 'b t s']) -> Float32[Array, 'b t o']:
        """The product of `x` and the matrix."""
        raise NotImplementedError

    def product(self, x: Float[Array, 'b t *s'], *, wide: bool) -> Float[Array, 'b t *o']:
        """The product of `x` and the kernel, in the dtype of `x`, or float32 if `wide`."""
        y = self.multiply(x.reshape(*x.shape[:2], -1))
        return y.reshape(*x.shape[:2], *self.form.output).astype('float32' if wide else x.dtype)

    def unpacked(self) -> Float32[Array, '...']:
        """The kernel, or the stack of kernels, that is stored."""
        return self.form.kernel(self.matrix())

    def astype(self, dtype: str) -> 'Packed':
        """The same bits, read as `dtype` where they are looked up."""
        return dataclasses.replace(self, dtype=dtype)  # type: ignore[type-var]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Bytes(Packed):
    """A kernel in 8 bits: a row and a scale for each output channel.

    Attributes:
        values: int8, `(*l, o, s)`.
        scale: float32, `(*l, o)`.
    """

    values: Any
    scale: Any
    form: Form = _static
    dtype: str = dataclasses.field(default='float32', metadata={'static': True})

    def matrix(self) -> Float32[Array, '*l s o']:
        """What is stored, as a matrix of numbers, or a stack of them."""
        return (self.values * self.scale[..., None]).swapaxes(-1, -2)

    def multiply(self, x: Float[Array, 'b t s']) -> Float32[Array, 'b t o']:
        """The product of `x` and the matrix."""
        rows = self.values.astype(x.dtype)
        return jnp.einsum('bts,os->bto', x, rows, preferred_element_type=jnp.float32) * self.scale

    def rows(self, numbers: Int[Array, 'b t']) -> Float[Array, 'b t s']:
        """The rows of a table."""
        return (self.values[numbers] * self.scale[numbers][..., None]).astype(self.dtype)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Nibbles(Packed):
    """A kernel in 4 bits: a scale for every 32 numbers that one output channel sums over.

    Byte i of a column has row i of the first half of the matrix in its low bits, and row i of the
    second half in its high bits, so that each half is a product of its own. The rows are filled up
    with zeros to a multiple of 64.

    Attributes:
        pairs: uint8, `(*l, s / 2, o)`.
        scale: float32, `(*l, s / 32, o)`.
    """

    pairs: Any
    scale: Any
    form: Form = _static
    dtype: str = dataclasses.field(default='float32', metadata={'static': True})

    def matrix(self) -> Float32[Array, '*l s o']:
        """What is stored, as a matrix of numbers, or a stack of them."""
        whole = jnp.concatenate(self._halves(), axis=-2)
        return whole[..., : math.prod(self.form.summed), :]

    def multiply(self, x: Float[Array, 'b t s']) -> Float32[Array, 'b t o']:
        """The product of `x` and the matrix."""
        size = self.pairs.shape[-2]
        x = jnp.pad(x, ((0, 0), (0, 0), (0, 2 * size - x.shape[-1])))
        low, high = (
            jnp.einsum('bts,so->bto', part, half.astype(x.dtype), preferred_element_type='float32')
            for part, half in zip((x[..., :size], x[..., size:]), self._halves(), strict=True)
        )
        return low + high

    def _halves(self) -> list[Float32[Array, '*l s o']]:
        signed = jax.lax.bitcast_convert_type(self.pairs, jnp.int8)
        scales = jnp.split(jnp.repeat(self.scale, GROUP, axis=-2), 2, axis=-2)
        # A shift to the right keeps the sign.
        return [x * s for x, s in zip(((signed << 4) >> 4, signed >> 4), scales, strict=True)]


def pack_bytes(kernel: Float[Array, '...'], form: Form) -> Bytes:
    """`kernel` in 8 bits: each number is off by half a scale at most.

    The scale of an output channel is its largest magnitude over 127.
    """
    rows = form.matrix(kernel).swapaxes(-1, -2)
    scale = jnp.abs(rows).max(axis=-1) / 127
    return Bytes(jnp.round(_divided(rows, scale[..., None])).astype(jnp.int8), scale, form)


def pack_nibbles(kernel: Float[Array, '...'], form: Form) -> Nibbles:
    """`kernel` in 4 bits, -8 to 7 times the scale of its group.

    Of some scales around the largest magnitude over 7 or 8, with either sign, a group has the one
    that leaves the least squared error. Our choice; the levels are those of llama.cpp's Q4_0.
    """
    matrix = form.matrix(kernel)
    rest = -matrix.shape[-2] % (2 * GROUP)
    matrix = jnp.pad(matrix, [(0, 0)] * (matrix.ndim - 2) + [(0, rest), (0, 0)])
    groups = matrix.reshape(*matrix.shape[:-2], -1, GROUP, matrix.shape[-1])
    scale = _best_scale(groups)
    levels = _levels(groups, scale).reshape(matrix.shape)
    low, high = jnp.split(jax.lax.bitcast_convert_type(levels, jnp.uint8), 2, axis=-2)
    return Nibbles((low & 15) | (high << 4), scale[..., 0, :], form)


def _best_scale(groups: Float[Array, '*l u g o']) -> Float32[Array, '*l u 1 o']:
    largest = jnp.abs(groups).max(axis=-2, keepdims=True)

    def better(best: tuple[Array, Array], divisor: Array) -> tuple[tuple[Array, Array], None]:
        scale = largest / divisor
        error = ((_levels(groups, scale) * scale - groups) ** 2).sum(axis=-2, keepdims=True)
        return jax.tree.map(
            lambda new, old: jnp.where(error < best[1], new, old), (scale, error), best
        ), None

    start = (largest, jnp.full(largest.shape, jnp.inf))
    divisors = jnp.array([sign * x for x in (8, 7, 7.5, 8.5, 9) for sign in (1, -1)])
    return jax.lax.scan(better, start, divisors)[0][0]


def _levels(groups: Float[Array, '*l u g o'], scale: Array) -> Int8Array[Array, '*l u g o']:
    levels = jnp.round(_divided(groups, scale))
    return jnp.clip(levels, -LEVELS, LEVELS - 1).astype(jnp.int8)


def _divided(x: Array, scale: Array) -> Array:
    return jnp.where(scale == 0, 0, x / jnp.where(scale == 0, 1, scale))
