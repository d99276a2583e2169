"""Values keep their exact types on the way, and no line does more than be refused."""

import decimal
import fractions
import json
import math
import time
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from phijax.sandbox import values
from phijax.sandbox.values import BUILD_SECONDS, MAX_BYTES, Oversize, ProtocolError

HASHED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.builds(range, st.integers(), st.integers(), st.integers(1)),
    lambda inner: st.lists(inner).map(tuple) | st.frozensets(inner),
    max_leaves=4,
)
VALUES = st.recursive(
    HASHED,
    lambda inner: st.lists(inner) | st.sets(HASHED) | st.dictionaries(HASHED, inner),
    max_leaves=8,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(st.sampled_from([*values._BUILDERS, 'set', 'dict', 'handle']), inner)
    ),
    max_leaves=20,
)


def refuse(value: Any) -> int:
    raise TypeError(f'no number for {value!r}')


def find(number: int, kind: str) -> tuple[str, int, str]:
    return 'stand-in', number, kind


def travel(value: Any) -> Any:
    return values.read(values.write(value, refuse), find)


def exact(value: Any) -> Any:
    """The value with the type of each part."""
    if isinstance(value, list | tuple | set | frozenset):
        parts = [exact(part) for part in value]
        ordered = isinstance(value, list | tuple)
        return type(value), parts if ordered else sorted(parts, key=repr)
    if isinstance(value, dict):
        return dict, [(exact(key), exact(part)) for key, part in value.items()]
    return type(value), repr(value)


@hypothesis.given(VALUES)
@hypothesis.settings(max_examples=50)
def test_values_arrive_as_they_were(value: Any) -> None:
    line = values.write(value, refuse)
    assert b'\n' not in line
    assert exact(values.read(line, find)) == exact(value)


@hypothesis.given(JSON)
def test_other_lines_are_refused(content: Any) -> None:
    """Whatever JSON says: a value comes out, or ProtocolError, and nothing else."""
    try:
        values.read(json.dumps(content).encode(), find)
    except ProtocolError:
        return


@hypothesis.given(st.binary(max_size=200))
def test_bytes_that_are_no_json_are_refused(line: bytes) -> None:
    try:
        values.read(line, find)
    except ProtocolError:
        return


@pytest.mark.parametrize('number', [math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308])
def test_floats_are_exact(number: float) -> None:
    assert repr(travel(number)) == repr(number)
    assert repr(travel(complex(1, number))) == repr(complex(1, number))


def test_nan_arrives() -> None:
    assert math.isnan(travel([math.nan])[0])


def test_long_numbers_take_no_quadratic_time() -> None:
    number = 7**1_000_000
    started = time.monotonic()
    assert travel(number) == number
    assert time.monotonic() - started < 2
    with pytest.raises(ProtocolError, match='an int of 4000 digits'):
        values.read(b'9' * 4000, find)


class Liar(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __index__(self) -> int:
        return 9


def test_derived_types_arrive_as_what_they_derive_from() -> None:
    class Names(list):
        def __iter__(self) -> Any:
            return iter(['a lie'])

    class Text(str):
        def __str__(self) -> str:
            return 'a lie'

    assert exact(travel(Names(['a']))) == exact(['a'])
    assert exact(travel(Text('a'))) == exact('a')
    assert exact(travel(Liar(4))) == exact(4)
    assert travel(True) is True


def test_other_objects_are_numbered() -> None:
    things = [object(), print]
    line = values.write(things, things.index)
    assert values.read(line, find) == [
        ('stand-in', 0, 'object'),
        ('stand-in', 1, 'builtin_function_or_method'),
    ]
    with pytest.raises(TypeError, match='no number for'):
        values.write([print], refuse)


def test_too_much_is_refused() -> None:
    with pytest.raises(Oversize, match='at most 8388608'):
        values.write('x' * MAX_BYTES, refuse)
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Oversize, match='nested too deep'):
        values.write(deep, refuse)
    with pytest.raises(ProtocolError, match='nested too deep'):
        values.read(b'[' * 100_000 + b']' * 100_000, find)


def test_keys_of_one_hash_are_given_up() -> None:
    keys = ','.join(f'{{"int":"{n * (2**61 - 1):x}"}}' for n in range(200_000))
    started = time.monotonic()
    with pytest.raises(ProtocolError, match='to build'):
        values.read(f'{{"set":[{keys}]}}'.encode(), find)
    assert time.monotonic() - started < BUILD_SECONDS + 5


@pytest.mark.parametrize(
    'line',
    [
        b'',
        b'{}',
        b'{"list":[1]}',
        b'{"int":"1","tuple":[]}',
        b'{"set":[[]]}',
        b'{"dict":[[1]]}',
        b'{"dict":["ab"]}',
        b'{"handle":["1","x"]}',
        b'{"handle":[true,"x"]}',
        b'{"complex":["1","2"]}',
        b'{"fraction":["1e999999999",1]}',
        b'{"fraction":[1,0]}',
        b'{"range":[0,1,0]}',
        b'{"decimal":"nine"}',
        b'\xff',
    ],
)
def test_wrong_line_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        values.read(line, find)


def test_equal_numbers_of_other_kinds_stay_apart() -> None:
    content = [1, 1.0, True, decimal.Decimal(1), fractions.Fraction(1), 1 + 0j]
    assert list(map(type, travel(content))) == list(map(type, content))
