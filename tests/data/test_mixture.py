import collections
import itertools
import subprocess
import sys
import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phijax.data import mixture, packing
from phijax.data.errors import MissingDataError
from phijax.errors import InputError
from tests.data.conftest import make_text

LENGTH = 32


@pytest.fixture(scope='module')
def directory(make_tokens):
    """Three sources of unlike sizes whose rows can be told apart by their tokens."""
    return make_tokens(
        part_bytes=3000,
        heldout_fraction=0.2,
        a=[make_text(seed, 40) for seed in range(20)],
        b=[make_text(100 + seed, 90) for seed in range(9)],
        c=[make_text(200 + seed, 30) for seed in range(7)],
    )


def take(stream, count):
    try:
        return [next(stream) for _ in range(count)]
    finally:
        stream.close()


def rows_of(directory, source):
    """The source's windows, as a table from content to index."""
    windows = packing.Windows(directory, source, 'train', LENGTH)
    table = {windows[i]['tokens'].tobytes(): i for i in range(len(windows))}
    assert len(table) == len(windows)
    return table


def batches(directory, count, weights=None, **changes):
    options = {'length': LENGTH, 'batch_size': 4, 'seed': 0} | changes
    return take(mixture.stream(directory, weights or {'a': 1.0}, **options), count)


def origins(directory, made, *sources):
    """The (source, window) of each row of some batches, in order."""
    tables = {source: rows_of(directory, source) for source in sources}
    rows = [row.tobytes() for batch in made for row in batch['tokens']]
    return [
        next((source, table[row]) for source, table in tables.items() if row in table)
        for row in rows
    ]


@given(shares=st.lists(st.integers(1, 60), min_size=1, max_size=7))
def test_every_prefix_has_its_shares_to_within_a_row(shares):
    order = mixture.schedule(shares)
    assert len(order) == sum(shares)
    for source, share in enumerate(shares):
        counts = np.cumsum(order == source)
        exact = np.arange(1, len(order) + 1) * share
        assert (np.abs(counts * len(order) - exact) < len(order)).all()
        assert counts[-1] == share


def test_a_long_schedule_is_quick():
    begin = time.process_time()
    order = mixture.schedule([61_803, 38_196, 1])
    assert np.bincount(order).tolist() == [61_803, 38_196, 1]
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    'weights',
    [{'a': 0.7, 'b': 0.2, 'c': 0.1}, {'a': 6, 'b': 1}, {'a': 1 / 3, 'b': 2 / 3}, {'c': 2, 'b': 0}],
)
def test_weights_are_exact(directory, weights):
    total = sum(Fraction(weight).limit_denominator(1000) for weight in weights.values())
    made = batches(directory, 30, weights)
    found = collections.Counter()
    for n, (source, _) in enumerate(origins(directory, made, 'a', 'b', 'c'), 1):
        found[source] += 1
        for name, weight in weights.items():
            share = Fraction(weight).limit_denominator(1000) / total
            assert abs(found[name] - share * n) < 1


def test_weights_of_any_sum_are_the_same(directory):
    one = batches(directory, 5, {'a': 0.75, 'b': 0.25})
    other = batches(directory, 5, {'b': 1, 'a': 3})
    swapped = batches(directory, 5, {'b': 3, 'a': 1})
    assert origins(directory, one, 'a', 'b') != origins(directory, swapped, 'a', 'b')
    found = [
        collections.Counter(s for s, _ in origins(directory, m, 'a', 'b')) for m in (one, other)
    ]
    assert found[0] == found[1] == {'a': 15, 'b': 5}


def test_the_order_of_the_weights_does_not_matter(directory):
    one = batches(directory, 5, {'a': 2, 'b': 1, 'c': 1})
    other = batches(directory, 5, {'c': 1, 'b': 1, 'a': 2})
    assert same(one, other)


def test_fine_weights_are_rounded_to_a_hundred_thousandth(directory):
    tokens = {'a': 123_456_789, 'b': 987_654_321, 'c': 3}
    shares = mixture._shares(tokens, packing.manifest(directory)['sources'])
    total = sum(shares.values())
    assert total <= mixture.LONGEST_PERIOD + 3
    for name, count in tokens.items():
        assert shares[name] >= 1
        assert abs(shares[name] / total - count / sum(tokens.values())) < 2e-5


