"""Settings: frozen dataclasses made of a config's plain values, checked by name and type."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from phijax.errors import InputError

T = TypeVar('T')


def check(holds: bool, field: str, value: Any, allowed: str) -> None:
    """Returns when the condition holds.

    Raises:
        InputError: otherwise, with the field, its value and what is allowed.
    """
    if not holds:
        raise InputError(f'{field} is {value!r}; it must be {allowed}.')


def build(make: type[T], values: Mapping[str, Any], prefix: str = '') -> T:
    """A frozen dataclass of plain values whose names and types are its fields'.

    Args:
        make: the dataclass; its fields of type `str`, `int`, `float`, `bool` and `tuple[str, ...]`
            are checked.
        prefix: what stands before a field's name in a message, such as `sources.web.`.

    Raises:
        InputError: if a key is unknown, with the nearest one, if one is missing, or has a value of
            another type.
    """
    fields = {field.name: field.default for field in dataclasses.fields(make)}  # type: ignore[arg-type]
    unknown = sorted(values.keys() - fields.keys())
    if unknown:
        raise InputError(f'{prefix}{unknown[0]} is not a setting{_nearest(unknown[0], fields)}.')
    needed = {name for name, default in fields.items() if default is dataclasses.MISSING}
    missing = sorted(needed - values.keys())
    if missing:
        raise InputError(f'{prefix}{missing[0]} is missing.')
    for field in dataclasses.fields(make):  # type: ignore[arg-type]
        if field.name in values and field.type in _KINDS:
            what, fits = _KINDS[field.type]
            check(fits(values[field.name]), prefix + field.name, values[field.name], what)
    return make(**values)


def tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values out of a file of JSON, with tuples where it has lists."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


# What a field of each type takes, in words and as a check. One text is no list of texts: its
# characters would be the patterns.
_KINDS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    'str': ('a text', lambda value: isinstance(value, str)),
    'int': ('a whole number', lambda value: _is_number(value) and isinstance(value, int)),
    'float': ('a number', _is_number),
    'bool': ('True or False', lambda value: isinstance(value, bool)),
    'tuple[str, ...]': ('a list of texts', _is_texts),
}


def _nearest(key: str, allowed: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, allowed, n=1, cutoff=0.5)
    return f'; did you mean {close[0]}?' if close else f'; there are {", ".join(allowed)}'
