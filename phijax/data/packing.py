"""Windows of any length over token shards, without tokenising again.

Source: phi-1 (arXiv:2306.11644, sec. 2.3): all files in one array, `<|endoftext|>` between them,
sliced into windows. `segments` and `positions` are there for those who keep attention within a
document; plain packing does not look at them.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phijax.data.errors import MissingDataError
from phijax.errors import InputError

FORMAT = 'phijax-tokens-1'
FIELDS = ('tokens', 'segments', 'positions')
ENDS = np.dtype('<u8')
OPEN_SHARDS = 128
KEYS = ('digest', 'dtype', 'sources', 'tokenizer')

Row = dict[str, np.ndarray]


def manifest(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """The manifest of a directory of token shards; no shard is touched.

    Raises:
        MissingDataError: if there is none, with the command that makes one.
        InputError: if it is damaged, or of another format.
    """
    path = Path(directory) / 'manifest.json'
    if not path.is_file():
        raise MissingDataError(
            f'There are no token shards in {directory}: {path} is missing. Make them with\n'
            f'    python -m phijax.data.tokenize --config=configs/tokenize/stdlib.py '
            f'--workdir={directory}\nor with another file of configs/tokenize.'
        )
    try:
        parsed = json.loads(path.read_text())
        found = parsed['format']
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path} is damaged: {error!r}.') from error
    if found != FORMAT:
        raise InputError(f'{path} has format {found!r}; this version reads {FORMAT!r}.')
    lacking = [key for key in KEYS if key not in parsed]
    if lacking:
        raise InputError(f'{path} is damaged: it has no {", ".join(lacking)}.')
    return parsed


class Windows:
    """The windows of one split of one source, by random access.

    Window i covers the tokens from i * length to i * length + length, both included: the last is
    the first of the next window, so that every token but the very first is predicted once. The
    last window is padded with zeros. Shards are mapped into memory, never loaded.
    """

    def __init__(
        self, directory: str | os.PathLike[str], source: str, split: str, length: int
    ) -> None:
        """Opens the split of a finished directory.

        Raises:
            MissingDataError: if the directory has no manifest.
            InputError: if it has no such source or split, a shard is not of the size that the
                manifest says, or the split has fewer than two tokens.
        """
        if length < 1:
            raise InputError(f'length is {length}; it must be 1 or more.')
        stated = manifest(directory)
        self.length = length
        self.source = source
        self._directory = Path(directory)
        self._dtype = np.dtype(stated['dtype'])
        self._vocab_size = stated['tokenizer']['vocab_size']
        self._shards = _shards(stated, source, split)
        self._check_sizes()
        self._starts = [0, *itertools.accumulate(shard['tokens'] for shard in self._shards)]
        self._count = np.arange(length + 1, dtype=np.int32)
        self._map = functools.lru_cache(maxsize=2 * OPEN_SHARDS)(self._open)
        if self.tokens < 2:
            raise InputError(
                f'{directory}: {source}/{split} has {self.tokens} tokens; a window needs 2 or more.'
            )

    @property
    def tokens(self) -> int:
        """How many tokens the split has."""
        return self._starts[-1]

    def __len__(self) -> int:
        return max(0, self.tokens - 2) // self.length + 1

    def __getitem__(self, index: int) -> Row:
        """The window: `tokens`, `segments`, `positions`, each int32 of length + 1.

        `segments` number the documents in the window from 1, and 0 is padding; `positions` count
        from 0 at the start of the window and of each document in it.

        Raises:
            InputError: if a token is none of the tokenizer's: the shard is damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'window {index} of {len(self)}')
        start = index * self.length
        return self._row(index, start, min(start + self.length + 1, self.tokens))

    def _row(self, index: int, start: int, stop: int) -> Row:
        """The tokens from `start` to `stop` of the split as a row, padded with zeros."""
        row = np.zeros((len(FIELDS), self.length + 1), np.int32)
        begins = []
        filled = 0
        for shard, low, high in self._spans(start, stop):
            size = high - low
            row[0, filled : filled + size] = self._map(shard, '.tokens', self._dtype)[low:high]
            begins += [filled, *(end - low + filled for end in self._ends(shard, low, high))]
            filled += size
        self._check_ids(index, row[0])
        for number, (first, last) in enumerate(itertools.pairwise((*begins, filled)), 1):
            row[1, first:last] = number
            row[2, first:last] = self._count[: last - first]
        return dict(zip(FIELDS, row, strict=True))

    def _spans(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """The pieces of shards that a window is made of: the shard, and from where to where."""
        shard = bisect.bisect_right(self._starts, start) - 1
        while start < stop:
            base, end = self._starts[shard], min(stop, self._starts[shard + 1])
            yield shard, start - base, end - base
            start = end
            shard += 1

    def _ends(self, shard: int, low: int, high: int) -> list[int]:
        """Where documents end strictly between two places of a shard."""
        ends = self._map(shard, '.ends', ENDS)
        # Of the ends' own type: else numpy would convert, and so read, all of them.
        first, last = ends.searchsorted(np.array([low + 1, high], ENDS))
        return ends[first:last].tolist()

    def _path(self, shard: int, suffix: str) -> Path:
        return (self._directory / self._shards[shard]['file']).with_suffix(suffix)

    def _open(self, shard: int, suffix: str, dtype: Any) -> np.ndarray:
        # A plain view: slices of np.memmap itself cost several times as much.
        return np.memmap(self._path(shard, suffix), dtype, 'r').view(np.ndarray)

    def _check_ids(self, index: int, tokens: np.ndarray) -> None:
        if tokens.min() < 0 or tokens.max() >= self._vocab_size:
            raise InputError(
                f'{self._directory}: window {index} of {self.source} has token ids from '
                f'{tokens.min()} to {tokens.max()}; the tokenizer has 0 to '
                f'{self._vocab_size - 1}. The shards are damaged: remove {self._directory} and '
                'make it again.'
            )

    def _check_sizes(self) -> None:
        for index, shard in enumerate(self._shards):
            self._check_size(self._path(index, '.tokens'), shard['tokens'] * self._dtype.itemsize)
            self._check_size(self._path(index, '.ends'), shard['documents'] * ENDS.itemsize)

    def _check_size(self, path: Path, size: int) -> None:
        found = f'{path.stat().st_size} bytes' if path.is_file() else 'missing'
        if found != f'{size} bytes':
            raise InputError(
                f'{path} is {found}; the manifest says {size} bytes. Remove {self._directory} and '
                'make it again.'
            )


def _shards(stated: Mapping[str, Any], source: str, split: str) -> list[dict[str, Any]]:
    sources = stated['sources']
    if source not in sources:
        raise InputError(f'There is no source {source!r}; there are {", ".join(sorted(sources))}.')
    splits = sources[source]['splits']
    if split not in splits:
        raise InputError(f'There is no split {split!r}; there are {", ".join(sorted(splits))}.')
    return splits[split]['shards']
