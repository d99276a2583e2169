"""Parameters and the tensors of a file that hold them, by one table of names for both directions.

The axes of a tensor are written in the letters of the models (`nh,d` is a matrix of n*h rows and d
columns), so every transpose and reshape follows from comparing them with the parameter's (`ldnh`).
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phijax import models
from phijax.errors import InputError
from phijax.interop.fields import Fields

# Module of the parameters -> module in the file and axes of its weight. The bias has the axes of
# the weight's rows. Modules that share a name are the rows of one tensor, in the table's order: all
# rows of the first, then all of the second; with `k:` before the axes, those of the first `k` of
# each, then those of the second `k`, and so on; `4:` is four such shares. An `H` is `h` with each
# rotated feature beside the one that it is paired with.
Names = Mapping[str, tuple[str, str]]

_SUFFIXES = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """How one family of models is written in Hugging Face directories, or in GGUF files.

    Attributes:
        readers: from a `model_type` to the function that reads such a config.json; in GGUF, from an
            architecture to the function that reads its settings.
        write: the config.json, or the settings, of a configuration.
        names: the tables of names in use; `save` writes the first. `{layer}` in a name counts the
            layers from 0, `{after}` from 1, and `{end}` is the number of layers plus 1.
        ignored: ends of the names of tensors that hold nothing learned and are not read.
    """

    readers: Mapping[str, Callable[[Fields], models.Config]]
    write: Callable[[Any], dict[str, Any]]
    names: tuple[Names, ...]
    ignored: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """One parameter of one layer: all rows of a tensor, or some.

    Attributes:
        path: the parameter, such as `blocks.attention.query.kernel`.
        layer: its place on the parameter's axis `l`; None for a parameter that has none.
        axes: of the parameter, without `l`.
        groups: of the tensor, each a product of axes.
        sizes: the length of each axis.
        turns: in how many turns the pieces of a tensor give rows, each an equal share.
    """

    path: str
    layer: int | None
    axes: str
    groups: tuple[str, ...]
    sizes: Mapping[str, int]
    turns: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor's rows."""
        return tuple(math.prod(self._lengths(group)) for group in self.groups)

    def pack(self, array: np.ndarray) -> np.ndarray:
        """The parameter as rows of the tensor."""
        order = ''.join(self.groups)
        array = array.transpose([self.axes.index(axis) for axis in order.lower()])
        if 'H' in order:
            array = array.take(np.argsort(self._halves()), axis=order.index('H'))
        return array.reshape(self.shape)

    def unpack(self, rows: np.ndarray) -> np.ndarray:
        """The rows of the tensor as the parameter."""
        order = ''.join(self.groups)
        array = rows.reshape(self._lengths(order))
        if 'H' in order:
            array = array.take(self._halves(), axis=order.index('H'))
        return array.transpose([order.lower().index(axis) for axis in self.axes])

    def _lengths(self, axes: str) -> list[int]:
        return [self.sizes[axis] for axis in axes.lower()]

    def _halves(self) -> np.ndarray:
        """The places among neighbouring pairs of the features of a head, in halves as here.

        Source: arXiv:2104.09864, sec. 3.4.2: feature 2i is paired with 2i + 1; here, see `rotary`.
        """
        features = np.arange(self.sizes['h'])
        rotated, rest = np.split(features, [self.sizes['r']])
        return np.concatenate([rotated.reshape(-1, 2).T.ravel(), rest])


Plan = Mapping[str, list[Piece]]


def plan(config: models.Config, names: Names) -> Plan:
    """The tensors of a file, by name, and the pieces that each is made of, layer by layer."""
    axes = flatten(models.axes(config))
    pieces: list[tuple[str, Piece]] = []
    for module, (name, groups) in names.items():
        for leaf in (leaf for leaf in _SUFFIXES if f'{module}.{leaf}' in axes):
            path = f'{module}.{leaf}'
            turn, _, letters = groups.rpartition(':')
            layers = range(config.num_layers) if axes[path][0] == 'l' else [None]
            for layer in layers:
                piece = Piece(
                    path=path,
                    layer=layer,
                    axes=axes[path].removeprefix('l'),
                    groups=tuple(letters.split(','))[: 1 if leaf == 'bias' else None],
                    sizes=config.sizes,
                    turns=_turns(turn, config),
                )
                pieces.append((f'{_fill(name, config, layer)}.{_SUFFIXES[leaf]}', piece))
    tensors: dict[str, list[Piece]] = {}
    for name, piece in sorted(
        pieces, key=lambda pair: -1 if pair[1].layer is None else pair[1].layer
    ):
        tensors.setdefault(name, []).append(piece)
    return tensors


