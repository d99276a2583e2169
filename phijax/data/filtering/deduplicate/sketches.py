"""Sketches: what is kept of a shard of documents to find near-duplicates, in one plain file.

A file is arrays in numpy's format one after the other: the plan, ids, lengths of the texts, bounds
of the sets of shingles, hashes of bands (a row a band) and the shingles. A reader takes only what
it needs, so a join never holds the shingles of more than two documents.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from phijax.data import files
from phijax.data.filtering.deduplicate import signatures
from phijax.data.filtering.deduplicate.plan import Plan
from phijax.data.filtering.deduplicate.shingles import Hashes, Places, Sets, bounds, shingle
from phijax.errors import InputError

# Texts are worked on together up to so many bytes: what is made of them fits into a cache.
_BYTES_AT_ONCE = 1 << 17


class Sketch(NamedTuple):
    """What is kept of the documents of a shard.

    Attributes:
        lengths: bytes of the texts.
        shingles: the set of shingles of each text.
        bands: the hash of each band of each signature, a row a band.
    """

    lengths: Places
    shingles: Sets
    bands: Hashes


def sketch(texts: Sequence[str], plan: Plan) -> Sketch:
    """The sketch of texts; what is kept of each depends on the text and the plan alone."""
    lengths: list[int] = []
    values, sizes = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    bands = [np.zeros((plan.bands, 0), np.uint64)]
    for group in _batches(texts):
        sets = shingle(group, plan.ngram, plan.seed)
        lengths += map(len, group)
        values.append(sets.values)
        sizes.append(np.diff(sets.bounds))
        bands.append(signatures.fold(signatures.sign(sets, plan.num_hashes), plan))
    sets = Sets(np.concatenate(values), bounds(np.concatenate(sizes)))
    return Sketch(np.array(lengths, np.int64), sets, np.concatenate(bands, axis=1))


def _batches(texts: Sequence[str]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    held = 0
    for text in texts:
        batch.append(text.encode('utf-8', 'surrogatepass'))
        held += len(batch[-1])
        if held >= _BYTES_AT_ONCE:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def write_sketch(path: Path, ids: Sequence[str], made: Sketch, plan: Plan) -> None:
    """Writes a sketch; the file is whole or not there.

    Raises:
        InputError: if there are not as many ids as documents.
    """
    if len(ids) != len(made.lengths):
        raise InputError(f'There are {len(ids)} ids of {len(made.lengths)} documents.')
    partial = path.with_name(path.name + '.partial')
    with partial.open('wb') as file:
        for array in (
            np.frombuffer(_describe(plan).encode(), np.uint8),
            np.array([each.encode() for each in ids], np.bytes_),
            *(made.lengths, made.shingles.bounds, made.bands, made.shingles.values),
        ):
            np.save(file, array, allow_pickle=False)
    files.publish(partial, path)


def _describe(plan: Plan) -> str:
    """The settings that two sketches must share to be compared."""
    settings = dataclasses.asdict(plan)
    return json.dumps({name: settings[name] for name in settings if name != 'threshold'})


class _Block(NamedTuple):
    """Where an array is in a file."""

    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def end(self) -> int:
        return self.start + self.dtype.itemsize * math.prod(self.shape)


# Dimensions and dtype of the arrays in a file, in order; ids have any width.
_LAYOUT = ((1, '|u1'), (1, '|S'), (1, '<i8'), (1, '<i8'), (2, '<u8'), (1, '<u8'))


# What reading the header of an array raises; a broken one is not even tokens of Python.
_NOT_A_SKETCH = (OSError, ValueError, EOFError, OverflowError, tokenize.TokenError)


class Stored:
    """A sketch in a file, read piece by piece."""

    def __init__(self, path: Path, plan: Plan) -> None:
        """Reads where the arrays are.

        Raises:
            InputError: the file is not there, is damaged or cut, or was made with another plan.
        """
        self.path = path
        try:
            with path.open('rb') as file:
                self._blocks = list(_blocks(file))
                end = file.seek(0, os.SEEK_END)
        except _NOT_A_SKETCH as error:
            raise InputError(f'{path} is not a whole sketch: {error}') from error
        _, ids, lengths, ends, bands, _ = self._blocks
        self.num_documents: int = ids.shape[0]
        if self._blocks[-1].end != end:
            raise self._damage(f'it has {end} bytes, not {self._blocks[-1].end}')
        if {lengths.shape[0], ends.shape[0] - 1, bands.shape[1]} != {self.num_documents}:
            raise self._damage('its arrays are of different numbers of documents')
        made_with = self._read(0).tobytes().decode(errors='replace')
        if made_with != _describe(plan):
            raise InputError(f'{path} was made with {made_with}, not with {_describe(plan)}.')

    @property
    def id_bytes(self) -> int:
        """The bytes of the longest id."""
        return self._blocks[1].dtype.itemsize

    @property
    def ids(self) -> NDArray[np.bytes_]:
        """The ids of the documents."""
        return self._read(1)

    @property
    def lengths(self) -> Places:
        """The bytes of the texts."""
        return self._read(2)

    @property
    def bounds(self) -> Places:
        """Where the shingles of each document begin among all, and where the last ones end."""
        ends: Places = self._read(3)
        if ends[0] != 0 or ends[-1] != self._blocks[5].shape[0] or (np.diff(ends) < 0).any():
            raise self._damage('the bounds of its sets are not those of its shingles')
        return ends

    def band(self, number: int) -> Hashes:
        """The hash of one band of each document."""
        return self._read(4, number * self.num_documents, self.num_documents)

    @property
    def shingles_start(self) -> int:
        """At which byte of the file the shingles begin."""
        return self._blocks[5].start

    def read(self) -> Sketch:
        """All of it at once."""
        bands = self._read(4).reshape(self._blocks[4].shape)
        return Sketch(self.lengths, Sets(self._read(5), self.bounds), bands)

    def _read(self, number: int, first: int = 0, count: int | None = None) -> NDArray[Any]:
        start, shape, dtype = self._blocks[number]
        count = math.prod(shape) if count is None else count
        values = np.fromfile(self.path, dtype, count, offset=start + first * dtype.itemsize)
        if len(values) != count:
            raise self._damage('it was cut')
        return values

    def _damage(self, what: str) -> InputError:
        return InputError(f'{self.path} is damaged: {what}. Remove it and make it again.')


def _blocks(file: BinaryIO) -> Iterator[_Block]:
    """Where the arrays of a sketch are.

    Raises:
        ValueError: if there are others.
    """
    for dimensions, name in _LAYOUT:
        if npy.read_magic(file) != (1, 0):
            raise ValueError('an array is of another version of the format')
        shape, by_columns, dtype = npy.read_array_header_1_0(file)
        if by_columns or len(shape) != dimensions or not dtype.str.startswith(name):
            raise ValueError(f'an array is {dtype.str} {shape}, where {name} was expected')
        yield (block := _Block(file.tell(), shape, dtype))
        file.seek(block.end)


def read_sketch(path: Path, plan: Plan) -> tuple[list[str], Sketch]:
    """The ids and the sketch that `write_sketch` wrote.

    Raises:
        InputError: as `Stored`.
    """
    stored = Stored(path, plan)
    return [each.decode() for each in stored.ids.tolist()], stored.read()
