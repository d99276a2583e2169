"""Token shards: flat little-endian ids with the ends of the documents beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from phijax.data import document
from phijax.data.document import Document
from phijax.data.files import publish, read_json, write_json
from phijax.data.tokenize.chats import Learned, encode
from phijax.data.tokenize.sources import Source
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

    def __init__(self, path: Path, dtype: str, *suffixes: str):
        """Opens `path` with `.partial` after it, and beside it the ends and more `suffixes`."""
        self._paths = [path, *map(path.with_suffix, ('.ends', *suffixes))]
        self._files: list[BinaryIO] = [_partial(p).open('wb') for p in self._paths]
        self._hashes = [hashlib.sha256() for _ in self._paths]
        self._dtype = dtype
        self._counts = {'tokens': 0, 'documents': 0, 'bytes': 0}

    def append(self, documents: list[list[int]], text_bytes: int, *beside: bytes) -> None:
        """Writes documents' ids, where each ends, and what goes into the files of more suffixes."""
        lengths = np.fromiter(map(len, documents), np.uint64, len(documents))
        ends = np.uint64(self._counts['tokens']) + np.cumsum(lengths)
        tokens = np.concatenate([np.array(ids, self._dtype) for ids in documents])
        for index, raw in enumerate((tokens.tobytes(), ends.astype(ENDS).tobytes(), *beside)):
            self._hashes[index].update(raw)
            self._files[index].write(raw)
        self._counts['tokens'] += len(tokens)
        self._counts['documents'] += len(documents)
        self._counts['bytes'] += text_bytes

    def close(self) -> dict[str, Any]:
        """Publishes the files and tells their manifest entry."""
        for file, path in zip(self._files, self._paths, strict=True):
            file.close()
            publish(_partial(path), path)
        names = ('sha256', *(f'{path.suffix[1:]}_sha256' for path in self._paths[1:]))
        digests = (digest.hexdigest() for digest in self._hashes)
        name = f'{self._paths[0].parent.name}/{self._paths[0].name}'
        return {'file': name} | dict(zip(names, digests, strict=True)) | self._counts


class ChatWriter(ShardWriter):
    """A shard of conversations: with a byte for each token, 1 where it is learned."""

    def __init__(self, path: Path, dtype: str):
        """As of `ShardWriter`, with `.learned` beside it."""
        super().__init__(path, dtype, '.learned')
        self._counts |= {'learned': 0, 'learned_bytes': 0}
        self._longest = (0, '')

    def append_learned(self, documents: Sequence[Learned]) -> None:
        """Writes documents' ids, where each ends, and which are learned."""
        marks = np.concatenate([np.array(each.learned, np.uint8) for each in documents])
        ids = [each.ids for each in documents]
        self.append(ids, sum(each.num_bytes for each in documents), marks.tobytes())
        self._counts['learned'] += int(marks.sum())
        self._counts['learned_bytes'] += sum(each.learned_bytes for each in documents)
        self._longest = max(self._longest, *((each.prompt, each.path) for each in documents))

    def close(self) -> dict[str, Any]:
        """As of `ShardWriter`, with the longest prompt and where it is from."""
        tokens, path = self._longest
        return super().close() | {'longest_prompt': {'tokens': tokens, 'path': path}}


_WRITERS: dict[str, type[ShardWriter]] = {
    'text': ShardWriter,
    'chat': ChatWriter,
    'preference': ChatWriter,
}


def encode_part(
    part: Path,
    directory: Path,
    source: Source,
    tokenizer: Tokenizer,
    dtype: str,
    heldout_fraction: float,
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
                writers[split] = _WRITERS[source.form](path, dtype)
            _append(writers[split], chosen, source, tokenizer)
    entries = {split: writer.close() for split, writer in writers.items()}
    write_json(record, entries)
    return entries


def _append(
    writer: ShardWriter, documents: list[Document], source: Any, tokenizer: Tokenizer
) -> None:
    if isinstance(writer, ChatWriter):
        writer.append_learned(encode(source, documents, tokenizer))
        return
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
