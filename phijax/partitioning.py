"""Where arrays live: axis name -> mesh axis, for parameters, moments, batches and activations."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from phijax.models import decoder

MESH_AXES = ('data', 'fsdp', 'tensor')
ROWS = ('data', 'fsdp')

# The one sharding table. `d` is cut for storage only: a layer gathers it before it is used.
_STORED = {'d': 'fsdp', 'n': 'tensor', 'k': 'tensor', 'f': 'tensor', 'v': 'tensor'}
_WHOLE = {name: axis for name, axis in _STORED.items() if axis != 'fsdp'}
_ACTIVATIONS: dict[str, Any] = {
    'b': ROWS,
    'n': 'tensor',
    'k': 'tensor',
    'f': 'tensor',
    'v': 'tensor',
}


def make_mesh(shape: Sequence[int], devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of axes `data, fsdp, tensor` over all devices, or over those given."""
    return jax.make_mesh(shape, MESH_AXES, axis_types=(AxisType.Auto,) * 3, devices=devices)


def layout(mesh: Mesh, axes: Any, sizes: dict[str, int], *, gathered: bool = False) -> Any:
    """A sharding for each array of `axes`, a tree of axis names such as `ldnh`.

    An axis that its mesh axis does not divide stays whole, and so does a vector along `d`.

    Args:
        gathered: without the `fsdp` cut, as ZeRO-2 keeps parameters.
    """
    rules = _WHOLE if gathered else _STORED

    def sharding(names: str) -> NamedSharding:
        cut = rules if len(names.lstrip('l')) > 1 else _WHOLE
        parts = [_divides(mesh, cut.get(name), sizes[name]) for name in names]
        return NamedSharding(mesh, PartitionSpec(*parts))

    return jax.tree.map(sharding, axes)


def layout_like(mesh: Mesh, tree: Any, params_layout: Any) -> Any:
    """A sharding for each leaf of `tree`: that of the parameter whose path ends its own path.

    So an optimizer's moments live with their parameters, whatever the optimizer calls them, and
    what belongs to no parameter is replicated.
    """
    known = {
        _path(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(params_layout)[0]
    }

    def sharding(path: tuple, leaf: Any) -> NamedSharding:
        names = _path(path)
        tails = (names[start:] for start in range(len(names)))
        found = next((known[tail] for tail in tails if tail in known), None)
        return found if found is not None and leaf.ndim else replicated(mesh)

    return jax.tree_util.tree_map_with_path(sharding, tree)


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def rows(mesh: Mesh) -> NamedSharding:
    """The rows of a batch over `data` and `fsdp`."""
    return NamedSharding(mesh, PartitionSpec(ROWS))


def num_row_shards(mesh: Mesh) -> int:
    """How many parts the rows of a batch are cut into."""
    return mesh.shape['data'] * mesh.shape['fsdp']


@contextlib.contextmanager
def activations(mesh: Mesh) -> Iterator[None]:
    """Within it, traced models keep their activations cut by rows and by heads, MLP and vocabulary.

    Without it the compiler may follow the storage of the parameters and cut activations along `d`.
    """

    def constrain(x: jax.Array, names: str) -> jax.Array:
        sizes = dict(zip(names, x.shape, strict=True))
        parts = [_divides(mesh, _ACTIVATIONS.get(name), sizes[name]) for name in names]
        sharding = NamedSharding(mesh, PartitionSpec(*parts))
        return jax.lax.with_sharding_constraint(x, sharding)

    token = decoder.constrain.set(constrain)
    try:
        yield
    finally:
        decoder.constrain.reset(token)


def _divides(mesh: Mesh, axis: str | tuple[str, ...] | None, size: int) -> Any:
    if axis is None:
        return None
    names = (axis,) if isinstance(axis, str) else axis
    parts = int(np.prod([mesh.shape[name] for name in names]))
    return axis if parts > 1 and size % parts == 0 else None


def _path(path: tuple) -> tuple[str, ...]:
    return tuple(str(getattr(key, 'key', getattr(key, 'name', key))) for key in path)
