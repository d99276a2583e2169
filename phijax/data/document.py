"""Documents: the record that every stage of the data reads and writes, in Parquet with zstd.

This module and `attributes` are the only ones that import pyarrow.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.ipc
from pyarrow import parquet

ROW_GROUP_BYTES = 4 << 20
SCHEMA = pyarrow.schema(
    [pyarrow.field(name, pyarrow.string(), nullable=False) for name in ('id', 'text', 'source')]
    + [pyarrow.field('path', pyarrow.string(), nullable=False)]
)


@dataclass(frozen=True)
class Document:
    """One text.

    Attributes:
        id: the hash of the text: equal texts have equal ids, wherever they come from.
        text: valid Unicode, exactly as it was read.
        source: the name of the source in the config.
        path: where in the source: a file, or a file and its row.
    """

    id: str
    text: str
    source: str
    path: str


@dataclass(frozen=True)
class Dropped:
    """Something that is not a document, and why: `reason` is a key of the manifest's counts."""

    reason: str
    path: str


def identify(text: str) -> str:
    """The id of a text: 128 bits of its UTF-8 bytes' BLAKE2b, in hexadecimal."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def make(raw: str | bytes | None, source: str, path: str) -> Document | Dropped:
    """The document of a raw text, or why there is none.

    Nothing is normalised: line ends, a byte order mark and trailing space are the text's own.
    """
    if not isinstance(raw, str | bytes):
        return Dropped('not_text', path)
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        made = Document(identify(text), text, source, path)
    except UnicodeError:
        return Dropped('binary' if isinstance(raw, bytes) and b'\0' in raw else 'not_utf8', path)
    reason = _why_dropped(text)
    return Dropped(reason, path) if reason else made


def _why_dropped(text: str) -> str:
    if '\0' in text:
        return 'binary'
    return '' if text.strip() else 'empty'


def write(documents: Iterable[Document], directory: Path, part_bytes: int) -> list[Path]:
    """The Parquet parts that hold the documents in order, each with about `part_bytes` of text."""
    paths: list[Path] = []
    room = 0
    with contextlib.ExitStack() as stack:
        for group in group_by_bytes(documents, min(ROW_GROUP_BYTES, part_bytes)):
            if room <= 0:
                stack.close()
                paths.append(directory / f'part-{len(paths):05d}.parquet')
                writer = stack.enter_context(
                    parquet.ParquetWriter(paths[-1], SCHEMA, compression='zstd')
                )
                room = part_bytes
            writer.write_table(_table(group))
            room -= sum(len(document.text) for document in group)
    return paths


def write_part(documents: Iterable[Document], path: Path) -> None:
    """Writes all the documents into one Parquet file, which may be empty of rows."""
    with parquet.ParquetWriter(path, SCHEMA, compression='zstd') as writer:
        for group in group_by_bytes(documents, ROW_GROUP_BYTES):
            writer.write_table(_table(group))


def num_bytes(documents: Iterable[Document]) -> int:
    """The UTF-8 bytes of the texts."""
    return sum(len(document.text.encode()) for document in documents)


def group_by_bytes(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """Runs of consecutive documents; each but the last has at least `size` characters of text."""
    group: list[Document] = []
    held = 0
    for document in documents:
        group.append(document)
        held += len(document.text)
        if held >= size:
            yield group
            group, held = [], 0
    if group:
        yield group


def read(path: Path) -> Iterator[list[Document]]:
    """The documents of a part that `write` made, a row group at a time."""
    with parquet.ParquetFile(path) as file:
        for index in range(file.num_row_groups):
            columns = file.read_row_group(index).to_pydict()
            yield [Document(*row) for row in zip(*(columns[n] for n in SCHEMA.names), strict=True)]


def read_column(path: Path, column: str) -> Iterator[str | bytes | Dropped | None]:
    """The values of one column of anybody's Parquet file.

    Rows that cannot be read are told as `Dropped`, one for each; a file that cannot be opened or
    has no such column is one.
    """
    try:
        file = parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError):
        yield Dropped('corrupt_parquet', str(path))
        return
    with file:
        if column not in file.schema_arrow.names:
            yield Dropped('missing_column', str(path))
            return
        for index in range(file.num_row_groups):
            yield from _read_values(file, index, column, path)


def _read_values(
    file: parquet.ParquetFile, index: int, column: str, path: Path
) -> Iterator[str | bytes | Dropped | None]:
    try:
        values: Sequence[pyarrow.Scalar] = file.read_row_group(index, columns=[column])[column]
    except (pyarrow.ArrowException, OSError):
        for _ in range(file.metadata.row_group(index).num_rows):
            yield Dropped('corrupt_parquet', str(path))
        return
    for value in values:
        try:
            yield value.as_py()
        except UnicodeDecodeError:
            yield Dropped('not_utf8', str(path))


def compressed_bytes(text: str) -> int:
    """How many bytes a text has after zstd, which sees repetitions megabytes apart."""
    codec = pyarrow.Codec('zstd', compression_level=9)
    return len(codec.compress(text.encode('utf-8', 'surrogatepass'), asbytes=True))


def read_arrow(path: Path) -> list[dict[str, Any]]:
    """The rows of a small file in Arrow's stream format, all at once."""
    with path.open('rb') as file, pyarrow.ipc.open_stream(file) as stream:
        rows: list[dict[str, Any]] = stream.read_all().to_pylist()
    return rows


def _table(documents: Sequence[Document]) -> pyarrow.Table:
    columns = {name: [getattr(d, name) for d in documents] for name in SCHEMA.names}
    return pyarrow.table(columns, schema=SCHEMA)
