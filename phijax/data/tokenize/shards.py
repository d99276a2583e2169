"""Token shards: flat little-endian ids with the ends of the documents beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from phijax.data import document
from phijax.data.document import Document
from phijax.data.tokenize.files import publish, read_json, write_json
from phijax.data.tokenizer import Tokenizer

SPLITS = ('train', 'heldout')
ENDS = '<u8'


def split_of(identity: str, heldout_fraction: float) -> str:
    """The split of a document: by its id alone, so that equal texts share one everywhere."""
    return 'heldout' if int(identity[:13], 16) < heldout_fraction * 16**13 else 'train'


def dtype_of(vocab_size: int) -> str:
    """The narrowest type that holds every id: `<u2` or `<u4`."""
    return '<u2' if vocab_size <= 1 << 16 else '<u4'


class ShardWriter:
    """One shard being written; nothing appears under its name before `close`."""

    def __init__(self, path: Path, dtype: str):
        """Opens `path` with `.partial` after it, and the ends beside it."""
        self._paths = (path, path.with_suffix('.ends'))
        self._files: list[BinaryIO] = [_partial(p).open('wb') for p in self._paths]
        self._hashes = [hashlib.sha256() for _ in self._paths]
        self._dtype = dtype
        self._counts = {'tokens': 0, 'documents': 0, 'bytes': 0}

    def append(self, documents: list[list[int]], text_bytes: int) -> None:
        """Writes documents' ids, and where each ends."""
        lengths = np.fromiter(map(len, documents), np.uint64, len(documents))
        ends = np.uint64(self._counts['tokens']) + np.cumsum(lengths)
        tokens = np.concatenate([np.array(ids, self._dtype) for ids in documents])
        for index, raw in enumerate((tokens.tobytes(), ends.astype(ENDS).tobytes())):
            self._hashes[index].update(raw)
            self._files[index].write(raw)
        self._counts['tokens'] += len(tokens)
        self._counts['documents'] += len(documents)
        self._counts['bytes'] += text_bytes

    def close(self) -> dict[str, Any]:
        """Publishes the two files and tells their manifest entry."""
        for file, path in zip(self._files, self._paths, strict=True):
            file.close()
            publish(_partial(path), path)
        tokens, ends = (digest.hexdigest() for digest in self._hashes)
        name = f'{self._paths[0].parent.name}/{self._paths[0].name}'
        return {'file': name, 'sha256': tokens, 'ends_sha256': ends} | self._counts


def encode_part(
    part: Path, directory: Path, tokenizer: Tokenizer, dtype: str, heldout_fraction: float
) -> dict[str, Any]:
    """The manifest entries by split of one Parquet part, encoded now or by an earlier run.

    A part's entries are kept beside it, so that a run that was killed goes on with the next part.
    """
    record = part.with_suffix('.tokens.json')
    done = read_json(record)
    if done is not None:
        return done
    writers: dict[str, ShardWriter] = {}
    for group in document.read(part):
        for split, chosen in _by_split(group, heldout_fraction).items():
            if split not in writers:
                path = directory / f'{split}-{part.stem.removeprefix("part-")}.tokens'
                writers[split] = ShardWriter(path, dtype)
            _append(writers[split], chosen, tokenizer)
    entries = {split: writer.close() for split, writer in writers.items()}
    write_json(record, entries)
    return entries


def _append(writer: ShardWriter, documents: list[Document], tokenizer: Tokenizer) -> None:
    texts = [document.text for document in documents]
    ids = tokenizer.encode_batch(texts)
    for tokens in ids:
        tokens.append(tokenizer.end_of_text)
    writer.append(ids, sum(len(text.encode()) for text in texts))


def _by_split(documents: Iterable[Document], heldout_fraction: float) -> dict[str, list[Document]]:
    chosen: dict[str, list[Document]] = {}
    for each in documents:
        chosen.setdefault(split_of(each.id, heldout_fraction), []).append(each)
    return chosen


def _partial(path: Path) -> Path:
    return path.with_name(path.name + '.partial')
