"""Documents in sets: long enough, none in two, the same whatever the seed."""

import dataclasses
import itertools
import json
import shutil

import numpy as np
import pytest

from phijax.data import document
from phijax.data.tokenizer import load
from phijax.errors import InputError
from phijax.longrope import texts
from phijax.longrope.plan import Texts

SIZES = Texts(directory='', search=4, selection=3, report=6)


def test_rows_are_the_beginnings_of_held_out_documents(source):
    rows = np.concatenate(list(texts.sets(source / 'data', SIZES, 64).values()))
    assert rows.shape == (13, 65)
    assert rows.dtype == np.int32
    tokenizer = load(source / 'data' / 'tokenizer')
    stored = (source / 'data' / 'documents' / 'long').glob('*.parquet')
    known = {d.text: d.id for path in stored for group in document.read(path) for d in group}
    for row in rows:
        text = tokenizer.decode(row.tolist())
        (identity,) = (known[each] for each in known if each.startswith(text))
        assert int(identity[:13], 16) < 0.7 * 16**13  # held out


def test_no_text_is_in_two_sets(source):
    sets = texts.sets(source / 'data', SIZES, 64)
    assert {name: len(rows) for name, rows in sets.items()} == {
        'search': 4,
        'selection': 3,
        'report': 6,
    }
    members = [{row.tobytes() for row in rows} for rows in sets.values()]
    assert [len(each) for each in members] == [4, 3, 6]
    assert not any(one & other for one, other in itertools.combinations(members, 2))


def test_documents_that_begin_alike_count_once(source, tmp_path):
    sizes = dataclasses.replace(SIZES, report=2)
    data = shutil.copytree(source / 'data', tmp_path / 'data')
    twice = json.loads((data / 'manifest.json').read_text())
    splits = twice['sources']['long']['splits']
    splits['heldout']['shards'] *= 2
    (data / 'manifest.json').write_text(json.dumps(twice))
    again = texts.sets(data, sizes, 64)
    for name, rows in texts.sets(source / 'data', sizes, 64).items():
        np.testing.assert_array_equal(again[name], rows)


def test_too_few_long_texts_are_told(source):
    told = r'data has 0 held-out documents of more than 4000 tokens, and texts\.search.* need 13'
    with pytest.raises(InputError, match=told):
        texts.sets(source / 'data', SIZES, 4000)
