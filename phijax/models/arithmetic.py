"""Counts of a configuration: parameters, floating-point operations, bytes. No array is made.

Everything follows from the names of the axes and their sizes. A product of `a x b` with `b x c`
is `2 a b c` operations; sums, norms and activations are left out, as is usual.
"""

import math

import jax
import jax.numpy as jnp

from phijax.models.attention import block_length
from phijax.models.configs import Config
from phijax.models.decoder import axes

_FLOAT32_BYTES = 4


def count_parameters(config: Config) -> int:
    """Number of parameters, the embedding and the head included."""
    return sum(size for _, _, size in _arrays(config))


def count_matmul_parameters(config: Config) -> int:
    """Number of parameters that multiply every token: the kernels, but for the embedding table."""
    return sum(size for path, _, size in _arrays(config) if _multiplies(path))


def flops(
    config: Config, batch: int, length: int, *, training: bool = True, causal: bool = True
) -> int:
    """Operations that the model needs for `batch` rows of `length` tokens: the numerator of MFU.

    One step when `training` (the backward pass is twice the forward pass; what is computed again
    to save memory does not count), otherwise one forward pass with logits at every position.

    Source: arXiv:2204.02311, appendix B (6 N + 12 L H Q T per token).
    Deviation: attention counts half, as half of the scores are masked; `causal=False` is PaLM's.

    Args:
        causal: count only the scores that a causal model sees.
    """
    pairs = batch * length * length
    attention = 2 * _attention_product(config, pairs // 2 if causal else pairs)
    forward = 2 * count_matmul_parameters(config) * batch * length + attention
    return 3 * forward if training else forward


def executed_flops(config: Config, batch: int, length: int, *, training: bool = True) -> int:
    """Operations that the compiled program runs: one gradient when `training`, else one forward.

    Unlike `flops` it has the scores that blocked attention computes beyond the causal half, those
    that its backward pass computes again, and what `config.remat` computes again. Where the stack
    is unrolled, XLA finds that the scores were computed before and leaves one product out.
    """
    tokens = batch * length
    product = _attention_product(config, batch * _computed_pairs(length))
    kernels = 2 * count_matmul_parameters(config) * tokens
    if not training:
        return kernels + 2 * product
    again = 2 * _recomputed_parameters(config) * tokens
    # Forward: scores and sum of values. Backward: scores again and four gradients. With remat
    # the forward two run again, and share their scores with the backward pass.
    products = 7 if config.remat == 'none' else 8
    return 3 * kernels + again + products * product


def parameter_bytes(config: Config) -> int:
    """Bytes of the float32 parameters."""
    return _FLOAT32_BYTES * count_parameters(config)


def moment_bytes(config: Config) -> int:
    """Bytes of Adam's two float32 moments."""
    return 2 * parameter_bytes(config)


def cache_bytes(config: Config, batch: int, length: int) -> int:
    """Bytes of the cache of keys and values for `length` positions of `batch` rows."""
    entries = 2 * math.prod(config.sizes[axis] for axis in 'lkh') * batch * length
    return entries * jnp.dtype(config.dtype).itemsize + batch * jnp.dtype(jnp.int32).itemsize


def _arrays(config: Config) -> list[tuple[str, str, int]]:
    """Path, names of the axes and number of entries of each array of `params`."""
    leaves = jax.tree.leaves_with_path(axes(config))
    return [
        (
            jax.tree_util.keystr(path, simple=True, separator='.'),
            names,
            math.prod(config.sizes[axis] for axis in names),
        )
        for path, names in leaves
    ]


def _multiplies(path: str) -> bool:
    return path.endswith('.kernel') and path != 'embed.kernel'


def _recomputed_parameters(config: Config) -> int:
    """Those whose products the backward pass runs again.

    With `full` they are the kernels of the blocks, but for those that write to the residual
    stream (their last axis is `d`): a sum needs none of its terms to be differentiated.
    """
    if config.remat != 'full':
        return 0
    inside = [a for a in _arrays(config) if a[0].startswith('blocks.') and _multiplies(a[0])]
    return sum(size for _, names, size in inside if not names.endswith('d'))


def _attention_product(config: Config, pairs: int) -> int:
    """Operations of one product of all heads and layers over `pairs` of query and key."""
    return 2 * math.prod(config.sizes[axis] for axis in 'lnh') * pairs


def _computed_pairs(length: int) -> int:
    """Pairs of query and key in one row whose score blocked attention computes."""
    block = block_length(length)
    starts = range(0, length, block)
    ends = [min(start + block, length) for start in starts]
    return sum((end - start) * end for start, end in zip(starts, ends, strict=True))
