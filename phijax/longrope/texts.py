"""Long held-out documents as rows of the target length, in sets that share none."""

import hashlib
import os
from pathlib import Path

import numpy as np

from phijax.data import packing
from phijax.errors import InputError
from phijax.longrope.plan import Texts

SETS = ('search', 'selection', 'report')


def sets(directory: str | os.PathLike[str], texts: Texts, length: int) -> dict[str, np.ndarray]:
    """The rows of each set, int32 of (documents, length + 1): a document is in one at most.

    Which document is where depends on the documents alone, not on any seed, so that searches with
    other seeds are compared on the same texts.

    Raises:
        MissingDataError: there are no tokens in the directory.
        InputError: too few held-out documents are as long as the rows.
    """
    found = _rows(Path(directory), length)
    sizes = [getattr(texts, name) for name in SETS]
    if len(found) < sum(sizes):
        raise InputError(
            f'{directory} has {len(found)} held-out documents of more than {length} tokens, and '
            f'texts.search, texts.selection and texts.report need {sum(sizes)}: ask for fewer, '
            'shorten target_length, or hold out more or longer documents'
        )
    order = sorted(found, key=lambda row: hashlib.blake2b(row, digest_size=16).digest())
    rows = np.array([np.frombuffer(row, np.int32) for row in order[: sum(sizes)]])
    return dict(zip(SETS, np.split(rows, np.cumsum(sizes)[:-1]), strict=True))


def _rows(directory: Path, length: int) -> set[bytes]:
    """The first tokens of each held-out document that has enough, as the bytes of int32.

    Documents that begin with the same row count once: two sets must not both have it.
    """
    stated = packing.manifest(directory)
    rows = set()
    for source in stated['sources'].values():
        for shard in source['splits']['heldout']['shards']:
            path = directory / shard['file']
            tokens = np.fromfile(path, stated['dtype'])
            start = 0
            for end in np.fromfile(path.with_suffix('.ends'), packing.ENDS).tolist():
                if end - start > length:
                    rows.add(tokens[start : start + length + 1].astype(np.int32).tobytes())
                start = end
    return rows
