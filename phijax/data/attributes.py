"""Attributes of documents: columns in Parquet beside the parts that hold the texts.

A file of attributes has a row for each row of the part with its number, in the same order, so that
what a stage finds out never rewrites a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from phijax.errors import InputError

Columns = Mapping[str, np.ndarray | Sequence[Any]]


def write(path: Path, columns: Columns) -> None:
    """Writes equally long columns; an array of two dimensions has a list of fixed length a row."""
    arrays = {name: _to_arrow(values) for name, values in columns.items()}
    parquet.write_table(pyarrow.table(arrays), path, compression='zstd')


def read(path: Path, *names: str) -> dict[str, Any]:
    """The columns by name, all if none is named: arrays of numbers, or lists of anything else.

    Raises:
        InputError: if there is no such file or column, or it cannot be read.
    """
    try:
        with parquet.ParquetFile(path) as file:
            there = file.schema_arrow.names
            missing = [name for name in names if name not in there]
            if missing:
                raise InputError(f'{path} has no column {missing[0]}; it has {", ".join(there)}.')
            table = file.read(columns=list(names) or None)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f'{path} cannot be read: {error}') from error
    return {name: _from_arrow(table[name].combine_chunks()) for name in table.column_names}


def _to_arrow(values: np.ndarray | Sequence[Any]) -> pyarrow.Array:
    if not isinstance(values, np.ndarray):
        return pyarrow.array(values)
    if values.ndim == 1:
        return pyarrow.array(values)
    flat = pyarrow.array(np.ascontiguousarray(values).reshape(-1))
    return pyarrow.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _from_arrow(column: Any) -> Any:
    kind = column.type
    if pyarrow.types.is_fixed_size_list(kind):
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(column), kind.list_size)
    if pyarrow.types.is_floating(kind) or pyarrow.types.is_integer(kind):
        return column.to_numpy(zero_copy_only=False)
    if pyarrow.types.is_boolean(kind):
        return column.to_numpy(zero_copy_only=False).astype(bool)
    return column.to_pylist()
