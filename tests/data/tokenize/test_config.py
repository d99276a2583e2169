import dataclasses
import json

import pytest

from phijax.data import tokenize
from phijax.data.tokenize import Config, Files, Hub, StandardLibrary
from phijax.errors import InputError

EVERY = {
    'code': {'kind': 'files', 'paths': ['a/*.py', 'b/*.md']},
    'python': {'kind': 'stdlib', 'max_bytes': 10},
    'web': {'kind': 'hub', 'dataset': 'someone/something', 'column': 'content'},
}


def test_plain_values_make_a_config():
    config = tokenize.from_dict({'sources': EVERY, 'vocab_size': 300})
    assert config.sources == {
        'code': Files(('a/*.py', 'b/*.md')),
        'python': StandardLibrary(max_bytes=10),
        'web': Hub('someone/something', column='content'),
    }
    assert config.vocab_size == 300


def test_a_config_is_plain_values_and_back():
    config = tokenize.from_dict({'sources': EVERY, 'heldout_fraction': 0.25})
    plain = json.loads(json.dumps(config.to_dict()))
    assert tokenize.from_dict(plain) == config
    assert tokenize.from_dict(plain).digest == config.digest


def test_every_value_is_in_the_digest():
    config = Config({'code': Files(('a',))})
    changed = [
        dataclasses.replace(config, **{name: value})
        for name, value in {
            'sources': {'code': Files(('a',), column='other')},
            'tokenizer': 'gpt2',
            'vocab_size': 999,
            'sample_bytes': 1,
            'heldout_fraction': 0.5,
            'part_bytes': 1,
            'max_document_bytes': 1,
        }.items()
    ]
    assert len(changed) == len(dataclasses.fields(Config))
    assert len({config.digest, *(each.digest for each in changed)}) == len(changed) + 1


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({}, 'sources is empty'),
        ({'sources': {}}, 'sources is empty'),
        ({'sources': EVERY, 'vocab_sise': 3}, r'vocab_sise is not .*; did you mean vocab_size\?'),
        ({'sources': EVERY, 'zzz': 3}, 'zzz is not a setting; there are sources, tokenizer, voc'),
        ({'sources': EVERY, 'vocab_size': 256}, 'vocab_size is 256; it must be more than 256'),
        ({'sources': EVERY, 'heldout_fraction': 1.0}, r'heldout_fraction is 1.0; .* \[0, 1\)'),
        ({'sources': EVERY, 'part_bytes': 0}, 'part_bytes is 0'),
        (
            {'sources': {'a': {}}},
            r'a\.kind is None; it must be one of files, stdlib, installed, hub',
        ),
        ({'sources': {'a': {'kind': 'zip'}}}, r"a\.kind is 'zip'"),
        ({'sources': {'a': {'kind': 'files'}}}, r'sources\.a\.paths is missing'),
        ({'sources': {'a': {'kind': 'hub', 'data_set': 'x'}}}, r'data_set is .* mean dataset\?'),
        ({'sources': {'a': {'kind': 'stdlib', 'max_bytes': -1}}}, r'a\.max_bytes is -1'),
        ({'sources': 5}, 'sources is 5; it must be groups of fields by name'),
        ({'sources': {'a': 'files'}}, r"sources\.a is 'files'; it must be a group of fields"),
        ({'sources': {'a': {'kind': 'files', 'paths': 'a/*.py'}}}, r'a\.paths is .* list of texts'),
        ({'sources': {'a': {'kind': 'files', 'paths': [1]}}}, r'a\.paths is .* list of texts'),
        (
            {'sources': {'a': {'kind': 'stdlib', 'max_bytes': 1.5}}},
            r'bytes is 1\.5; .* whole number',
        ),
        ({'sources': EVERY, 'vocab_size': '300'}, "vocab_size is '300'; it must be a whole number"),
        ({'sources': EVERY, 'vocab_size': True}, 'vocab_size is True; it must be a whole number'),
        (
            {'sources': EVERY, 'heldout_fraction': None},
            'heldout_fraction is None; it must be a num',
        ),
        ({'sources': EVERY, 'tokenizer': 5}, 'tokenizer is 5; it must be a text'),
        ({'sources': {'a/b': {'kind': 'stdlib'}}}, "'a/b' cannot name a source"),
        ({'sources': {'documents': {'kind': 'stdlib'}}}, "'documents' cannot name a source"),
    ],
)
def test_values_that_cannot_be(values, message):
    with pytest.raises(InputError, match=message):
        tokenize.from_dict(values)