def same(one, other):
    return len(one) == len(other) and all(
        np.array_equal(x[name], y[name])
        for x, y in zip(one, other, strict=True)
        for name in ('tokens', 'segments', 'positions')
    )


def test_every_window_comes_once_an_epoch_in_a_new_order(directory):
    size = len(packing.Windows(directory, 'a', 'train', LENGTH))
    made = batches(directory, size * 3, batch_size=1)
    epochs = [
        [index for _, index in origins(directory, made[e * size : (e + 1) * size], 'a')]
        for e in range(3)
    ]
    assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
    for one, other in itertools.combinations([list(range(size)), *epochs], 2):
        assert one != other


def test_a_source_has_its_own_order_of_any_seed(directory):
    first = origins(directory, batches(directory, 8), 'a')
    assert first != origins(directory, batches(directory, 8, seed=1), 'a')
    assert first == origins(directory, batches(directory, 8), 'a')
    size = len(packing.Windows(directory, 'a', 'train', LENGTH))
    shifted = batches(directory, size, seed=1, batch_size=1)
    second_epoch = batches(directory, size, start=size, batch_size=1)
    assert not same(shifted, second_epoch)


def test_sources_of_one_size_have_unlike_orders(make_tokens):
    texts = [make_text(seed, 40) for seed in range(20)]
    twins = make_tokens(one=texts, two=texts)
    one, two = (batches(twins, 4, {name: 1}) for name in ('one', 'two'))
    assert not same(one, two)


def test_a_batch_is_a_function_of_its_number(directory):
    weights = {'a': 2, 'b': 1}
    whole = batches(directory, 40, weights)
    sizes = [len(packing.Windows(directory, name, 'train', LENGTH)) for name in weights]
    assert max(sizes) < 160 // 3
    for start in range(40):
        assert same(batches(directory, 1, weights, start=start), whole[start : start + 1])
    assert same(batches(directory, 10, weights, start=30), whole[30:])


def test_a_far_start_is_as_near_as_any(directory):
    begin = time.process_time()
    far = batches(directory, 2, {'a': 2, 'b': 1}, start=10**12)
    assert time.process_time() - begin < 2
    assert same(far, batches(directory, 2, {'a': 2, 'b': 1}, start=10**12))


@pytest.mark.parametrize('count', [1, 2, 3, 4, 6, 12])
def test_processes_share_the_batch(directory, count):
    weights = {'a': 5, 'b': 2, 'c': 3}
    whole = batches(directory, 6, weights, batch_size=12)
    parts = [
        batches(directory, 6, weights, batch_size=12, process_index=i, process_count=count)
        for i in range(count)
    ]
    for number, batch in enumerate(whole):
        for name, value in batch.items():
            pieces = [part[number][name] for part in parts]
            assert all(piece.shape == (12 // count, LENGTH + 1) for piece in pieces)
            assert np.array_equal(np.concatenate(pieces), value)


def test_rows_are_whole_windows(directory):
    (batch,) = batches(directory, 1)
    assert set(batch) == {'tokens', 'segments', 'positions'}
    windows = packing.Windows(directory, 'a', 'train', LENGTH)
    for row, (_, index) in enumerate(origins(directory, [batch], 'a')):
        for name, value in batch.items():
            assert value.dtype == np.int32
            assert np.array_equal(value[row], windows[index][name])


@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        ({'d': 1}, r"no source 'd' to weight; there are a, b, c\."),
        ({'a': 1, 'b': -0.5}, r'weight of b is -0.5; it must be 0 or more'),
        ({'a': float('nan')}, r'weight of a is nan'),
        ({'a': float('inf')}, r'weight of a is inf'),
        ({'a': 0, 'b': 0.0}, r'No source has a weight above 0; give one to any of a, b, c\.'),
        ({}, r'No source has a weight above 0'),
    ],
)
def test_weights_that_cannot_be(directory, weights, message):
    with pytest.raises(InputError, match=message):
        mixture.stream(directory, weights, length=LENGTH, batch_size=4, seed=0)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'batch_size': 0}, 'batch_size is 0'),
        ({'batch_size': 6, 'process_count': 4}, 'multiple of the 4 processes'),
        ({'process_index': 2, 'process_count': 2}, 'process_index is 2 of process_count 2'),
        ({'start': -1}, 'start is -1'),
        ({'length': 100_000}, r'a/train has \d+ tokens; one window of length 100000 needs 100001'),
    ],
)
def test_settings_that_cannot_be(directory, changes, message):
    with pytest.raises(InputError, match=message):
        batches(directory, 1, **changes)


