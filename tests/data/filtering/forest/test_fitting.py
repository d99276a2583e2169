"""What a forest finds and what its report says of it; samples and settings that are refused."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn import metrics

from phijax.data.errors import QualityError
from phijax.data.filtering import forest
from phijax.data.filtering.features.ngrams import NgramEmbedder
from phijax.data.filtering.forest import fitting
from phijax.data.settings import build
from phijax.errors import InputError
from tests.data.filtering.forest.planted import SETTINGS, planted


def test_planted_labels_with_noise_are_found():
    features, truth, labels = planted(3000)
    settings = forest.Settings(n_trees=60)
    held_out = forest.split([f'text {i}' for i in range(3000)], settings)
    made = forest.fit(features, labels, settings, held_out=held_out)
    score = made.score(features)
    assert metrics.roc_auc_score(truth[held_out], score[held_out]) >= 0.95
    report = made.report
    out, oob = report['held_out'], report['out_of_bag']
    assert out['samples'] == held_out.sum() == 3000 - report['samples']
    assert oob['samples'] == report['samples']
    noisy = labels[held_out]
    assert out['auc'] == metrics.roc_auc_score(noisy, score[held_out])
    assert out['average_precision'] == metrics.average_precision_score(noisy, score[held_out])
    assert out['brier'] == pytest.approx(metrics.brier_score_loss(noisy, score[held_out]))
    assert abs(oob['auc'] - out['auc']) < 0.05
    assert 0.85 < out['auc'] < 0.97  # the labels are wrong at times, and no forest knows when
    first = [each['feature'] for each in report['importances']['first'][:3]]
    assert set(first) == {0, 1, 2}


def test_words_of_texts_are_found():
    """From texts on: one of two marks stands among many words, and judges err at times."""
    random = np.random.default_rng(0)
    words = [f'name_{i}' for i in range(300)]
    truth = random.integers(2, size=800)
    texts = [
        ' '.join(random.choice(words, 30)) + (' teach explain' if mark else ' blob data')
        for mark in truth
    ]
    labels = truth ^ (random.random(800) < 0.1)
    embedder = NgramEmbedder(256, 0)
    settings = forest.Settings(n_trees=60)
    held_out = forest.split(texts, settings)
    rows = embedder.embed(texts)
    made = forest.fit(rows, labels, settings, held_out=held_out, embedder=embedder.digest)
    assert made.embedder == embedder.digest
    assert metrics.roc_auc_score(truth[held_out], made.score(rows[held_out])) >= 0.95


def test_the_report_is_plain_and_the_same_each_time(fitted):
    ours, features, labels = fitted
    again = forest.fit(features, labels, dataclasses.replace(SETTINGS, n_jobs=2), embedder='abc')
    assert again.digest == ours.digest
    settings = ours.report['settings'] | {'n_jobs': 2}
    assert again.report == ours.report | {'settings': settings}
    assert json.loads(json.dumps(ours.report)) == ours.report
    assert ours.report['labels'] == {'0': int((labels == 0).sum()), '1': int((labels == 1).sum())}
    assert ours.report['held_out'] is None


def test_few_trees_leave_rows_without_a_vote():
    features, _, labels = planted()
    made = forest.fit(features, labels, dataclasses.replace(SETTINGS, n_trees=2))
    assert 0 < made.report['out_of_bag']['samples'] < made.report['samples']


def test_split_is_by_id():
    settings = forest.Settings(held_out=0.2)
    ids = [f'{i:032x}' for i in range(4000)]
    chosen = forest.split(ids, settings)
    assert 0.17 < chosen.mean() < 0.23
    assert np.array_equal(forest.split(ids[::-1], settings)[::-1], chosen)
    larger = forest.split(ids, forest.Settings(held_out=0.4))
    assert larger[chosen].all()
    assert (forest.split(ids, forest.Settings(held_out=0.2, seed=1)) != chosen).any()
    assert not forest.split(ids, forest.Settings(held_out=0.0)).any()


@pytest.mark.parametrize(
    ('labels', 'kind', 'said'),
    [
        (np.ones(50), 'valuable', r'of 50 .*, 50 are valuable .* and 0 are not .*: 1: 50\)'),
        (np.repeat([0, 2], 25), 'grades', r'0 are valuable \(label 3 or more\) and 50 are not'),
        (np.arange(50) == 0, 'valuable', r'1 are valuable .* and 49 are not .*: 0: 49, 1: 1\)'),
        (np.zeros(0), 'valuable', r'of 0 .* \(samples by label: none\)'),
    ],
)
def test_too_few_of_a_side(labels, kind, said):
    features = np.zeros((len(labels), 3), np.float32)
    with pytest.raises(QualityError, match=said) as caught:
        forest.fit(features, labels, forest.Settings(labels=kind))
    assert caught.value.exit_code == 3


def test_samples_that_cannot_be_used():
    features, _, labels = planted(100)
    bad = features.copy()
    bad[[3, 8], 0] = np.nan, np.inf
    with pytest.raises(InputError, match='in 2 of 100 rows, the first of them 3'):
        forest.fit(bad, labels, SETTINGS)
    with pytest.raises(InputError, match='100 rows of features, 99 labels and 100 marks'):
        forest.fit(features, labels[1:], SETTINGS, held_out=np.zeros(100, bool))
    with pytest.raises(InputError, match=r"kind 'valuable' must be whole numbers 0..1, got .*2"):
        forest.fit(features, labels * 2, SETTINGS)
    with pytest.raises(InputError, match=r'whole numbers 0..1, got .*0\.5'):
        forest.fit(features, labels / 2, SETTINGS)
    with pytest.raises(InputError, match=r'rows of numbers, got the shape \(100,\)'):
        forest.fit(features[:, 0], labels, SETTINGS)


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'labels': 'good'}, "labels is 'good'; it must be one of valuable, grades"),
        ({'n_trees': 0}, 'n_trees is 0'),
        ({'max_depth': -1}, 'max_depth is -1'),
        ({'min_samples_leaf': 0}, 'min_samples_leaf is 0'),
        ({'max_features': 1.5}, 'max_features is 1.5'),
        ({'seed': -1}, 'seed is -1'),
        ({'n_jobs': 0}, 'n_jobs is 0'),
        ({'held_out': 1.0}, 'held_out is 1.0'),
        ({'n_tree': 5}, 'n_tree is not a setting; did you mean n_trees'),
    ],
)
def test_wrong_settings(values, said):
    with pytest.raises(InputError, match=said):
        build(forest.Settings, values)


def test_thresholds_are_floored():
    exact = np.array([0.1, -0.1, 1.0, 1 + 1e-12, 1e-60, -1e-60, 0.3])
    found = fitting._floored(exact)
    assert found.dtype == np.float32
    assert (found <= exact).all()
    assert (np.nextafter(found, np.float32(np.inf)) > exact).all()
