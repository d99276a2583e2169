"""What a GGUF file holds: settings, and tensors that are read one by one.

The header is parsed here and not by the library's reader, which maps the file and trusts it. Every
count, length and offset is checked against the bytes that are there before anything is allocated.
"""

import dataclasses
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import gguf
import numpy as np

from phijax.errors import InputError
from phijax.interop.fields import MissingFileError

MAGIC = b'GGUF'
VERSIONS = (2, 3)
_BIG_ENDIAN = tuple(version << 24 for version in (1, *VERSIONS))

# Far above what any model has; they bound what a header can make this module allocate.
_MOST_SETTINGS = 1 << 12
_MOST_TENSORS = 1 << 16
_MOST_ITEMS = 1 << 22
_MOST_AXES = 4
_LARGEST_ALIGNMENT = 1 << 16
_LONGEST_NAME = 1 << 10
_LONGEST_TEXT = 1 << 24

_KINDS = gguf.GGUFValueType
_NUMBERS = {
    _KINDS.UINT8: 'B',
    _KINDS.INT8: 'b',
    _KINDS.UINT16: 'H',
    _KINDS.INT16: 'h',
    _KINDS.UINT32: 'I',
    _KINDS.INT32: 'i',
    _KINDS.UINT64: 'Q',
    _KINDS.INT64: 'q',
    _KINDS.FLOAT32: 'f',
    _KINDS.FLOAT64: 'd',
    _KINDS.BOOL: '?',
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor that is still on the disk.

    Attributes:
        shape: as numpy has it, rows first.
        kind: how its numbers are stored.
        start: its first byte in the file.
        size: its bytes.
    """

    path: Path
    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    start: int
    size: int

    def read(self) -> np.ndarray:
        """The tensor in float32.

        Raises:
            InputError: the file became shorter since its header was read.
        """
        data = np.fromfile(self.path, np.uint8, self.size, offset=self.start)
        if len(data) != self.size:
            raise InputError(f'{self.path} ends within a tensor: it changed while it was read')
        return dequantized(data, self.kind).reshape(self.shape)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Content:
    """The settings of a GGUF file by key, and its tensors by name."""

    settings: dict[str, Any]
    tensors: dict[str, Tensor]


def read(path: Path) -> Content:
    """The settings and the tensors of a file. Numbers of 32 bits are the shortest that they can be.

    Raises:
        MissingFileError: there is no such file.
        InputError: it is not a GGUF file, or damaged, or stored in a way that is not supported.
    """
    if not path.is_file():
        raise MissingFileError(f'{path} does not exist')
    try:
        with path.open('rb') as file:
            return _read(path, _Cursor(file, path.stat().st_size))
    except (ValueError, OverflowError) as error:
        raise InputError(f'{path} is not a sound GGUF file: {error}') from error


def dequantized(data: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    """The float32 numbers in the bytes of whole blocks."""
    with np.errstate(all='ignore'):  # damaged scales make numbers that are not finite
        return gguf.dequantize(data, kind).astype(np.float32, copy=False)


class _Cursor:
    """Reads numbers and texts one after the other, none of them beyond the end of the file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.at = 0
        self.items = 0

    def bytes(self, length: int, what: str) -> bytes:
        if length > self.size - self.at:
            raise ValueError(f'it ends at byte {self.size}, within {what}')
        self.at += length
        return self.file.read(length)

    def number(self, code: str, what: str) -> Any:
        [value] = struct.unpack(f'<{code}', self.bytes(struct.calcsize(f'<{code}'), what))
        return value

    def count(self, most: int, what: str) -> int:
        value = self.number('Q', what)
        if value > most:
            raise ValueError(f'it claims {value} {what}; at most {most} are read')
        return value

    def text(self, most: int, what: str) -> str:
        return self.bytes(self.count(most, f'bytes of {what}'), what).decode()

    def value(self, kind: int, what: str) -> Any:
        if kind == _KINDS.STRING:
            return self.text(_LONGEST_TEXT, what)
        if kind not in _NUMBERS:
            raise ValueError(f'{what} is of kind {kind}, not one of 0 to {_KINDS.FLOAT64}')
        value = self.number(_NUMBERS[_KINDS(kind)], what)
        return _shortest(value) if kind == _KINDS.FLOAT32 else value

    def setting(self, what: str) -> Any:
        kind = self.number('I', what)
        if kind != _KINDS.ARRAY:
            return self.value(kind, what)
        kind = self.number('I', what)
        length = self.count(_MOST_ITEMS, f'items of {what}')
        self.items += length
        if self.items > _MOST_ITEMS:
            raise ValueError(f'its lists have more than {_MOST_ITEMS} items')
        if kind == _KINDS.FLOAT32:
            data = self.bytes(4 * length, what)
            return [float(x) for x in np.frombuffer(data, '<f4')]
        return [self.value(kind, what) for _ in range(length)]


def _read(path: Path, cursor: _Cursor) -> Content:
    if cursor.bytes(4, 'the magic') != MAGIC:
        raise ValueError("it does not begin with 'GGUF'")
    version = cursor.number('I', 'the version')
    if version in _BIG_ENDIAN:
        raise ValueError('it is big-endian; little-endian files are read')
    if version not in VERSIONS:
        raise ValueError(f'its version is {version}, not one of {", ".join(map(str, VERSIONS))}')
    num_tensors = cursor.count(_MOST_TENSORS, 'tensors')
    num_settings = cursor.count(_MOST_SETTINGS, 'settings')
    settings = _distinct(cursor, num_settings, 'setting', _Cursor.setting)
    described = _distinct(cursor, num_tensors, 'tensor', _describe)
    return Content(settings=settings, tensors=_place(path, cursor, settings, described))


def _distinct(
    cursor: _Cursor, count: int, what: str, read: Callable[[_Cursor, str], Any]
) -> dict[str, Any]:
    """What is read after each of `count` names, no two of them the same."""
    found: dict[str, Any] = {}
    for number in range(count):
        name = cursor.text(_LONGEST_NAME, f'the name of {what} {number}')
        if name in found:
            raise ValueError(f'the {what} {name} is there twice')
        found[name] = read(cursor, name)
    return found


def _describe(cursor: _Cursor, name: str) -> tuple[tuple[int, ...], int, int]:
    """Shape, kind and offset of a tensor."""
    num_axes = cursor.number('I', name)
    if not 1 <= num_axes <= _MOST_AXES:
        raise ValueError(f'{name} has {num_axes} axes, not 1 to {_MOST_AXES}')
    shape = tuple(cursor.number('Q', name) for _ in range(num_axes))[::-1]
    if min(shape) < 1:
        raise ValueError(f'{name} has the shape {shape}')
    return shape, cursor.number('I', name), cursor.number('Q', name)


def _place(
    path: Path, cursor: _Cursor, settings: dict[str, Any], described: dict[str, Any]
) -> dict[str, Tensor]:
    """The tensors, each on bytes of the file that it shares with no other."""
    alignment = settings.get('general.alignment', gguf.GGUF_DEFAULT_ALIGNMENT)
    powers = [1 << n for n in range(_LARGEST_ALIGNMENT.bit_length())]
    if type(alignment) is not int or alignment not in powers:
        raise ValueError(
            f'general.alignment {alignment!r} is not a power of two up to {powers[-1]}'
        )
    first = -(-cursor.at // alignment) * alignment
    tensors = {
        name: Tensor(
            path=path,
            shape=shape,
            kind=_kind(name, kind),
            start=first + offset,
            size=_size(name, shape, kind),
        )
        for name, (shape, kind, offset) in described.items()
    }
    end = first
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].start):
        if (tensor.start - first) % alignment or tensor.start < end:
            raise ValueError(
                f'{name} starts at byte {tensor.start}, which is not a multiple of {alignment} '
                f'or within the tensor before it (to byte {end})'
            )
        end = tensor.start + tensor.size
        if end > cursor.size:
            raise ValueError(f'{name} reaches to byte {end}, the file to {cursor.size}')
    return tensors


def _kind(name: str, kind: int) -> gguf.GGMLQuantizationType:
    """A kind of numbers that the library turns into float32."""
    known = {int(member): member for member in gguf.GGMLQuantizationType}
    if kind not in known:
        raise ValueError(f'{name} is stored as {kind}, which is no kind of number')
    block = np.zeros(gguf.GGML_QUANT_SIZES[known[kind]][1], np.uint8)
    try:
        dequantized(block, known[kind])
    except NotImplementedError as error:
        raise ValueError(f'{name} is stored as {known[kind].name}, which cannot be read') from error
    return known[kind]


def _size(name: str, shape: tuple[int, ...], kind: int) -> int:
    """The bytes of a tensor, whose rows are whole blocks."""
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
    if shape[-1] % block:
        raise ValueError(f'{name} has rows of {shape[-1]} numbers, not a multiple of {block}')
    return math.prod(shape) // block * size


def _shortest(value: float) -> float:
    """The shortest decimal fraction that rounds to this float32: 0.00001 for 9.9999997e-06."""
    return float(str(np.float32(value)))
