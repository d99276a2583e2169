"""The arrays of a checkpoint: trees of leaves to files and back. The only user of orbax."""

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from phijax.checkpoint import manifest

# What goes wrong in orbax is raised, and told once by the checkpointer. Without this it is told
# again with a traceback, also for each other write of a save that failed: those end after orbax has
# closed their event loop.
for _name in ('absl', 'asyncio'):
    logging.getLogger(_name).addFilter(
        lambda record: '/orbax/' not in f'{record.pathname} {record.getMessage()}'
    )
_unraisable = sys.unraisablehook


def _tell_unraisable(unraisable: Any) -> None:
    if str(unraisable.exc_value) != 'Event loop is closed':
        _unraisable(unraisable)


sys.unraisablehook = _tell_unraisable


def named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by name, such as `params.embed.kernel`, in the tree's order.

    Raises:
        ValueError: two leaves have one name.
    """
    pairs = jax.tree_util.tree_flatten_with_path(tree)[0]
    leaves = {jax.tree_util.keystr(key, simple=True, separator='.'): leaf for key, leaf in pairs}
    if len(leaves) != len(pairs):
        raise ValueError(f'the {len(pairs)} leaves of a state have only {len(leaves)} names')
    return leaves


def specs(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Shape and dtype of each leaf, as in a manifest."""
    shaped = {name: x if hasattr(x, 'dtype') else np.asarray(x) for name, x in leaves.items()}
    return {name: {'shape': [*x.shape], 'dtype': str(x.dtype)} for name, x in shaped.items()}


def storable(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves as arrays of jax or numpy, which orbax copies before a save returns.

    Raises:
        ValueError: a leaf is not made of numbers.
    """
    arrays = {name: x if isinstance(x, jax.Array) else np.asarray(x) for name, x in leaves.items()}
    for name, array in arrays.items():
        if getattr(array.dtype, 'kind', 'O') not in 'biufcV':
            raise ValueError(f'{name} is {array.dtype}: only arrays of numbers can be saved')
    return arrays


class Writer:
    """Writes states in the background, one at a time."""

    def __init__(self) -> None:
        """Makes it ready; no file is touched yet."""
        self._orbax = ocp.AsyncCheckpointer(_handler())

    def start(self, path: Path, leaves: Mapping[str, Any]) -> None:
        """Returns when the leaves are copied off the devices."""
        self._orbax.save(path, args=_arguments(leaves, ocp.args.PyTreeSave))

    def finish(self) -> None:
        """Returns when they are in their files, or raises what failed."""
        self._orbax.wait_until_finished()


def load(path: Path, abstract: Any) -> Any:
    """A tree like `abstract`, of whose leaves shape, dtype and sharding count, from its files."""
    leaves = named(abstract)
    with ocp.Checkpointer(_handler()) as reader:
        groups = reader.restore(path, args=_arguments(leaves, _restore))
    values = {name: value for group in groups.values() for name, value in group.items()}

    def like(name: str, leaf: Any) -> Any:
        is_number = isinstance(leaf, bool | int | float | np.generic)
        return type(leaf)(values[name][()]) if is_number else values[name]

    return jax.tree.unflatten(jax.tree.structure(abstract), map(like, leaves, leaves.values()))


def _arguments(leaves: Mapping[str, Any], make: Callable[[dict[str, Any]], Any]) -> Any:
    """Orbax's arguments for each group that has leaves."""
    groups: dict[str, dict[str, Any]] = {}
    for name, leaf in leaves.items():
        groups.setdefault(manifest.group_of(name), {})[name] = leaf
    return ocp.args.Composite(**{name: make(group) for name, group in groups.items()})


def _restore(leaves: dict[str, Any]) -> ocp.args.PyTreeRestore:
    first = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def target(leaf: Any) -> ocp.RestoreArgs:
        if not isinstance(leaf, jax.ShapeDtypeStruct | jax.Array):
            return ocp.RestoreArgs(restore_type=np.ndarray)
        return ocp.ArrayRestoreArgs(
            sharding=leaf.sharding or first, global_shape=leaf.shape, dtype=leaf.dtype
        )

    targets = {name: target(leaf) for name, leaf in leaves.items()}
    return ocp.args.PyTreeRestore(item=leaves, restore_args=targets)


def _handler() -> ocp.CompositeCheckpointHandler:
    """How orbax stores a state: not compressed, which halves the time both ways.

    Nor do replicas share the writing: for that, each array is sliced on the devices, which takes
    memory there and a compilation.
    """
    types = ocp.type_handlers
    devices = types.ArrayHandler(use_replica_parallel=False, enable_write_sharding_file=False)
    trees = ocp.PyTreeCheckpointHandler(
        use_compression=False,
        type_handler_registry=types.create_type_handler_registry(
            (jax.Array, devices), (np.ndarray, types.NumpyHandler())
        ),
    )
    registry = ocp.DefaultCheckpointHandlerRegistry()
    for group in manifest.GROUPS:
        registry.add(group, ocp.args.PyTreeSave, trees)
        registry.add(group, ocp.args.PyTreeRestore, trees)
    return ocp.CompositeCheckpointHandler(handler_registry=registry)