def fit(
    source: object,
    config: models.Config,
    tables: Sequence[Names],
    found: Mapping[str, tuple[int, ...]],
    faults: Mapping[str, str],
) -> Plan:
    """The plan by the table that fits best, when it has exactly the tensors that were found.

    Args:
        source: where they were found, for the message.
        found: the shape of each tensor.
        faults: by tensor, what is wrong with it besides.

    Raises:
        InputError: tensors are unknown, missing or misshapen, or have `faults`; the message lists
            them all.
    """
    if config.num_layers > len(found):
        raise InputError(
            f'{source}: the settings have {config.num_layers} layers, but there are only '
            f'{len(found)} tensors'
        )
    plans = [plan(config, names) for names in tables if covers(config, names)]
    best = max(plans, key=lambda plan: len(plan.keys() & found.keys()))
    wrong = _misfits(best, found)
    wrong += [fault for name, fault in faults.items() if name in best]
    if wrong:
        raise InputError('\n  '.join([f'{source} does not hold this model:', *wrong]))
    return best


def covers(config: models.Config, names: Names) -> bool:
    """Whether the table has a name for every parameter of `config`."""
    return all(path.rpartition('.')[0] in names for path in flatten(models.axes(config)))


def shape(pieces: list[Piece]) -> tuple[int, ...]:
    """The shape of the tensor that is made of `pieces`."""
    return (sum(piece.shape[0] for piece in pieces), *pieces[0].shape[1:])


def shapes(config: models.Config) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter, by its path."""
    axes = flatten(models.axes(config))
    return {path: tuple(config.sizes[axis] for axis in names) for path, names in axes.items()}


def check(config: models.Config, leaves: Mapping[str, Any]) -> None:
    """Returns when flattened parameters are exactly those of `config`.

    Raises:
        InputError: some are unknown, missing or misshapen; the message lists them all.
    """
    expected = shapes(config)
    problems = [f'unknown: {path}' for path in leaves if path not in expected]
    problems += [f'missing: {path}' for path in expected if path not in leaves]
    for path in leaves.keys() & expected.keys():
        if leaves[path].shape != expected[path]:
            problems.append(f'misshapen: {path} is {leaves[path].shape}, not {expected[path]}')
    if problems:
        raise InputError('\n  '.join(['params are not those of the configuration:', *problems]))


def rounded(name: str, tensor: np.ndarray, dtype: str) -> np.ndarray:
    """The tensor in another dtype.

    Raises:
        InputError: `dtype` cannot hold one of its weights.
    """
    with np.errstate(over='ignore'):
        result = tensor.astype(jnp.dtype(dtype))
    if np.isfinite(tensor).all() and not np.isfinite(result).all():
        largest = np.abs(tensor).max()
        raise InputError(f'{name} has a weight of magnitude {largest}, too large for {dtype}')
    return result


def empty(config: models.Config) -> dict[str, np.ndarray]:
    """Flattened float32 parameters whose values `unpack` is to write."""
    return {path: np.empty(shape, np.float32) for path, shape in shapes(config).items()}


def pack(pieces: list[Piece], params: Mapping[str, Any]) -> np.ndarray:
    """The tensor that is made of `pieces`, out of flattened parameters."""
    shares = []
    for piece in pieces:
        array = params[piece.path]
        rows = piece.pack(np.asarray(array if piece.layer is None else array[piece.layer]))
        shares.append(rows.reshape(piece.turns, -1, *rows.shape[1:]))
    tensor = shares[0] if len(shares) == 1 else np.concatenate(shares, axis=1)
    return tensor.reshape(-1, *tensor.shape[2:])


def unpack(pieces: list[Piece], tensor: np.ndarray, params: Mapping[str, np.ndarray]) -> None:
    """Writes `tensor` into the places of its pieces in flattened parameters."""
    turns = pieces[0].turns
    bounds = np.cumsum([piece.shape[0] // turns for piece in pieces])[:-1]
    shares = np.split(tensor.reshape(turns, -1, *tensor.shape[1:]), bounds, axis=1)
    for piece, rows in zip(pieces, shares, strict=True):
        place = ... if piece.layer is None else piece.layer
        params[piece.path][place] = piece.unpack(rows)


def flatten(tree: Any) -> dict[str, Any]:
    """The leaves of nested dicts by their path, its parts joined by dots."""
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator='.'): leaf for path, leaf in leaves}


def unflatten(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The nested dicts that `flatten` took apart."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *parents, last = path.split('.')
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = leaf
    return tree


def _turns(turn: str, config: models.Config) -> int:
    if not turn:
        return 1
    return int(turn) if turn.isdecimal() else config.sizes[turn]


def _misfits(plan: Plan, found: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The tensors that are unknown, missing or misshapen."""
    wrong = [f'unknown: {name}' for name in found if name not in plan]
    wrong += [f'missing: {name}' for name in plan if name not in found]
    for name, pieces in plan.items():
        if name in found and found[name] != shape(pieces):
            wrong.append(f'misshapen: {name} is {found[name]}, the model needs {shape(pieces)}')
    return wrong


def _fill(name: str, config: models.Config, layer: int | None) -> str:
    after = None if layer is None else layer + 1
    return name.format(layer=layer, after=after, end=config.num_layers + 1)
