"""Python values as one line of JSON, and back: exact types, nothing that could act.

JSON's own types are themselves; every other value is an object with one key, its tag. What arrives
is built of exact built-in types, so that nothing in it can lie about being equal. A value of
another type stays where it is and travels as a number, its handle.

`ast.literal_eval` on `repr` would do the same, but on a line of 8 MB of list it takes 16 s and
3.7 GB where JSON takes 0.1 s and 0.06 GB: a program could choke whoever reads its answer.
"""

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_BYTES = 8 << 20
MAX_DIGITS = 20
BUILD_SECONDS = 2.0


class ProtocolError(ValueError):
    """A line that is not what was agreed on."""


class Oversize(ProtocolError):
    """A line, or a value, that is too large."""


def write(value: Any, handle: Callable[[Any], int]) -> bytes:
    """The line for a value, without its end.

    Args:
        value: what to send; subclasses of built-in types are sent as these.
        handle: gives the number under which an object of another type is kept; may raise TypeError.

    Raises:
        Oversize: the line would have more than 8 MB.
        TypeError: a value cannot be sent.
    """
    try:
        line = json.dumps(_pack(value, handle), separators=(',', ':')).encode('ascii')
    except (RecursionError, ValueError) as error:
        raise Oversize(f'nested too deep: {error}') from None
    if len(line) >= MAX_BYTES:
        raise Oversize(f'a value of {len(line)} bytes, at most {MAX_BYTES}')
    return line


def read(line: bytes, find: Callable[[int, str], Any]) -> Any:
    """The value of a line.

    Args:
        line: what `write` gave, or anything else.
        find: gives the object, or a stand-in, for a handle and the name of its type.

    Raises:
        ProtocolError: the line is no value, or takes too long to build (keys of one hash).
    """
    deadline = time.monotonic() + BUILD_SECONDS
    builders: dict[str, Callable[[Any], Any]] = {
        **_BUILDERS,
        'set': lambda items: set(_timed(items, deadline)),
        'frozenset': lambda items: frozenset(_timed(items, deadline)),
        'dict': lambda pairs: dict(map(_typed, _timed(pairs, deadline))),
        'handle': lambda pair: find(*_typed(pair, int, str)),
    }

    def build(pairs: list[tuple[str, Any]]) -> Any:
        [(tag, content)] = pairs
        return builders[tag](content)

    try:
        return json.loads(line, object_pairs_hook=build, parse_int=_parse_integer)
    except ProtocolError:
        raise
    except RecursionError:
        raise ProtocolError('nested too deep') from None
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise ProtocolError(f'{type(error).__name__}: {str(error)[:100]}') from None


def _pack(value: Any, handle: Callable[[Any], int]) -> Any:
    """What JSON shall write for a value."""
    kind = type(value)
    if kind in (type(None), bool, str, float):
        return value
    if issubclass(kind, int):
        plain = int.__index__(value)
        return plain if abs(plain) < 1 << 63 else {'int': hex(plain)}
    if issubclass(kind, list):
        return [_pack(item, handle) for item in list.__iter__(value)]
    for base, content in _CONTENTS.items():
        if issubclass(kind, base):
            packed = _pack(content(value), handle)
            return {base.__name__.lower(): packed} if base not in (str, float) else packed
    return {'handle': [handle(value), kind.__name__]}


# What a value of a type, or of one that derives from it, is written by.
_CONTENTS: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    float: float.__float__,
    tuple: lambda value: list(tuple.__iter__(value)),
    dict: lambda value: [list(pair) for pair in dict.items(value)],
    set: lambda value: list(set.__iter__(value)),
    frozenset: lambda value: list(frozenset.__iter__(value)),
    complex: lambda value: [value.real, value.imag],
    bytes: bytes.hex,
    range: lambda value: [value.start, value.stop, value.step],
    Decimal: Decimal.__str__,
    Fraction: lambda value: [value.numerator, value.denominator],
}

_BUILDERS: dict[str, Callable[[Any], Any]] = {
    'int': lambda text: int(text, 16),
    'tuple': lambda items: tuple(_typed(items)),
    'complex': lambda pair: complex(*_typed(pair, float, float)),
    'bytes': bytes.fromhex,
    'range': lambda triple: range(*_typed(triple, int, int, int)),
    'decimal': Decimal,
    'fraction': lambda pair: Fraction(*_typed(pair, int, int)),
}


def _typed(items: Any, *types: type) -> list:
    """A list, whose items are exactly of these types where there are any."""
    if type(items) is not list or (types and tuple(map(type, items)) != types):
        raise ProtocolError(f'not a list of {[kind.__name__ for kind in types] or "values"}')
    return items


def _timed(items: Any, deadline: float) -> Iterator[Any]:
    """The items as long as there is time: each may be compared with all before it."""
    for place, item in enumerate(_typed(items)):
        if place % 64 == 0 and time.monotonic() > deadline:
            raise ProtocolError(f'a set or dict that takes more than {BUILD_SECONDS:g} s to build')
        yield item


def _parse_integer(digits: str) -> int:
    """An int of few digits; longer ones are written in base 16, which takes no quadratic time."""
    if len(digits) > MAX_DIGITS:
        raise ProtocolError(f'an int of {len(digits)} digits')
    return int(digits)
