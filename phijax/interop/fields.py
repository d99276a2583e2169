"""The values of a config.json that somebody else wrote, taken one by one and checked."""

import json
import math
from pathlib import Path
from typing import Any

from phijax.errors import InputError

_REQUIRED: Any = object()
_LARGEST_FILE = 1 << 24


class MissingFileError(InputError, FileNotFoundError):
    """A file or directory that is not there; the message says what was looked for."""


class Fields:
    """A JSON object whose values are asked for by name and kind. A null is an absent value.

    Every method raises InputError for a value of another kind, and for an absent one without a
    `default`.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        """Wraps `values`."""
        self.values = values

    def integer(self, name: str, default: int = _REQUIRED) -> int:
        """A whole number."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(f'{name} must be a whole number, got {value!r}')
        return value

    def number(self, name: str, default: float = _REQUIRED) -> float:
        """A finite number."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise InputError(f'{name} must be a finite number, got {value!r}')
        return float(value)

    def numbers(self, name: str, default: list[float] = _REQUIRED) -> tuple[float, ...]:
        """Finite numbers in a row."""
        values = self._value(name, default)
        if not isinstance(values, list):
            raise InputError(f'{name} must be a list of numbers, got {values!r}')
        return tuple(Fields({name: value}).number(name) for value in values)

    def flag(self, name: str, default: bool = _REQUIRED) -> bool:
        """True or false."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise InputError(f'{name} must be true or false, got {value!r}')
        return value

    def group(self, name: str) -> 'Fields':
        """The object under `name`, empty when there is none."""
        value = self._value(name, {})
        if not isinstance(value, dict):
            raise InputError(f'{name} must be an object, got {value!r}')
        return Fields(value)

    def only(self, name: str, *allowed: Any) -> None:
        """Returns when the value is absent or one of `allowed`, all that can be computed."""
        value = self._value(name, None)
        if value is not None and value not in allowed:
            known = ' or '.join(map(repr, allowed)) or 'no value'
            raise InputError(f'{name} {value!r} is not supported (supported: {known})')

    def _value(self, name: str, default: Any) -> Any:
        value = self.values.get(name)
        if value is not None:
            return value
        if default is _REQUIRED:
            raise InputError(f'{name} is missing')
        return default


def read_json(path: Path) -> dict[str, Any]:
    """The object in a small JSON file.

    Raises:
        MissingFileError: there is no such file.
        InputError: it is not JSON, not an object, or too large to be meant.
    """
    if not path.is_file():
        raise MissingFileError(f'{path} does not exist')
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise InputError(f'{path} has {size} bytes; at most {_LARGEST_FILE} are read')
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise InputError(f'{path} is not JSON: {error}') from error
    if not isinstance(values, dict):
        raise InputError(f'{path} must be a JSON object, got {type(values).__name__}')
    return values


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False
