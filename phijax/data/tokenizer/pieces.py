"""Llama-2's tokenizer and phi-3's extension of it, through `sentencepiece`.

Two choices, since published implementations differ:

A text begins with a space of its own, which decoding takes away again: `Hello` and the second word
of `Say Hello` are the same token, and every text comes back exactly, spaces at its start included.
Only U+2581, with which sentencepiece writes a space, comes back as a space. Each text that
`encode` is given begins so, thus also a turn after `<|user|>` in a chat: so do the tokenizer.json
that phi-3 was published with, and llama.cpp. (transformers' LlamaTokenizer with legacy=False adds
the space at the very start only, and drops a text's own space there.)

White space after a special token is kept: `encode` never sees one, so it has nothing to strip.
phi-3's chat tokens were first published with rstrip, by which the line end between `<|user|>` and
a turn is no token, later without. Whoever builds a chat decides it by what text is encoded.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import sentencepiece
import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers

from phijax.data.tokenizer import proto
from phijax.data.tokenizer.byte_pairs import BYTES, check_lists, write_config
from phijax.data.tokenizer.codec import (
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    Codec,
    Lists,
    looks_special,
    parsed,
)
from phijax.data.tokenizer.proto import Piece
from phijax.data.tokenizer.ranks import merges
from phijax.errors import InputError

SPACE = '\u2581'
UNKNOWN_TOKEN = '<unk>'
BEGIN = '<s>'
MODEL_FILE = 'tokenizer.model'
ADDED_FILE = 'added_tokens.json'


class SentencePieceTokenizer(Codec):
    """A sentencepiece model and special tokens after its pieces."""

    def __init__(self, model: bytes, added: Mapping[str, int], end: str | None = None):
        """Wraps a model, the content of a tokenizer.model.

        Args:
            added: special tokens by id, which continue the model's ids.
            end: the token that ends texts where there is no `<|endoftext|>`.

        Raises:
            InputError: the model is damaged or changes texts, or an added token cannot have its id.
        """
        read = proto.read(model)
        new = _new(read.pieces, added)
        self._model, self._added = model, dict(added)
        self._pieces, self._prefix = [*read.pieces, *new], read.prefix
        self._unknown = _check(self._pieces)
        self._processor = parsed(
            lambda: sentencepiece.SentencePieceProcessor(model_proto=model + proto.append(new)),
            'The model',
        )
        special = {p.text: i for i, p in enumerate(self._pieces) if p.kind in (CONTROL, UNKNOWN)}
        super().__init__(special, len(self._pieces), end)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the pieces and the rule for the first space, whatever file they are of."""
        pieces = [(p.text, p.score if p.kind == NORMAL else 0, p.kind) for p in self._pieces]
        stated = json.dumps({'pieces': pieces, 'prefix': self._prefix}, separators=(',', ':'))
        return hashlib.sha256(stated.encode()).hexdigest()

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes tokenizer.model, and a tokenizer.json from which transformers makes these ids."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / MODEL_FILE).write_bytes(self._model)
        if self._added:
            (directory / ADDED_FILE).write_text(json.dumps(self._added, indent=2) + '\n')
        self._converted().save(str(directory / 'tokenizer.json'))
        begin = BEGIN if BEGIN in self._special else self._end
        write_config(directory, self._end, bos_token=begin, unk_token=self._unknown)

    def lists(self) -> Lists:
        """The pieces as GGUF files hold them, for `from_pieces`."""
        return Lists(
            tokens=[piece.text for piece in self._pieces],
            types=[piece.kind for piece in self._pieces],
            end_of_text=self._special[self._end],
            scores=[piece.score for piece in self._pieces],
            prefix=self._prefix,
        )

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return self._processor.encode(texts, out_type=int, num_threads=-1)

    def _decode(self, ids: list[int]) -> str:
        return self._processor.decode(ids)

    def _converted(self) -> tokenizers.Tokenizer:
        normal = [(-p.score, i, p.text) for i, p in enumerate(self._pieces) if p.kind == NORMAL]
        ranks = {text: rank for rank, (_, _, text) in enumerate(sorted(normal))}
        model = models.BPE(
            vocab={p.text: i for i, p in enumerate(self._pieces)},
            merges=merges(ranks),
            unk_token=self._unknown,
            fuse_unk=True,
            byte_fallback=True,
        )
        inner = tokenizers.Tokenizer(model)
        before, after = _rules(self._prefix)
        inner.normalizer = normalizers.Sequence(before)
        inner.decoder = decoders.Sequence(after)
        inner.add_special_tokens([AddedToken(name, normalized=False) for name in self._special])
        return inner


