"""JSON values in what a model wrote, checked against the part of JSON Schema that is supported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from phijax.errors import InputError

TYPES: dict[str, tuple[type, ...]] = {
    'object': (dict,),
    'array': (list,),
    'string': (str,),
    'integer': (int,),
    'number': (int, float),
    'boolean': (bool,),
}
# Words that say nothing about a value, and those that each type may have.
REMARKS = frozenset({'title', 'description'})
KEYWORDS: dict[str, frozenset[str]] = {
    'object': frozenset({'properties', 'required', 'additionalProperties'}),
    'array': frozenset({'items', 'minItems', 'maxItems'}),
    'string': frozenset({'enum', 'minLength', 'maxLength'}),
    'integer': frozenset({'minimum', 'maximum'}),
    'number': frozenset({'minimum', 'maximum'}),
    'boolean': frozenset(),
}
_FENCE = re.compile(r'```(?:json)?[ \t]*\n(.*?)```', re.DOTALL)


class Reading(NamedTuple):
    """A value, or what is wrong with the text, in words that a model understands."""

    value: Any
    problem: str


def check_schema(schema: Any, path: str = 'schema') -> None:
    """Returns when the schema says nothing that is not checked.

    Raises:
        InputError: at a type or a keyword that is not supported, with those that are.
    """
    kind = schema.get('type') if isinstance(schema, Mapping) else None
    if not isinstance(kind, str) or kind not in TYPES:
        raise InputError(f'{path}.type is {kind!r}; it must be one of {", ".join(TYPES)}.')
    unknown = schema.keys() - KEYWORDS[kind] - REMARKS - {'type'}
    if unknown:
        known = ', '.join(sorted(KEYWORDS[kind])) or 'none'
        raise InputError(f'{path}.{min(unknown)} is not supported; {kind} has {known}.')
    if schema.get('additionalProperties', False) is not False:
        raise InputError(f'{path}.additionalProperties is true; it must be false or absent.')
    inside = {f'properties.{name}': inner for name, inner in schema.get('properties', {}).items()}
    for name, inner in (inside | ({'items': schema['items']} if 'items' in schema else {})).items():
        check_schema(inner, f'{path}.{name}')


def read(text: str, schema: Mapping[str, Any]) -> Reading:
    """The value that a text is, or that stands in its one fenced block.

    A text that is JSON is taken at its word: a block is looked for only in one that is not.
    """
    fenced = _FENCE.findall(text)
    reading = _parse(text)
    if reading.problem and len(fenced) == 1:
        reading = _parse(fenced[0])
    if not reading.problem:
        problem = next(_problems(reading.value, schema, 'the value'), '')
        reading = Reading(None if problem else reading.value, problem)
    return reading


def _parse(text: str) -> Reading:
    try:
        return Reading(json.loads(text, parse_constant=_refuse), '')
    except (ValueError, RecursionError) as error:
        return Reading(None, f'it is not JSON ({error}).')


def _refuse(constant: str) -> None:
    raise ValueError(f'{constant} is no JSON')


def _problems(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """What is wrong with a value, one sentence each."""
    kind = schema['type']
    if isinstance(value, bool) != (kind == 'boolean') or not isinstance(value, TYPES[kind]):
        yield f'{path} must be of type {kind}.'
    else:
        yield from _CHECKS[kind](value, schema, path)


def _in_object(value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    properties = schema.get('properties', {})
    for name in schema.get('required', ()):
        if name not in value:
            yield f'{path} lacks {name!r}.'
    for name, inner in value.items():
        if name in properties:
            yield from _problems(inner, properties[name], f'{path}.{name}')
        elif 'additionalProperties' in schema:
            yield f'{path} may not have {name!r}.'


def _in_array(value: list[Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    yield from _outside(len(value), schema, ('minItems', 'maxItems'), f'length of {path}')
    if 'items' in schema:
        for index, inner in enumerate(value):
            yield from _problems(inner, schema['items'], f'{path}[{index}]')


def _in_string(value: str, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    yield from _outside(len(value), schema, ('minLength', 'maxLength'), f'length of {path}')
    if value not in schema.get('enum', (value,)):
        yield f'{path} must be one of {json.dumps(schema["enum"])}.'


def _in_number(value: float, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    return _outside(value, schema, ('minimum', 'maximum'), path)


def _outside(
    value: float, schema: Mapping[str, Any], keywords: tuple[str, str], what: str
) -> Iterator[str]:
    low, high = (schema.get(keyword) for keyword in keywords)
    # Written so that a number that is no number fails.
    if low is not None and not value >= low:
        yield f'{what} must be {low} or more.'
    if high is not None and not value <= high:
        yield f'{what} must be {high} or less.'


_CHECKS: dict[str, Callable[[Any, Mapping[str, Any], str], Iterator[str]]] = {
    'object': _in_object,
    'array': _in_array,
    'string': _in_string,
    'integer': _in_number,
    'number': _in_number,
    'boolean': lambda value, schema, path: iter(()),
}
