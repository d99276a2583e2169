"""Embedders: the same rows whatever is beside them, on any devices, in any process."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models
from phijax.data import tokenizer
from phijax.data.filtering import features
from phijax.data.filtering.features import states
from phijax.data.filtering.features.ngrams import SURFACE, NgramEmbedder
from phijax.data.settings import build
from phijax.errors import InputError
from phijax.interop import huggingface
from tests.conftest import ROOT
from tests.models import tiny

GOLDEN = 'ef067d965d63e73eee8b26ee61b46bbbd0a8594decbfb418f1e33c41c1bc15fa'
CODE = '''import math


def area(radius):
    """The area of a circle."""
    # Of a plane one.
    return math.pi * radius ** 2
'''
SIZES = tiny.SIZES | {'num_layers': 1, 'vocab_size': 300, 'unroll': 1, 'max_length': 64}
FAMILIES = {
    'codegen': models.config(
        'codegen_350m', **SIZES | {'embed_dim': 40, 'num_heads': 4, 'num_kv_heads': 4}
    ),
    'phi': models.config('phi1', **SIZES | {'embed_dim': 60}),
}


@pytest.fixture(scope='module', params=FAMILIES)
def model(request, tmp_path_factory):
    return _written(FAMILIES[request.param], tmp_path_factory.mktemp('models') / request.param)


@pytest.fixture(scope='module')
def codegen(tmp_path_factory):
    return _written(FAMILIES['codegen'], tmp_path_factory.mktemp('models') / 'codegen')


def _written(config, directory, seed=0):
    made = tokenizer.train([CODE] * 3, 280)
    huggingface.save(config, tiny.randomised(config, seed), directory, tokenizer=made)
    return directory


def _settings(model, **others):
    return features.Settings(kind='model', model=str(model), **{'max_tokens': 32} | others)


def _texts(number, longest=60, seed=0):
    random = np.random.default_rng(seed)
    lengths = random.integers(0, longest, size=number)
    return [''.join(random.choice(list(CODE), size=length)) for length in lengths]


def _by_hand(model, text, pooling, most):
    config, params = huggingface.load(model)
    codec = tokenizer.load(model)
    ids = codec.encode(text)[:most] or [codec.end_of_text]
    x, _ = models.hidden(config, params, jnp.array([ids], jnp.int32))
    pool = {'mean': lambda x: x.mean(axis=0), 'last': lambda x: x[-1], 'max': lambda x: x.max(0)}
    return pool[pooling](np.asarray(x[0], np.float64))


@pytest.mark.parametrize('pooling', features.POOLINGS)
def test_rows_are_pooled_hidden_states(codegen, pooling):
    texts = ['', CODE[:40], 'x', CODE]
    found = features.make(_settings(codegen, pooling=pooling)).embed(texts)
    assert found.dtype == np.float32
    assert found.shape == (4, 40)
    expected = [_by_hand(codegen, text, pooling, 32) for text in texts]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_row_does_not_depend_on_others_nor_on_devices(model):
    texts = _texts(60)
    alone, all_eight = (
        states.StateEmbedder(_settings(model), devices)
        for devices in (jax.devices()[:1], jax.devices())
    )
    assert len(jax.devices()) == 8
    found = all_eight.embed(texts)
    assert np.abs(found).max() > 0.1
    np.testing.assert_allclose(alone.embed(texts), found, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(alone.embed(texts[7:9]), found[7:9], rtol=1e-5, atol=1e-5)
    order = np.random.default_rng(1).permutation(60)
    shuffled = all_eight.embed([texts[i] for i in order])
    np.testing.assert_allclose(shuffled, found[order], rtol=1e-5, atol=1e-5)
    assert alone.digest == all_eight.digest


def test_counts(codegen):
    embedder = features.make(_settings(codegen, max_tokens=16, tokens_at_once=64))
    assert (embedder.counts, embedder.counts.waste) == (features.Counts(), 0.0)
    texts = ['', *_texts(40)]
    embedder.embed(texts)
    lengths = [len(tokenizer.load(codegen).encode(text)) for text in texts]
    counts = embedder.counts
    assert counts.texts == 41
    assert counts.truncated == sum(length > 16 for length in lengths) > 0
    assert counts.tokens == sum(min(max(length, 1), 16) for length in lengths)
    assert counts.positions >= counts.tokens
    assert counts.waste == 1 - counts.tokens / counts.positions
    assert counts.shapes <= 4
    embedder.embed(texts)
    assert (embedder.counts.texts, embedder.counts.shapes) == (82, counts.shapes)
    assert embedder.embed([]).shape == (0, 40)


# Tokens of a text: a normal distribution of the logarithm. The Stack's Python files have a median
# of some hundred tokens and a long tail; these are taken around that, which is our choice.
@pytest.mark.parametrize(('median', 'spread', 'longest'), [(350, 1.1, 1024), (150, 1.0, 512)])
@pytest.mark.parametrize('number', [1000, 5000, 20_000])
@pytest.mark.parametrize(('parts', 'at_once'), [(1, 1024), (8, 1024), (1, 16_384), (8, 16_384)])
def test_less_than_5_percent_is_padding(median, spread, longest, number, parts, at_once):
    random = np.random.default_rng(0)
    drawn = np.exp(random.normal(np.log(median), spread, number)).round()
    lengths = drawn.clip(1, longest).astype(np.int32)
    made = list(states.batches(lengths, longest, at_once * parts, parts))
    positions = sum(rows * width for rows, width in (batch.shape for batch in made))
    assert 1 - lengths.sum() / positions < 0.05
    assert len({batch.shape for batch in made}) <= 40
    assert sorted(np.concatenate([batch.texts for batch in made])) == list(range(number))
    for batch in made:
        rows, width = batch.shape
        assert not rows % parts
        assert len(batch.texts) <= rows
        assert lengths[batch.texts].max() <= width <= longest
        assert rows == parts or rows * width <= at_once * parts


def test_the_digest_is_of_all_that_decides(codegen, tmp_path):
    digest = lambda path, **others: features.make(_settings(path, **others)).digest  # noqa: E731
    first = digest(codegen)
    assert digest(codegen, tokens_at_once=64) == first
    others = {'pooling': 'max'}, {'max_tokens': 16}, {'dtype': 'bfloat16'}
    changed = [digest(codegen, **other) for other in others]
    changed.append(digest(_written(FAMILIES['codegen'], tmp_path / 'other', seed=1)))
    assert len({first, *changed}) == 5


def test_bfloat16_is_near(codegen):
    exact, rough = (
        features.make(_settings(codegen, dtype=dtype)).embed(_texts(5)) for dtype in features.DTYPES
    )
    assert rough.dtype == np.float32
    assert 0 < np.abs(exact - rough).max() < 0.1


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'kind': 'ngram'}, "kind is 'ngram'; it must be one of ngrams, model"),
        ({'kind': 'model'}, "model is ''; it must be the path of a model"),
        ({'pooling': 'sum'}, "pooling is 'sum'; it must be one of mean, last, max"),
        ({'dtype': 'float16'}, "dtype is 'float16'"),
        ({'width': 31}, 'width is 31; it must be at least 32'),
        ({'max_tokens': 0}, 'max_tokens is 0; it must be positive'),
        ({'tokens_at_once': -1}, 'tokens_at_once is -1'),
        ({'seed': -1}, 'seed is -1'),
        ({'poling': 'mean'}, 'poling is not a setting; did you mean pooling?'),
    ],
)
def test_wrong_settings(values, said):
    with pytest.raises(InputError, match=said.replace('?', r'\?')):
        build(features.Settings, values)


def test_models_that_cannot_embed(codegen, tmp_path):
    with pytest.raises(InputError, match=r'max_tokens is 65; .* reads at most 64'):
        features.make(_settings(codegen, max_tokens=65))
    config = FAMILIES['codegen']
    huggingface.save(config, tiny.randomised(config), tmp_path / 'bare')
    with pytest.raises(InputError, match='bare has no tokenizer'):
        features.make(_settings(tmp_path / 'bare'))
    with pytest.raises(FileNotFoundError, match='is not a model'):
        features.make(_settings(tmp_path / 'none'))


def test_ngrams_are_rows_of_length_one_after_the_surface():
    embedder = features.make(features.Settings())
    texts = _texts(20, longest=400)
    found = embedder.embed(texts)
    assert found.shape == (20, embedder.width) == (20, 256)
    norms = np.linalg.norm(found[:, len(SURFACE) :], axis=1)
    np.testing.assert_allclose(norms[[bool(text.split()) for text in texts]], 1, rtol=1e-6)
    assert embedder.counts.texts == 20
    again = embedder.embed(texts[5:6])
    np.testing.assert_array_equal(again, found[5:6])
    assert embedder.embed([]).shape == (0, 256)
    assert not embedder.embed([''])[0, len(SURFACE) :].any()


def test_surface():
    [row] = NgramEmbedder(64, 0).embed([CODE])
    found = dict(zip(SURFACE, row[: len(SURFACE)], strict=True))
    near = {
        'comments': len('# Of a plane one.') / len(CODE),
        'docstrings': len('"""The area of a circle."""') / len(CODE),
        'indentation': 3 * 4 / 8 / 16,
        'definitions': 2 / 8,
        'length': np.log2(len(CODE)) / 20,
        'lines': 3 / 20,
        'digits': 1 / len(CODE),
    }
    for name, value in near.items():
        assert abs(found[name] - value) < 1e-3, name


def test_ngrams_tell_words_and_their_order():
    embedder = NgramEmbedder(1024, 0)
    one, same, other, turned = embedder.embed(
        ['if a : b = c', 'if  a :\n b = c', 'if a : b = d', 'c = b : a if']
    )[:, len(SURFACE) :]
    np.testing.assert_array_equal(one, same)
    assert 0.5 < one @ other < 0.95  # 5 of 6 words and 4 of 5 pairs
    assert 0.3 < one @ turned < 0.8  # all words, and no pair
    assert abs(one @ embedder.embed(['x y z'])[0, len(SURFACE) :]) < 0.3


def test_ngrams_are_the_same_in_every_process():
    """The bits are those of the first run of this test, in processes whose `hash` differs."""
    program = (
        'import hashlib; from phijax.data.filtering import features\n'
        'made = features.make(features.Settings(width=64, seed=3))\n'
        'rows = made.embed(["def f(x):\\n    return x  # é", "", "a a a b"])\n'
        'print(hashlib.sha256(rows.astype("<f4").tobytes()).hexdigest(), made.digest)\n'
        'import sys; assert "jax" not in sys.modules'
    )
    answers = {
        subprocess.run(
            [sys.executable, '-c', program],
            cwd=ROOT,
            env={'PYTHONHASHSEED': seed, 'PYTHONPATH': str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()[0]
        for seed in ('1', '2')
    }
    assert answers == {GOLDEN}  # change it with _VERSION of ngrams


def test_the_seed_and_the_width_are_in_the_digest():
    digests = {NgramEmbedder(*both).digest for both in ((64, 0), (64, 1), (65, 0))}
    assert len(digests) == 3
    rows = [NgramEmbedder(64, seed).embed([CODE])[0] for seed in (0, 1)]
    assert (rows[0][: len(SURFACE)] == rows[1][: len(SURFACE)]).all()
    assert abs(rows[0] - rows[1]).max() > 0.1


def test_groups_do_not_matter(monkeypatch):
    texts = _texts(50, longest=300)
    found = NgramEmbedder(64, 0).embed(texts)
    monkeypatch.setattr('phijax.data.filtering.features.ngrams._GROUP_BYTES', 100)
    monkeypatch.setattr('phijax.data.filtering.features.ngrams._MOST_WORDS', 10)
    np.testing.assert_array_equal(NgramEmbedder(64, 0).embed(texts), found)
