"""JSON in what a model wrote: what is read, what is refused, and in which words."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phijax.data.client.schema import check_schema, read
from phijax.errors import InputError

SCHEMA = {
    'type': 'object',
    'description': 'A judgement.',
    'properties': {
        'score': {'type': 'integer', 'minimum': 0, 'maximum': 5},
        'kind': {'type': 'string', 'enum': ['code', 'prose']},
        'share': {'type': 'number', 'minimum': 0},
        'sure': {'type': 'boolean'},
        'words': {'type': 'array', 'items': {'type': 'string', 'maxLength': 5}, 'maxItems': 2},
    },
    'required': ['score', 'kind'],
    'additionalProperties': False,
}
GOOD = {'score': 3, 'kind': 'code', 'share': 0.5, 'sure': True, 'words': ['a', 'b']}


@pytest.mark.parametrize(
    'text',
    [
        json.dumps(GOOD),
        f'  {json.dumps(GOOD, indent=2)}\n',
        f'Sure!\n```json\n{json.dumps(GOOD)}\n```\nAnything else?',
        f'```\n{json.dumps(GOOD)}\n```',
    ],
)
def test_values_are_found(text):
    assert read(text, SCHEMA) == (GOOD, '')


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        ({'score': 6}, 'the value.score must be 5 or less.'),
        ({'score': -1}, 'the value.score must be 0 or more.'),
        ({'score': 3.0}, 'the value.score must be of type integer.'),
        ({'score': True}, 'the value.score must be of type integer.'),
        ({'share': True}, 'the value.share must be of type number.'),
        ({'sure': 1}, 'the value.sure must be of type boolean.'),
        ({'kind': 'verse'}, 'the value.kind must be one of ["code", "prose"].'),
        ({'words': ['abcdef']}, 'length of the value.words[0] must be 5 or less.'),
        ({'words': ['a', 'b', 'c']}, 'length of the value.words must be 2 or less.'),
        ({'words': 'ab'}, 'the value.words must be of type array.'),
        ({'extra': 1}, "the value may not have 'extra'."),
    ],
)
def test_values_that_do_not_fit(change, problem):
    assert read(json.dumps(GOOD | change), SCHEMA) == (None, problem)


def test_what_is_required_is_named():
    assert read('{"score": 1}', SCHEMA).problem == "the value lacks 'kind'."
    assert read('[]', SCHEMA).problem == 'the value must be of type object.'


@pytest.mark.parametrize(
    'text',
    [
        '',
        'no',
        '{"score": 1, "kind": "code"',
        '[' * 100_000,
        '9' * 10_000,
        '{"score": NaN, "kind": "code"}',
        '{"share": Infinity}',
        '```json\n{}\n```\n```json\n{}\n```',
    ],
)
def test_what_is_no_json(text):
    value, problem = read(text, SCHEMA)
    assert value is None
    assert problem


def test_a_number_that_is_none_does_not_pass():
    assert read('1e999', {'type': 'number', 'maximum': 5}).problem
    assert read('-1e999', {'type': 'number', 'minimum': 0}).problem


@pytest.mark.parametrize(
    ('schema', 'words'),
    [
        ({}, 'schema.type is None'),
        ({'type': ['string', 'null']}, 'schema.type'),
        ('string', 'schema.type'),
        ({'type': 'string', 'pattern': 'a'}, 'schema.pattern is not supported; string has enum'),
        ({'type': 'object', 'additionalProperties': {}}, 'schema.additionalProperties'),
        ({'type': 'object', 'properties': {'a': {'type': 'x'}}}, 'schema.properties.a.type'),
        ({'type': 'array', 'items': {'anyOf': []}}, 'schema.items.type'),
    ],
)
def test_schemas_that_are_not_supported(schema, words):
    with pytest.raises(InputError, match=words):
        check_schema(schema)


def test_a_supported_schema_passes():
    check_schema(SCHEMA)


@given(st.text(alphabet=string.printable, max_size=200))
def test_any_text_gives_a_value_or_a_problem(text):
    value, problem = read(text, SCHEMA)
    assert (value is None) == bool(problem)
