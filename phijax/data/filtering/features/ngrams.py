"""Hashed words and pairs of them, and a few counts: embeddings that need no model.

The same bits on every machine: sums are of whole numbers, and what is left is divided and rounded
as IEEE 754 says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
import xxhash
from jaxtyping import Float, Int

from phijax.data.filtering.features import Counts

# The first numbers of an embedding, all from 0 to about 1. The others are hashed.
SURFACE = (
    'length',
    'lines',
    'line_length',
    'comments',
    'docstrings',
    'indentation',
    'letters',
    'digits',
    'spaces',
    'definitions',
    'token_length',
    'distinct',
)

_VERSION = 1
_TOKEN = re.compile(rb'[0-9A-Za-z_\x80-\xff]+|[^\s0-9A-Za-z_\x80-\xff]')
_DOCSTRING = re.compile(rb'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'')
_DEFINITIONS = (b'def ', b'class ', b'import ', b'from ')
_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123))
_DIGITS, _SPACES = b'0123456789', b' \t\r\n'
# Texts whose tokens are counted together have about so many bytes, and are at most so many.
_GROUP_BYTES, _GROUP_TEXTS = 1 << 20, 1 << 16
_HASH_BITS = 48
_MOST_WORDS = 1 << 20
# Weights and counts are whole multiples of 1 / _UNIT.
_UNIT = 1 << 10
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio, odd


class NgramEmbedder:
    """Weights 1 + ln(count) of a text's tokens and of pairs of neighbours, hashed and signed.

    Source: feature hashing with signs, arXiv:0902.2206. A token is a word, a number or a sign.
    """

    def __init__(self, width: int, seed: int) -> None:
        """Of `width` numbers; the hashes begin with `seed`."""
        self.width = width
        self.counts = Counts()
        facts = f'ngrams {_VERSION} {width} {seed}'
        self.digest = hashlib.sha256(facts.encode()).hexdigest()
        self._words = _Words(seed)

    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, 'n w']:
        """A row for each text: `SURFACE`, then hashed numbers of length 1."""
        rows = [np.zeros((0, self.width), np.float32)]
        for group in _groups([text.encode() for text in texts]):
            tokens = [_TOKEN.findall(text) for text in group]
            self.counts.tokens += sum(map(len, tokens))
            hashed = self._hashed(tokens)
            surface = np.array([_surface(*pair) for pair in zip(group, tokens, strict=True)])
            rows.append(np.concatenate([surface, hashed], axis=1).astype(np.float32))
        self.counts.texts += len(texts)
        self.counts.positions = self.counts.tokens
        return np.concatenate(rows)

    def _hashed(self, tokens: Sequence[Sequence[bytes]]) -> Float[np.ndarray, 'n w']:
        """The hashed part of the rows of a group."""
        lengths = [len(each) for each in tokens]
        words = np.concatenate([self._words.hash(each) for each in tokens])
        owner = np.repeat(np.arange(len(tokens), dtype=np.uint64), lengths)
        pairs = _mixed(words[:-1] * _MIX + words[1:])[owner[:-1] == owner[1:]]
        pair_owner = owner[:-1][owner[:-1] == owner[1:]]
        return _summed(
            np.concatenate([words, pairs]),
            np.concatenate([owner, pair_owner]),
            (len(tokens), self.width - len(SURFACE)),
        )


class _Words(dict[bytes, int]):
    """The hashes of tokens, kept for those that come again."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def __missing__(self, token: bytes) -> int:
        value: int = xxhash.xxh3_64_intdigest(token, seed=self._seed)
        self[token] = value
        return value

    def hash(self, tokens: Sequence[bytes]) -> np.ndarray:
        """The hash of each token."""
        if len(self) > _MOST_WORDS:
            self.clear()
        return np.fromiter(map(self.__getitem__, tokens), np.uint64, len(tokens))


def _groups(texts: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Runs of texts of about `_GROUP_BYTES`."""
    group: list[bytes] = []
    held = 0
    for text in texts:
        group.append(text)
        held += len(text)
        if held >= _GROUP_BYTES or len(group) == _GROUP_TEXTS:
            yield group
            group, held = [], 0
    if group:
        yield group


def _summed(
    hashes: Int[np.ndarray, ' m'], owner: Int[np.ndarray, ' m'], shape: tuple[int, int]
) -> Float[np.ndarray, 'n w']:
    """Rows of length 1: of each text's hashes the weights, added up with signs by place."""
    bits = np.uint64(_HASH_BITS)
    keys, counts = np.unique(owner << bits | hashes >> (np.uint64(64) - bits), return_counts=True)
    weights = np.rint(_UNIT * (1 + np.log(counts)))
    row, low = (keys >> bits).astype(np.int64), keys & np.uint64((1 << _HASH_BITS) - 1)
    signed = np.where(low & np.uint64(1), weights, -weights)
    place = row * shape[1] + ((low >> np.uint64(1)) % np.uint64(shape[1])).astype(np.int64)
    sums = np.bincount(place, signed, minlength=shape[0] * shape[1]).reshape(shape)
    return sums / np.sqrt(np.maximum((sums * sums).sum(axis=1, keepdims=True), 1))


def _mixed(values: Int[np.ndarray, ' m']) -> Int[np.ndarray, ' m']:
    """Each bit spread over all. Source: the finaliser of splitmix64."""
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return values ^ values >> np.uint64(31)


def _surface(text: bytes, tokens: Sequence[bytes]) -> list[float]:
    """The counts of `SURFACE`: logarithms of sizes by 20, and shares."""
    size, words = max(len(text), 1), max(len(tokens), 1)
    lines, (comments, indentation, definitions) = text.count(b'\n') + 1, _by_line(text)
    values = (
        np.log2(size) / 20,
        np.log2(lines) / 20,
        np.log2(1 + size / lines) / 20,
        comments / size,
        sum(map(len, _DOCSTRING.findall(text))) / size,
        indentation / lines / 16,
        _count(text, _LETTERS) / size,
        _count(text, _DIGITS) / size,
        _count(text, _SPACES) / size,
        definitions / lines,
        np.log2(1 + size / words) / 20,
        len(set(tokens)) / words,
    )
    return [round(float(value) * _UNIT) / _UNIT for value in values]


def _by_line(text: bytes) -> tuple[int, int, int]:
    """Bytes in lines of comment, bytes before the first word of a line, lines that define."""
    comments = indentation = definitions = 0
    for line in text.split(b'\n'):
        words = line.lstrip(b' \t')
        indentation += len(line) - len(words)
        if words.startswith(b'#'):
            comments += len(words)
        elif words.startswith(_DEFINITIONS):
            definitions += 1
    return comments, indentation, definitions


def _count(text: bytes, kinds: bytes) -> int:
    """How many bytes are of some kinds."""
    return len(text) - len(text.translate(None, kinds))
