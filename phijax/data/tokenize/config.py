"""What to tokenise, as frozen values that are checked before any work is done."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phijax.data.settings import build, check
from phijax.data.tokenize.chats import Chats, LibraryChats, LibraryPreferences, Preferences
from phijax.data.tokenize.sources import Files, Hub, Installed, Source, StandardLibrary
from phijax.data.tokenizer import BYTES
from phijax.errors import InputError

RESERVED = ('documents', 'tokenizer')
KINDS: dict[str, Any] = {
    source.kind: source
    for source in (
        *(Files, StandardLibrary, Installed, Hub),
        *(Chats, Preferences, LibraryChats, LibraryPreferences),
    )
}


@dataclass(frozen=True)
class Config:
    """What to tokenise, and how.

    Attributes:
        sources: by the name that mixture weights use.
        tokenizer: a path or hub name; empty trains one on a sample of the sources.
        vocab_size: of a tokenizer that is trained; at least 257, the bytes and the end of text.
        sample_bytes: of text that a tokenizer is trained on, spread evenly over the training split.
        heldout_fraction: of the documents, chosen by the hash of their text.
        part_bytes: of text in a Parquet part and the shards made from it.
        max_document_bytes: a longer document is dropped as `too_large`: its encoding would need
            about 30 times its size in memory.
    """

    sources: Mapping[str, Source]
    tokenizer: str = ''
    vocab_size: int = 8192
    sample_bytes: int = 2_000_000
    heldout_fraction: float = 0.01
    part_bytes: int = 256 << 20
    max_document_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            InputError: at the first that cannot be used.
        """
        if not self.sources:
            raise InputError('sources is empty; name at least one source.')
        for name, source in self.sources.items():
            _check_name(name)
            check(source.max_bytes >= 0, f'sources.{name}.max_bytes', source.max_bytes, '0 or more')
        check(0 <= self.heldout_fraction < 1, 'heldout_fraction', self.heldout_fraction, '[0, 1)')
        check(self.vocab_size > BYTES, 'vocab_size', self.vocab_size, f'more than {BYTES}')
        for field in ('sample_bytes', 'part_bytes', 'max_document_bytes'):
            check(getattr(self, field) > 0, field, getattr(self, field), 'more than 0')

    def to_dict(self) -> dict[str, Any]:
        """The same as nested plain values, which `from_dict` takes."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields['sources'] = {
            name: {'kind': source.kind} | dataclasses.asdict(source)  # type: ignore[call-overload]
            for name, source in self.sources.items()
        }
        return fields

    @property
    def digest(self) -> str:
        """The sha256 of all values: directories made with equal digests hold the same work."""
        plain = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(plain.encode()).hexdigest()


def from_dict(values: Mapping[str, Any]) -> Config:
    """The config of nested plain values; each source has a `kind` and the fields of that kind.

    Raises:
        InputError: if a key is unknown or missing, with the nearest one.
    """
    groups = values.get('sources', {})
    check(isinstance(groups, Mapping), 'sources', groups, 'groups of fields by name')
    sources = {str(name): source(name, fields) for name, fields in groups.items()}
    return build(Config, {**values, 'sources': sources}, '')


def source(name: str, values: Any) -> Source:
    """The source of plain values: its `kind`, and the fields of that kind.

    Raises:
        InputError: if there is no such kind, or a field is not one of its.
    """
    check(isinstance(values, Mapping), f'sources.{name}', values, 'a group of fields')
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    kind = fields.pop('kind', None)
    if kind not in KINDS:
        raise InputError(f'sources.{name}.kind is {kind!r}; it must be one of {", ".join(KINDS)}.')
    return build(KINDS[kind], fields, f'sources.{name}.')


def _check_name(name: str) -> None:
    if not re.fullmatch(r'[A-Za-z0-9_-]+', name) or name in RESERVED:
        raise InputError(
            f'{name!r} cannot name a source: use letters, digits, _ and -, and not '
            f'{" or ".join(RESERVED)}.'
        )
