"""The pieces in a sentencepiece model, read and written without its generated protobuf classes.

Only what decides the ids: each piece with its score and kind, and the rules for white space. The
numbers are those of the fields in sentencepiece's own `sentencepiece_model.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from phijax.data.tokenizer.codec import BYTE, NORMAL
from phijax.errors import InputError

# The fields of a model, of a piece, of how it was trained, and of how it changes a text.
PIECES, TRAINER, NORMALIZER = 1, 2, 3
TEXT, SCORE, KIND = 1, 2, 3
RULES = (TRAINER, NORMALIZER)
MODEL_TYPE, SPACE_AFTER, BYTE_FALLBACK = 3, 24, 35
CHARACTER_MAP, DUMMY_PREFIX, REMOVE_SPACES, ESCAPE_SPACES = 2, 3, 4, 5

BPE = 2
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5


class Piece(NamedTuple):
    """One token: the higher its score, the sooner it is made of two others."""

    text: str
    score: float
    kind: int


class Model(NamedTuple):
    """The pieces in the order of their ids, and whether a text begins with a space of its own."""

    pieces: list[Piece]
    prefix: bool


def read(data: bytes) -> Model:
    """The pieces of a sentencepiece model.

    Raises:
        InputError: the data are damaged or something else, or the model is not BPE, or changes
            more of a text than its spaces, so that it could not be had back.
    """
    try:
        fields = list(_fields(data))
        pieces = [_piece(value) for number, value in fields if number == PIECES]
        parts = {number: dict(_fields(value)) for number, value in fields if number in RULES}
    except (AttributeError, LookupError, TypeError, ValueError, struct.error) as error:
        raise InputError(f'it is not a sentencepiece model, or damaged ({error})') from error
    trainer, normalizer = parts.get(TRAINER, {}), parts.get(NORMALIZER, {})
    _check_rules(trainer, normalizer)
    return Model(pieces, bool(normalizer.get(DUMMY_PREFIX, 1)))


def write(pieces: Iterable[Piece], *, prefix: bool = True) -> bytes:
    """A sentencepiece BPE model that knows bytes, as Llama-2's.

    Args:
        prefix: whether it puts a space before a text.
    """
    trainer = {MODEL_TYPE: BPE, BYTE_FALLBACK: 1}
    normalizer = {DUMMY_PREFIX: int(prefix), REMOVE_SPACES: 0, ESCAPE_SPACES: 1}
    return (
        append(pieces)
        + _block(TRAINER, _numbers(trainer))
        + _block(NORMALIZER, _numbers(normalizer))
    )


def append(pieces: Iterable[Piece]) -> bytes:
    """What a model is followed by to have more pieces: protobuf joins repeated fields."""
    return b''.join(
        _block(
            PIECES,
            _block(TEXT, piece.text.encode())
            + _varint(SCORE << 3 | FIXED_32)
            + struct.pack('<f', piece.score)
            + _numbers({KIND: piece.kind}),
        )
        for piece in pieces
    )


def _check_rules(trainer: Mapping[int, Any], normalizer: Mapping[int, Any]) -> None:
    if trainer.get(MODEL_TYPE) != BPE:
        raise InputError(f'its model_type is {trainer.get(MODEL_TYPE)}; phijax reads {BPE} (BPE)')
    if normalizer.get(CHARACTER_MAP) or normalizer.get(REMOVE_SPACES, 1):
        raise InputError('it replaces characters or removes spaces, so texts do not come back')
    if not normalizer.get(ESCAPE_SPACES, 1) or trainer.get(SPACE_AFTER):
        raise InputError('it does not put U+2581 for a space before a word, as Llama-2 does')


def _piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    [score] = struct.unpack('<f', fields.get(SCORE, bytes(4)))
    kind = fields.get(KIND, NORMAL)
    if kind not in range(NORMAL, BYTE + 1):
        raise ValueError(f'a piece of kind {kind}')
    return Piece(fields[TEXT].decode(), score, kind)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        if key < 8:
            raise ValueError(f'field 0 before byte {at} of {len(data)}')
        if key & 7 == VARINT:
            value, at = _read_varint(data, at)
            yield key >> 3, value
            continue
        length = {FIXED_64: 8, FIXED_32: 4}.get(key & 7)
        if key & 7 == BYTES:
            length, at = _read_varint(data, at)
        if length is None or at + length > len(data):
            raise ValueError(f'byte {at} of {len(data)}')
        yield key >> 3, data[at : at + length]
        at += length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise ValueError(f'byte {at} of {len(data)}')


def _varint(value: int) -> bytes:
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + _varint(high) if high else bytes([low])


def _block(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(data)) + data


def _numbers(fields: dict[int, int]) -> bytes:
    return b''.join(_varint(number << 3) + _varint(value) for number, value in fields.items())
