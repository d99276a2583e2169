"""Sketches: the same whatever the batches, whole in a file or refused."""

import contextlib
import pathlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from phijax.data.filtering import deduplicate
from phijax.data.filtering.deduplicate import sketches
from phijax.errors import InputError

PLAN = deduplicate.Plan()
TEXTS = ['def f(x): return x + 1', '', 'a b c d e f g', 'lone \ud800 surrogate', 'word ' * 50_000]
IDS = [f'{number}é' for number in range(len(TEXTS))]


def flat(sketch: deduplicate.Sketch) -> list[np.ndarray]:
    return [sketch.lengths, sketch.shingles.values, sketch.shingles.bounds, sketch.bands]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    deduplicate.write_sketch(tmp_path / 'a', IDS, deduplicate.sketch(TEXTS, PLAN), PLAN)
    return tmp_path / 'a'


@hypothesis.given(strategies.lists(strategies.sampled_from([*TEXTS, 'x y ' * 9]), max_size=6))
def test_each_document_is_sketched_alone(texts: list[str]) -> None:
    made = deduplicate.sketch(texts, PLAN)
    assert made.bands.shape == (16, len(texts))
    for number, text in enumerate(texts):
        alone = deduplicate.sketch([text], PLAN)
        start, end = made.shingles.bounds[number : number + 2]
        assert np.array_equal(made.shingles.values[start:end], alone.shingles.values)
        assert np.array_equal(made.bands[:, number], alone.bands[:, 0])
        assert made.lengths[number] == len(text.encode('utf-8', 'surrogatepass'))


def test_a_long_document_is_as_good_as_a_short_one() -> None:
    """Ten megabytes, of words and as one word."""
    words = ' '.join(map(str, range(1_400_000)))
    made = deduplicate.sketch([words, 'x' * 10_000_000], PLAN)
    assert made.lengths.min() > 9_000_000
    assert np.diff(made.shingles.bounds).tolist() == [1_400_000 - 4, 1]


def test_what_is_written_is_read(path: pathlib.Path) -> None:
    ids, read = deduplicate.read_sketch(path, PLAN)
    assert ids == IDS
    for one, other in zip(flat(read), flat(deduplicate.sketch(TEXTS, PLAN)), strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    assert [each.name for each in path.parent.iterdir()] == ['a']


def test_a_band_is_read_alone(path: pathlib.Path) -> None:
    stored = sketches.Stored(path, PLAN)
    for number, band in enumerate(stored.read().bands):
        assert np.array_equal(stored.band(number), band)


def test_no_documents(tmp_path: pathlib.Path) -> None:
    deduplicate.write_sketch(tmp_path / 'a', [], deduplicate.sketch([], PLAN), PLAN)
    ids, read = deduplicate.read_sketch(tmp_path / 'a', PLAN)
    assert ids == []
    assert read.bands.shape == (16, 0)


def test_a_cut_file_is_refused_wherever_it_is_cut(path: pathlib.Path) -> None:
    whole = path.read_bytes()
    for size in [*range(0, 1600, 37), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r'a is (not a whole sketch|damaged)'):
            deduplicate.read_sketch(path, PLAN)
    path.write_bytes(whole + b'x')
    with pytest.raises(InputError, match='damaged'):
        deduplicate.read_sketch(path, PLAN)


@hypothesis.given(strategies.integers(0, 1599), strategies.integers(0, 255))
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_a_changed_byte_is_refused_or_harmless(path: pathlib.Path, place: int, byte: int) -> None:
    """Whatever is in the headers, nothing but an InputError comes of it."""
    whole = bytearray(path.read_bytes())
    changed = path.with_name('b')
    changed.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    with contextlib.suppress(InputError):
        sketches.Stored(changed, PLAN).read()


def test_bounds_that_are_none_are_refused(path: pathlib.Path) -> None:
    made = deduplicate.sketch(TEXTS, PLAN)
    made.shingles.bounds[1:3] = 7, 3
    deduplicate.write_sketch(path, IDS, made, PLAN)
    with pytest.raises(InputError, match='bounds of its sets'):
        deduplicate.read_sketch(path, PLAN)


def test_missing_file_and_other_plan(path: pathlib.Path) -> None:
    with pytest.raises(InputError, match='No such file'):
        deduplicate.read_sketch(path.with_name('b'), PLAN)
    with pytest.raises(InputError, match=r'"ngram": 5.*not with.*"ngram": 4'):
        deduplicate.read_sketch(path, deduplicate.Plan(ngram=4))
    deduplicate.read_sketch(path, deduplicate.Plan(threshold=0.5))


def test_as_many_ids_as_documents(path: pathlib.Path) -> None:
    with pytest.raises(InputError, match='1 ids of 5 documents'):
        deduplicate.write_sketch(path, ['a'], deduplicate.sketch(TEXTS, PLAN), PLAN)