def test_one_window_is_enough_to_train(directory):
    tokens = packing.Windows(directory, 'a', 'train', LENGTH).tokens
    (batch,) = batches(directory, 1, length=tokens - 1, batch_size=1)
    assert batch['segments'].all()
    with pytest.raises(InputError, match=f'a/train has {tokens} tokens'):
        batches(directory, 1, length=tokens)


def test_missing_data_is_told_with_its_command(tmp_path):
    with pytest.raises(MissingDataError, match=r'python -m phijax\.data\.tokenize'):
        mixture.stream(tmp_path, {'a': 1}, length=8, batch_size=1, seed=0)
    with pytest.raises(MissingDataError, match=r'python -m phijax\.data\.tokenize'):
        mixture.heldout(tmp_path, 'a', length=8, batch_size=1)


def test_closing_ends_the_threads(directory):
    before = {*threading.enumerate()}
    stream = mixture.stream(directory, {'a': 1}, length=LENGTH, batch_size=4, seed=0)
    next(stream)
    # Those of the streams of other tests may end meanwhile.
    started = {*threading.enumerate()} - before
    assert started
    stream.close()
    deadline = time.monotonic() + 10
    while any(thread.is_alive() for thread in started) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(thread.is_alive() for thread in started)


def test_a_process_ends_with_an_open_stream(directory):
    program = (
        'from phijax.data import mixture\n'
        f's = mixture.stream({str(directory)!r}, {{"a": 1}}, length=8, batch_size=2, seed=0)\n'
        'print(next(s)["tokens"].shape)'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == '(2, 9)'


@settings(max_examples=30)
@given(batch_size=st.integers(1, 20), max_rows=st.none() | st.integers(0, 30))
def check_heldout(directory, batch_size, max_rows):
    windows = packing.Windows(directory, 'b', 'heldout', LENGTH)
    expected = [windows[i] for i in range(len(windows))][:max_rows]
    made = list(
        mixture.heldout(directory, 'b', length=LENGTH, batch_size=batch_size, max_rows=max_rows)
    )
    assert len(made) == -(-len(expected) // batch_size)
    for name in packing.FIELDS:
        assert all(batch[name].shape == (batch_size, LENGTH + 1) for batch in made)
        rows = [row for batch in made for row in batch[name]]
        assert all(np.array_equal(row, w[name]) for row, w in zip(rows, expected, strict=False))
        assert not any(row.any() for row in rows[len(expected) :])


def test_heldout_comes_in_order_once(directory):
    assert len(packing.Windows(directory, 'b', 'heldout', LENGTH)) > 3
    check_heldout(directory)


def test_heldout_and_training_share_no_text(directory):
    heldout = {row['tokens'].tobytes() for row in all_windows(directory, 'a', 'heldout')}
    training = {row['tokens'].tobytes() for row in all_windows(directory, 'a', 'train')}
    assert heldout
    assert not heldout & training


def all_windows(directory, source, split):
    windows = packing.Windows(directory, source, split, LENGTH)
    return (windows[i] for i in range(len(windows)))


def test_heldout_settings_that_cannot_be(directory):
    with pytest.raises(InputError, match='batch_size is 0'):
        mixture.heldout(directory, 'a', length=8, batch_size=0)
    with pytest.raises(InputError, match="no source 'z'"):
        mixture.heldout(directory, 'z', length=8, batch_size=1)
