"""Weight-only quantisation: `params` whose kernels take a quarter or an eighth of the memory."""

from typing import Any

import jax

from phijax.models.configs import Config
from phijax.models.decoder import Params, axes, fan_in
from phijax.models.packed import Form, Packed, pack_bytes, pack_nibbles

BITS = (8, 4)


def quantise(config: Config, params: Params, bits: int) -> Params:
    """`params` with packed kernels, for `models.apply`; norms and biases stay float32.

    Embedding and head have 8 bits in either case: all layers meet in them, and they are few.
    Nothing can be learned with the result: it is for generation and scores.

    Args:
        bits: of the kernels of the layers, 8 or 4.

    Raises:
        ValueError: another number of bits.
    """
    if bits not in BITS:
        raise ValueError(f'bits must be one of {", ".join(map(str, BITS))}, got {bits}')
    names, sums = axes(config), fan_in(config)
    layers = _packed(config, params['blocks'], names['blocks'], sums['blocks'], bits)
    ends = {
        name: _packed(config, part, names[name], sums[name], bits=8)
        for name, part in params.items()
        if name != 'blocks'
    }
    return ends | {'blocks': layers}


def dequantise(params: Params) -> Params:
    """`params` with every kernel that was packed as an array of float32 again."""
    is_packed = lambda x: isinstance(x, Packed)  # noqa: E731
    return jax.tree.map(lambda x: x.unpacked() if is_packed(x) else x, params, is_leaf=is_packed)


def num_bytes(params: Params) -> int:
    """The memory that `params` take."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(params))


def _packed(config: Config, part: Any, names: Any, sums: Any, bits: int) -> Any:
    """One part of `params` with its kernels packed, and all else as it was."""
    packed = {}
    for name, value in part.items():
        if isinstance(value, dict):
            packed[name] = _packed(config, value, names[name], sums[name], bits)
        elif name == 'kernel':
            pack = jax.jit(pack_bytes if bits == 8 else pack_nibbles, static_argnums=1)
            packed[name] = pack(value, _form(config, names[name], sums[name]))
        else:
            packed[name] = value
    return packed


def _form(config: Config, names: str, summed: str) -> Form:
    """The form of a kernel; a table that is looked up has the axis that a head sums over last."""
    letters = names.removeprefix('l')
    table = not summed
    summed = summed or letters[-1]
    sizes = config.sizes
    return Form(
        summed=tuple(sizes[x] for x in letters if x in summed),
        output=tuple(sizes[x] for x in letters if x not in summed),
        table=table,
    )
