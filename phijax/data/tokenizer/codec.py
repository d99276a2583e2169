"""What every tokenizer here does, whatever library finds the ids.

A special token, such as `<|endoftext|>` or `<|user|>`, is put between texts by whoever builds the
tokens. No text encodes to one, whatever it says.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from phijax.errors import InputError

END_OF_TEXT = '<|endoftext|>'

# Ends a turn, or begins one that is not the model's to write: phi-3's, and ChatML's.
# Source: phi-3's generation_config (32000, 32001, 32007). Open: seen second-hand only.
TURNS = ('<|end|>', '<|assistant|>', '<|im_end|>')

# Files that have no mark for it say by its form that a token is special.
_SPECIAL = re.compile(r'<\|[^|]*\|>|</?s>|<unk>')

# The kinds of token in GGUF files, which are those of sentencepiece.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


class Lists(NamedTuple):
    """A tokenizer as GGUF files hold it, and `from_pieces` or `from_merges` makes it again.

    Attributes:
        tokens: in the order of their ids.
        types: of each token, from `NORMAL` to `BYTE`.
        end_of_text: the id that the tokenizer's files call the end.
        scores: of each token of sentencepiece; empty for byte-level BPE.
        prefix: whether sentencepiece puts a space before a text.
        merges: of byte-level BPE, most urgent first.
        pre: how byte-level BPE cuts texts first; empty for sentencepiece.
    """

    tokens: list[str]
    types: list[int]
    end_of_text: int
    scores: Sequence[float] = ()
    prefix: bool = False
    merges: Sequence[str] = ()
    pre: str = ''


class Tokenizer(Protocol):
    """What the rest of phijax asks of a tokenizer."""

    @property
    def vocab_size(self) -> int:
        """A bound: every id is below it."""

    @property
    def end_of_text(self) -> int:
        """The id that ends a document; no text encodes to it."""

    @property
    def ends(self) -> tuple[int, ...]:
        """The ids that end what a model writes: the end of text first, then ends of turns."""

    @property
    def digest(self) -> str:
        """The sha256 of the definition: equal digests give equal ids."""

    def special(self, token: str) -> int | None:
        """The id of a special token such as `<|user|>`; None if there is no such special token."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, computed in parallel."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids."""

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes files that `load` and transformers read."""

    def lists(self) -> Lists:
        """The tokenizer as GGUF files hold it."""


class Codec:
    """Ids and special tokens, for a class that adds `_encode` and `_decode` of ordinary text."""

    def __init__(self, special: Mapping[str, int], vocab_size: int, end: str | None):
        """Holds the special tokens.

        Args:
            end: what the files call the end; ends texts where there is no `<|endoftext|>`.

        Raises:
            InputError: if neither `<|endoftext|>` nor `end` is a special token.
        """
        found = _ends(special, vocab_size, end)
        turns = [special[name] for name in TURNS if name in special]
        self._special = dict(special)
        self._names = {i: name for name, i in special.items()}
        self.vocab_size: int = vocab_size
        self.end_of_text: int = found[0]
        self._end = self._names[found[-1]]
        self.ends: tuple[int, ...] = tuple(dict.fromkeys([*found, *turns]))

    def special(self, token: str) -> int | None:
        """The id of a special token such as `<|user|>`; None if there is no such special token."""
        return self._special.get(token)

    def encode(self, text: str) -> list[int]:
        """The ids of a text; no end-of-text is added.

        Raises:
            InputError: if the text has a lone surrogate, which UTF-8 cannot hold.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, computed on all cores with the interpreter's lock released.

        Raises:
            InputError: as `encode`.
        """
        try:
            return self._encode(list(texts))
        except (TypeError, UnicodeEncodeError):
            _reject_surrogates(texts)
            raise

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; bytes that are not UTF-8 become U+FFFD.

        What stands between special tokens is decoded apart, as it was encoded; the special tokens
        are written as they are called.

        Raises:
            InputError: if an id is outside the vocabulary.
        """
        ids = self._checked(ids)
        parts = itertools.groupby(ids, key=self._names.__contains__)
        return ''.join(
            ''.join(self._names[i] for i in part) if named else self._decode(list(part))
            for named, part in parts
        )

    def _checked(self, ids: Sequence[int]) -> list[int]:
        ids = [int(i) for i in ids]
        wrong = next((i for i in ids if not 0 <= i < self.vocab_size), None)
        if wrong is not None:
            raise InputError(f'Token id {wrong} is not one of 0 to {self.vocab_size - 1}.')
        return ids

    def _encode(self, texts: list[str]) -> list[list[int]]:
        raise NotImplementedError

    def _decode(self, ids: list[int]) -> str:
        raise NotImplementedError


def looks_special(token: str) -> bool:
    """Whether a token has the form of those that no text encodes to: `<|user|>`, `</s>`."""
    return bool(_SPECIAL.fullmatch(token))


def used(types: Sequence[int]) -> int:
    """How many tokens there are before those that only fill up a model's table."""
    return max((i + 1 for i, kind in enumerate(types) if kind not in (UNKNOWN, UNUSED)), default=0)


def _ends(special: Mapping[str, int], vocab_size: int, end: str | None) -> list[int]:
    """The ids of `<|endoftext|>` and of what the files call the end, of those that there are."""
    names = [END_OF_TEXT] if end is None else [END_OF_TEXT, end]
    found = [special[name] for name in names if name in special]
    if not found:
        raise InputError(
            f'The tokenizer has no {" nor ".join(dict.fromkeys(names))} among its {vocab_size} '
            'tokens; phijax separates documents by it.'
        )
    return found


def _reject_surrogates(texts: Sequence[str]) -> None:
    for text in texts:
        found = re.search('[\ud800-\udfff]', text)
        if found:
            raise InputError(
                f'The text has the lone surrogate {found.group()!r} at {found.start()}; only '
                'text that UTF-8 can hold has tokens.'
            )


def parsed(read: Callable[[], Any], source: object) -> Any:
    """What `read` returns.

    Raises:
        InputError: it raised; the message says that `source` is not a tokenizer.
    """
    # `tokenizers` raises a bare Exception for every file that it cannot parse.
    try:
        return read()
    except Exception as error:
        raise InputError(f'{source} is not a tokenizer that can be read: {error}') from error
