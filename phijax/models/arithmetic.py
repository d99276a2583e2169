"""Counts of a configuration: parameters, floating-point operations, bytes. No array is made.

Everything follows from the names of the axes and their sizes. A product of `a x b` with `b x c`
is `2 a b c` operations; sums, norms and activations are left out, as is usual.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from phijax.models.cache import store_shapes
from phijax.models.configs import Config, Reach
from phijax.models.decoder import axes
from phijax.models.tiles import computed_pairs, visible_pairs

_FLOAT32_BYTES = 4


def count_parameters(config: Config) -> int:
    """Number of parameters, the embedding and the head included."""
    return sum(size for _, _, size in _arrays(config))


def count_matmul_parameters(config: Config) -> int:
    """Number of parameters that multiply every token: the kernels.

    The embedding's table, which is looked up, is one of them where it is the head too.
    """
    arrays = _arrays(config)
    tied = not any(path.startswith('head.') for path, _, _ in arrays)
    return sum(size for path, _, size in arrays if _multiplies(path, tied))


def flops(
    config: Config, batch: int, length: int, *, training: bool = True, causal: bool = True
) -> int:
    """Operations that the model needs for `batch` rows of `length` tokens: the numerator of MFU.

    One step when `training` (the backward pass is twice the forward pass; what is computed again
    to save memory does not count), otherwise one forward pass with logits at every position.

    Source: arXiv:2204.02311, appendix B (6 N + 12 L H Q T per token).
    Deviation: attention counts half, as half of the scores are masked, and less where a window or
    a sparse pattern hides more; `causal=False` is PaLM's.

    Args:
        causal: count only the scores that the model sees.
    """
    pairs = length * length * config.num_layers
    if causal:
        pairs = _of_layers(config, lambda reach: min(length**2 // 2, visible_pairs(length, reach)))
    attention = 2 * _attention_product(config, batch * pairs)
    forward = 2 * count_matmul_parameters(config) * batch * length + attention
    return 3 * forward if training else forward


def executed_flops(config: Config, batch: int, length: int, *, training: bool = True) -> int:
    """Operations that the compiled program runs: one gradient when `training`, else one forward.

    Unlike `flops` it has the scores that blocked attention computes beyond the causal half, those
    that its backward pass computes again, and what `config.remat` computes again. Where the stack
    is unrolled, XLA finds that the scores were computed before and leaves one product out.
    """
    tokens = batch * length
    pairs = _of_layers(config, lambda reach: computed_pairs(length, reach))
    product = _attention_product(config, batch * pairs)
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
    shapes = [
        shape for reach in config.pattern for shape in store_shapes(config, reach, length).values()
    ]
    entries = sum(map(math.prod, shapes)) * config.num_layers // len(config.pattern) * batch
    counters = jnp.dtype(jnp.int32).itemsize + jnp.dtype(bool).itemsize
    return entries * jnp.dtype(config.dtype).itemsize + batch * counters


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


def _multiplies(path: str, tied: bool = False) -> bool:
    return path.endswith('.kernel') and (tied or path != 'embed.kernel')


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
    """Operations of one product of all heads over `pairs` of query and key of all layers."""
    return 2 * math.prod(config.sizes[axis] for axis in 'nh') * pairs


def _of_layers(config: Config, count: Callable[[Reach], int]) -> int:
    """The sum over layers of what `count` says of each one's reach."""
    return sum(map(count, config.pattern)) * config.num_layers // len(config.pattern)
