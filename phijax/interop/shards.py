"""Tensors in safetensors files, one file or several with an index: read one by one, or written.

The only module that imports `safetensors`. Nothing in a directory is trusted: not the index, not
the headers, and files that need pickle are not opened at all.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save_file

from phijax.errors import InputError
from phijax.interop.fields import MissingFileError, read_json

SINGLE = 'model.safetensors'
INDEX = 'model.safetensors.index.json'
_PICKLED = ('.bin', '.pt', '.pth', '.ckpt', '.pkl')
_LARGEST_HEADER = 1 << 22  # room for 30,000 tensors


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor that is still on the disk; `dtype` is safetensors' name of it, such as `BF16`."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[dict[str, Tensor]]:
    """The tensors of a directory by name, which can be read while the context lasts.

    Raises:
        MissingFileError: there are no weights.
        InputError: the weights are pickled, or an index or a file is damaged or hostile.
    """
    tensors: dict[str, Tensor] = {}
    with contextlib.ExitStack() as stack:
        for file in _files(directory):
            for name, tensor in _open(stack, file).items():
                if name in tensors:
                    raise InputError(f'{name} is in both {tensors[name].file} and {file}')
                tensors[name] = tensor
        yield tensors


def write(
    directory: Path,
    sizes: Mapping[str, int],
    make: Callable[[str], np.ndarray],
    max_shard_bytes: float,
) -> None:
    """Writes the tensors `make(name)`, whose sizes in bytes are known, into as few files as may be.

    Only the tensors of one file are in memory at a time. A tensor that is larger than
    `max_shard_bytes` has a file of its own.
    """
    shards = _distribute(sizes, max_shard_bytes)
    files = [f'model-{i + 1:05}-of-{len(shards):05}.safetensors' for i in range(len(shards))]
    if len(shards) == 1:
        files = [SINGLE]
    for file, names in zip(files, shards, strict=True):
        _save({name: np.ascontiguousarray(make(name)) for name in names}, directory / file)
    if len(shards) > 1:
        places = {name: file for file, names in zip(files, shards, strict=True) for name in names}
        index = {'metadata': {'total_size': sum(sizes.values())}, 'weight_map': places}
        (directory / INDEX).write_text(json.dumps(index, indent=2) + '\n', encoding='utf-8')


def _save(tensors: dict[str, np.ndarray], path: Path) -> None:
    path.touch()
    mode = path.stat().st_mode
    save_file(tensors, path, metadata={'format': 'pt'})
    path.chmod(mode)  # the library leaves a file that only its owner can read


def _distribute(sizes: Mapping[str, int], max_shard_bytes: float) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    room = max_shard_bytes
    for name, size in sizes.items():
        if size > room and shards[-1]:
            shards.append([])
            room = max_shard_bytes
        shards[-1].append(name)
        room -= size
    return shards


def _files(directory: Path) -> list[Path]:
    if (directory / SINGLE).is_file():
        return [directory / SINGLE]
    if (directory / INDEX).is_file():
        return _indexed(directory / INDEX)
    pickled = sorted(path.name for path in directory.iterdir() if path.suffix in _PICKLED)
    if pickled:
        raise InputError(
            f'{directory} has its weights in {", ".join(pickled)}. Such files are pickled and can '
            'run any code when they are read, so phijax reads safetensors only; transformers '
            'writes those: AutoModelForCausalLM.from_pretrained(…).save_pretrained(…)'
        )
    raise MissingFileError(f'{directory} has no weights: neither {SINGLE} nor {INDEX}')


def _indexed(index: Path) -> list[Path]:
    """The files that an index names, each of them beside it."""
    places = read_json(index).get('weight_map')
    if not isinstance(places, dict) or not places:
        raise InputError(f'{index} has no weight_map of names and files')
    names = sorted({str(place) for place in places.values()})
    hostile = [name for name in names if not _is_plain(name)]
    if hostile:
        raise InputError(
            f'{index} must name .safetensors files beside it, got {", ".join(hostile)}'
        )
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise MissingFileError(f'{index} names files that are not there: {", ".join(missing)}')
    return [index.parent / name for name in names]


def _is_plain(name: str) -> bool:
    return name.endswith('.safetensors') and not set(name) & {'/', '\\', '\0'}


def _open(stack: contextlib.ExitStack, path: Path) -> dict[str, Tensor]:
    """The tensors of one file, after a look at its header."""
    try:
        _check_header(path)
        file = stack.enter_context(safetensors.safe_open(path, framework='numpy'))
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise InputError(f'{path} is not a sound safetensors file: {error}') from error
    return {
        name: Tensor(path.name, part.get_dtype(), tuple(part.get_shape()), _reader(file, name))
        for name, part in slices.items()
    }


def _reader(file: Any, name: str) -> Callable[[], np.ndarray]:
    return lambda: file.get_tensor(name)


def _check_header(path: Path) -> None:
    """Bounds what the library may parse, and finds names that occur twice, which it lets pass."""
    with path.open('rb') as file:
        length = int.from_bytes(file.read(8), 'little')
        if length > _LARGEST_HEADER:
            raise ValueError(
                f'its header claims {length} bytes; at most {_LARGEST_HEADER} are read'
            )
        json.loads(file.read(length), object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f'its header repeats {", ".join(repeated)}')
