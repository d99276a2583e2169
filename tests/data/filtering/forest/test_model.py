"""Files that bring a forest back, and every way to bend them."""

import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from phijax.data.errors import MissingDataError
from phijax.data.filtering import forest
from phijax.data.filtering.forest import trees
from phijax.data.filtering.forest.model import ARRAYS, CARD, Forest
from phijax.errors import InputError
from tests.data.filtering.forest.planted import SETTINGS, WIDTH, planted


def test_files_bring_it_back(fitted, tmp_path):
    ours, features, _ = fitted
    ours.save(tmp_path / 'forest')
    assert {path.name for path in (tmp_path / 'forest').iterdir()} == {ARRAYS, CARD}
    again = Forest.load(tmp_path / 'forest')
    assert (again.digest, again.report, again.embedder) == (ours.digest, ours.report, 'abc')
    assert np.array_equal(again.predict_proba(features), ours.predict_proba(features))
    again.save(tmp_path / 'forest')  # over itself
    assert Forest.load(tmp_path / 'forest').digest == ours.digest
    with pytest.raises(MissingDataError, match=r'has no forest\.json'):
        Forest.load(tmp_path)


def test_features_of_another_embedder_are_refused(fitted):
    ours, features, labels = fitted
    ours.check_embedder('abc')
    with pytest.raises(InputError, match='the embedder abc, these are of abd'):
        ours.check_embedder('abd')
    forest.fit(features, labels, SETTINGS).check_embedder('any')


@pytest.fixture
def saved(fitted, tmp_path):
    fitted[0].save(tmp_path / 'forest')
    return tmp_path / 'forest'


def test_any_changed_byte_is_refused(saved):
    """Of the arrays' file; some change its header, some a number."""
    good = (saved / ARRAYS).read_bytes()
    random = np.random.default_rng(0)
    places = [0, 9, *random.integers(8, len(good), size=40).tolist(), len(good) - 1]
    for place in places:
        bent = bytearray(good)
        bent[place] ^= 1 << int(random.integers(8))
        (saved / ARRAYS).write_bytes(bent)
        with pytest.raises(InputError):
            Forest.load(saved)
    for text in (b'', good[:-1], good + b'\0', b'\xff' * 64):
        (saved / ARRAYS).write_bytes(text)
        with pytest.raises(InputError):
            Forest.load(saved)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'digest': '0' * 64}, 'the card says 000'),
        ({'width': 13}, 'the digest is'),
        ({'classes': [0, 2]}, 'the digest is'),
        ({'positive': 0}, 'the digest is'),
        ({'embedder': 'abd'}, 'the digest is'),
        ({'format': 2}, 'not a card of format 1'),
        ({'more': 2}, 'not a card of format 1'),
        ({'width': '12'}, 'must be whole numbers'),
        ({'embedder': None}, 'embedder must be a text'),
        ({'report': []}, 'report an object'),
        ({'classes': 2}, 'must be whole numbers'),
        ({'width': 2}, 'a feature is not in 0..1'),
        ({'classes': [0, 1, 2]}, 'value has the shape'),
    ],
)
def test_a_changed_card_is_refused(saved, changes, said):
    card = json.loads((saved / CARD).read_text())
    (saved / CARD).write_text(json.dumps(card | changes))
    with pytest.raises(InputError, match=said):
        Forest.load(saved)


def test_a_card_that_is_none_is_refused(saved):
    for text in ('', '[]', '{', 'null', '{"format": 1}'):
        (saved / CARD).write_text(text)
        with pytest.raises(InputError):
            Forest.load(saved)


def _set(name, place, value):
    def change(arrays):
        inner = np.flatnonzero(arrays['feature'] >= 0)
        where = {'inner': inner[0], 'leaf': np.flatnonzero(arrays['feature'] < 0)[0]}
        arrays[name][where.get(place, place)] = value

    return change


def _cycle(arrays):
    node = np.flatnonzero(arrays['feature'] >= 0)[5]
    arrays['right'][node] = node


def _shared(arrays):
    """Two nodes with the same right child, another with none."""
    first, second = np.flatnonzero(arrays['feature'] >= 0)[:2]
    arrays['right'][second] = arrays['right'][first]


def _replace(name, change):
    return lambda arrays: arrays.update({name: change(arrays[name])})


BENT = {
    'a cycle': (_cycle, 'a child is not after its parent'),
    'a child before': (_set('right', 'inner', 0), 'a child is not after its parent'),
    'a child of another tree': (_set('right', 'inner', -2), 'a child is not after its parent'),
    'a child out of range': (_set('right', 'inner', 1 << 30), 'a child is not after its parent'),
    'two parents': (_shared, 'a node has not one parent'),
    'a leaf with a child': (_set('right', 'leaf', 1), 'a leaf has a right child'),
    'a feature too large': (_set('feature', 'inner', WIDTH), r'a feature is not in 0\.\.11'),
    'a negative feature': (_set('feature', 'inner', -2), r'a feature is not in 0\.\.11'),
    'a leaf more': (_set('feature', 'inner', -1), 'a leaf has a right child'),
    'NaN as threshold': (_set('threshold', 'inner', np.nan), 'not a finite number'),
    'NaN as share': (_set('value', 'leaf', np.nan), 'not shares'),
    'a negative share': (_set('value', 'leaf', [-1, 2]), 'not shares'),
    'shares of two': (_set('value', 'leaf', [1, 1]), 'not shares'),
    'shares of a node': (_set('value', 'inner', [1, 0]), 'no leaf has shares'),
    'a start that falls': (_set('start', 1, 0), 'start is not rising'),
    'a start beyond': (_set('start', -1, 1 << 40), 'start is not rising'),
    'a tree less': (_replace('start', lambda x: x[:-1]), 'start is not rising'),
    'no tree': (_replace('start', lambda x: x[:1]), 'there is none'),
    'flat shares': (_replace('value', lambda x: x.ravel()), 'value has the shape'),
    'a node less': (_replace('right', lambda x: x[:-1]), 'right has the shape'),
    'single precision': (_replace('value', lambda x: x.astype('f4')), 'value is float32'),
    'wide numbers': (_replace('feature', lambda x: x.astype('i8')), 'feature is int64'),
    'a number': (_replace('start', lambda x: np.array(3)), 'start has the shape'),
}


@pytest.mark.parametrize('name', BENT)
def test_arrays_that_are_no_trees_are_refused(saved, fitted, name):
    """Also where whoever bent them made the digest fit."""
    change, said = BENT[name]
    arrays = {
        key: array.copy() for key, array in safetensors.numpy.load_file(saved / ARRAYS).items()
    }
    change(arrays)
    with pytest.raises(InputError, match=said):
        trees.check(trees.Trees(**arrays), WIDTH, 2)
    safetensors.numpy.save_file(arrays, saved / ARRAYS)
    with pytest.raises(InputError, match=said):
        Forest.load(saved)


def test_other_names_are_refused(saved):
    arrays = safetensors.numpy.load_file(saved / ARRAYS)
    del arrays['right']
    safetensors.numpy.save_file(arrays, saved / ARRAYS)
    with pytest.raises(InputError, match='not \\['):
        Forest.load(saved)


def test_old_arrays_beside_a_new_card_are_refused(saved, tmp_path):
    features, _, labels = planted(seed=2)
    forest.fit(features, labels, SETTINGS).save(tmp_path / 'other')
    shutil.copy(tmp_path / 'other' / CARD, saved / CARD)
    with pytest.raises(InputError, match='the digest is'):
        Forest.load(saved)
