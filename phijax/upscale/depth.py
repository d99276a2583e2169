"""More layers: which old layer each new one starts as, and the stack that follows from it."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

METHODS = ('gopher', 'stack', 'overlap', 'identity')
ROUNDINGS = ('half_up', 'half_even')

Params = dict[str, Any]


def layer_map(old: int, new: int, method: str, rounding: str = 'half_up') -> np.ndarray:
    """The old layer that each of `new` layers starts as.

    `gopher` spreads the copies evenly, each beside its original: `round(i / new * old)`, at most
    the last layer. The rounding of halves matters: 24 -> 32 repeats layers 2, 5, 8, ... with
    `half_up`, which is every third, and 2, 4, 8, 10, ... with `half_even`, which is what Python,
    NumPy and JAX round like. `identity` repeats the same layers as `half_up` does, for
    `deepen` to silence the copies. `stack` repeats the whole stack. `overlap` puts two copies of
    the stack on each other, without the last layers of the lower and the first of the upper.

    Source: Microsoft's talk on phi-2 at NeurIPS 2023 as the press reported it, which credits
    Gopher (arXiv:2112.11446, app. G.3.3); arXiv:2405.15319 (`stack`: G_stack); arXiv:2312.15166,
    sec. 2 (`overlap`: SOLAR's depth up-scaling, 32 -> 48).

    Raises:
        ValueError: the method or rounding is unknown, or the method cannot give so many layers.
    """
    if method not in METHODS or rounding not in ROUNDINGS:
        raise ValueError(
            f'depth.method must be one of {", ".join(METHODS)} and depth.rounding one of '
            f'{", ".join(ROUNDINGS)}, got {method!r} and {rounding!r}'
        )
    if new < old:
        raise ValueError(f'a model grows: num_layers must be at least {old}, got {new}')
    if method == 'stack':
        return np.arange(new) % old
    if method == 'overlap':
        return _overlap(old, new)
    rounded = 'half_up' if method == 'identity' else rounding
    return np.array([min(_round(Fraction(i * old, new), rounded), old - 1) for i in range(new)])


def copies(index: Sequence[int] | np.ndarray) -> np.ndarray:
    """Which entries of a layer map repeat an earlier one."""
    first = np.unique(index, return_index=True)[1]
    return ~np.isin(np.arange(len(index)), first)


def deepen(
    params: Params,
    axes: Params,
    index: Sequence[int] | np.ndarray,
    *,
    fan_in: Params | None = None,
    silent: Sequence[bool] | np.ndarray | None = None,
) -> Params:
    """`params` with the layers `index` of the stack, in that order.

    Arrays of NumPy give arrays of NumPy, those of JAX (also sharded) such of JAX.

    Args:
        axes: the axes of each array, as `models.axes` names them; `l` is that of the layers.
        fan_in: what each product sums over, as `models.fan_in` names it; needed for `silent`.
        silent: layers that start as the identity: what they add to the stream is zero, so the
            model computes what it did. Source: arXiv:1511.05641, sec. 2.3 (Net2DeeperNet).

    Raises:
        ValueError: `silent` without `fan_in`.
    """
    restack = restacker(axes, index, fan_in=fan_in, silent=silent)
    return jax.tree_util.tree_map_with_path(lambda path, x: restack(dotted(path), x), params)


def restacker(
    axes: Params,
    index: Sequence[int] | np.ndarray,
    *,
    fan_in: Params | None = None,
    silent: Sequence[bool] | np.ndarray | None = None,
) -> Callable[[str, Any], Any]:
    """`deepen` for one array at a time: from its path, such as `blocks.norm.scale`, and itself.

    Raises:
        ValueError: `silent` without `fan_in`.
    """
    order = np.asarray(index)
    quiet = np.zeros(len(order), bool) if silent is None else np.asarray(silent)
    if quiet.any() and fan_in is None:
        raise ValueError('layers can only be silent if fan_in says what each product sums over')
    stacked = {path for path, names in _leaves(axes) if names.startswith('l')}
    writers = _written(axes, fan_in) if quiet.any() else set()

    def restack(path: str, x: Any) -> Any:
        if path not in stacked:
            return x
        xp = np if isinstance(x, np.ndarray) else jnp
        layers = xp.take(x, order, axis=0)
        if path not in writers:
            return layers
        return xp.where(quiet.reshape(-1, *[1] * (x.ndim - 1)), xp.zeros((), x.dtype), layers)

    return restack


def _written(axes: Params, fan_in: Params | None) -> set[str]:
    return {path for path, writes in _leaves(_writers(axes, fan_in)) if writes}


def dotted(path: tuple[Any, ...]) -> str:
    """The path of a leaf as text, such as `blocks.norm.scale`."""
    return jax.tree_util.keystr(path, simple=True, separator='.')


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    return [(dotted(path), leaf) for path, leaf in jax.tree.leaves_with_path(tree)]


def _writers(axes: Any, fan_in: Any) -> Any:
    """Which arrays of a layer add to the stream: the products whose result lies along `d`."""
    if not isinstance(axes, dict) or fan_in is None:
        return False
    kernel = axes.get('kernel')
    if isinstance(kernel, str):
        summed = fan_in['kernel']
        writes = bool(summed) and 'd' in kernel and 'd' not in summed
        return dict.fromkeys(axes, writes)
    return {name: _writers(axes[name], fan_in[name]) for name in axes}


def _overlap(old: int, new: int) -> np.ndarray:
    if new % 2 or new > 2 * old:
        raise ValueError(
            f'depth.method=overlap joins two halves of at most {old} layers each: num_layers must '
            f'be even and in {old}..{2 * old}, got {new}'
        )
    half = new // 2
    return np.concatenate([np.arange(half), np.arange(old - half, old)])


def _round(value: Fraction, rounding: str) -> int:
    """Exact, where the halves of a product of floats may be lost."""
    return round(value) if rounding == 'half_even' else int(value + Fraction(1, 2))