def from_pieces(
    pieces: Sequence[str],
    scores: Sequence[float],
    types: Sequence[int],
    end_of_text: int,
    *,
    prefix: bool = True,
) -> SentencePieceTokenizer:
    """A tokenizer from lists, as GGUF files hold Llama-2's and phi-3's.

    Converters are not of one mind on the kinds of special tokens: `<unk>` is the unknown piece
    here whatever it is called, and what has the form of a special token, such as `</s>`, is one.

    Args:
        pieces: in the order of their ids.
        types: of each piece: 1 ordinary, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 a byte.
            Those at the end that are not in use are left out.
        end_of_text: the id that the file calls the end. Where there is a `<|endoftext|>` too, that
            one separates documents, and this is among `ends`.
        prefix: whether a text begins with a space of its own.

    Raises:
        InputError: the lists do not make a tokenizer that gives texts back.
    """
    if len(pieces) != len(scores):
        raise InputError(f'There are {len(pieces)} pieces, but scores of {len(scores)}.')
    pieces, types = check_lists(pieces, types, end_of_text)
    made = [
        Piece(text, float(score), _kind(text, int(kind)))
        for text, score, kind in zip(pieces, scores, types, strict=False)
    ]
    return SentencePieceTokenizer(proto.write(made, prefix=prefix), {}, pieces[end_of_text])


def _rules(prefix: bool) -> tuple[list[Any], list[Any]]:
    """What a `tokenizers` tokenizer does before and after, with a first space or without."""
    before = [normalizers.Replace(' ', SPACE)]
    after = [decoders.Replace(SPACE, ' '), decoders.ByteFallback(), decoders.Fuse()]
    if not prefix:
        return before, after
    return [normalizers.Prepend(SPACE), *before], [*after, decoders.Strip(' ', 1, 0)]


def _kind(text: str, kind: int) -> int:
    if text == UNKNOWN_TOKEN:
        return UNKNOWN
    if kind == UNKNOWN:
        return UNUSED
    return CONTROL if kind == USER_DEFINED and looks_special(text) else kind


def _new(pieces: Sequence[Piece], added: Mapping[str, int]) -> list[Piece]:
    known = {piece.text: i for i, piece in enumerate(pieces)}
    new: list[Piece] = []
    for token, wanted in sorted(added.items(), key=lambda item: item[1]):
        if known.setdefault(token, len(pieces) + len(new)) != wanted:
            raise InputError(
                f'Added token {token!r} should have id {wanted}, but the vocabulary gives it '
                f'{known[token]}.'
            )
        if wanted >= len(pieces):
            new.append(Piece(token, 0.0, CONTROL))
    return new


def _check(pieces: Sequence[Piece]) -> str:
    """The unknown piece of a model that needs it for nothing: it knows every byte and spaces."""
    known = sum(piece.kind == BYTE for piece in pieces)
    if known != BYTES:
        raise InputError(f'The model has pieces for {known} of {BYTES} bytes, so texts get lost.')
    if (SPACE, NORMAL) not in ((piece.text, piece.kind) for piece in pieces):
        raise InputError('The model has no piece for a space (U+2581), so spaces get lost.')
    unknown = [piece.text for piece in pieces if piece.kind == UNKNOWN]
    own = sum(piece.kind == USER_DEFINED for piece in pieces)
    if len(unknown) != 1 or own:
        raise InputError(
            f'The model has {len(unknown)} unknown and {own} user-defined pieces; it must have 1 '
            "and 0, as Llama-2's has."
        )
    return unknown[0]
