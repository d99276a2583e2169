"""Rows of whole conversations against the documents themselves, read a token at a time."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phijax.data import conversations, mixture, packing, tokenize
from phijax.errors import InputError
from tests.data.conftest import make_text, write_rows

NAMES = ('tokens', 'segments', 'positions', 'learned')


def say(role, seed, words):
    return {'role': role, 'content': make_text(seed, words)}


@pytest.fixture(scope='module')
def directory(tmp_path_factory):
    """Conversations of many lengths, pairs of them and a text, in several shards each."""
    folder = tmp_path_factory.mktemp('chats')
    talks = [
        {'messages': [say('user', n, 1 + n % 5), say('assistant', n, 1 + 7 * n % 40)]}
        for n in range(60)
    ]
    pairs = [
        {
            'prompt': make_text(n, 1 + n % 5),
            'chosen': make_text(n, 1 + 5 * n % 30),
            'rejected': make_text(1000 + n, 1 + 11 * n % 30),
        }
        for n in range(40)
    ]
    sources = {
        'text': {
            'kind': 'files',
            'paths': [write_rows(folder / 't.jsonl', [make_text(n, 90) for n in range(20)])],
        }
    }
    for kind, records in (('chat', talks), ('preference', pairs)):
        path = folder / f'{kind}.jsonl'
        path.write_text(''.join(json.dumps(record) + '\n' for record in records))
        sources[kind] = {'kind': kind, 'paths': [str(path)], 'format': 'phi3'}
    config = {'sources': sources, 'vocab_size': 300, 'part_bytes': 3000, 'heldout_fraction': 0.1}
    tokenize.run(tokenize.from_dict(config), folder / 'out')
    return folder / 'out'


def read_all(directory, source, split='train'):
    """The documents of a split, each as ids and marks."""
    stated = packing.manifest(directory)
    found = []
    shards = stated['sources'][source]['splits'][split]['shards']
    for shard in shards:
        path = directory / shard['file']
        columns = [
            np.fromfile(path, stated['dtype']),
            np.fromfile(path.with_suffix('.learned'), 'u1'),
        ]
        ends = np.fromfile(path.with_suffix('.ends'), '<u8').astype(int)
        found += list(zip(*(np.split(column, ends)[:-1] for column in columns), strict=True))
    assert len(shards) > 1 or split == 'heldout'
    return [(ids.tolist(), marks.tolist()) for ids, marks in found]


def row_of(documents, size):
    """The row by its definition: documents one after the other, then zeros; what is over is cut."""
    cells = [
        (token, number, place, mark)
        for number, (ids, marks) in enumerate(documents, 1)
        for place, (token, mark) in enumerate(zip(ids, marks, strict=True))
    ][:size]
    return [list(column) for column in zip(*cells, *[(0,) * 4] * (size - len(cells)), strict=True)]


def expected_rows(documents, size):
    rows, group = [], []
    for each in documents:
        if group and sum(len(ids) for ids, _ in [*group, each]) > size:
            rows.append(row_of(group, size))
            group = []
        group.append(each)
    return [*rows, row_of(group, size)]


@settings(max_examples=30)
@given(length=st.integers(60, 500), split=st.sampled_from(['train', 'heldout']))
def check_rows(directory, length, split):
    rows = conversations.Conversations(directory, 'chat', split, length)
    expected = expected_rows(read_all(directory, 'chat', split), length + 1)
    found = [rows[index] for index in range(len(rows))]
    assert [[row[name].tolist() for name in NAMES] for row in found] == expected
    assert all(row[name].dtype == np.int32 for row in found for name in NAMES)


def test_rows_are_whole_conversations(directory):
    check_rows(directory)


def test_only_what_is_longer_than_a_row_is_cut(directory):
    longest = max(len(ids) for ids, _ in read_all(directory, 'chat'))
    for length in (longest - 1, longest - 30):
        rows = conversations.Conversations(directory, 'chat', 'train', length)
        learned = sum(int(rows[i]['learned'].sum()) for i in range(len(rows)))
        whole = sum(sum(marks) for _, marks in read_all(directory, 'chat'))
        assert (learned == whole) == (length == longest - 1)


def test_pairs_are_rows_of_two(directory):
    pairs = conversations.Pairs(directory, 'preference', 'train', 90)
    documents = read_all(directory, 'preference')
    assert len(pairs) == len(documents) // 2 > 20
    for index in range(len(pairs)):
        row = pairs[index]
        for place in (0, 1):
            expected = row_of([documents[2 * index + place]], 91)
            assert [row[name][place].tolist() for name in NAMES] == expected


@pytest.mark.parametrize('kind', [conversations.Conversations, conversations.Pairs])
def test_rows_that_are_not_there(directory, kind):
    source = 'chat' if kind is conversations.Conversations else 'preference'
    rows = kind(directory, source, 'train', 90)
    for index in (-1, len(rows)):
        with pytest.raises(IndexError, match=rf'{index} of {len(rows)}'):
            rows[index]


def test_text_among_conversations_is_learned(directory):
    batch = next(
        mixture.stream(directory, {'text': 1}, length=90, batch_size=2, seed=0, form='chat')
    )
    plain = next(mixture.stream(directory, {'text': 1}, length=90, batch_size=2, seed=0))
    assert set(plain) == set(packing.FIELDS)
    for name in packing.FIELDS:
        np.testing.assert_array_equal(batch[name], plain[name])
    np.testing.assert_array_equal(batch['learned'], plain['segments'] > 0)


def test_batches_mix_resume_and_come_once(directory):
    options = {'length': 90, 'batch_size': 2, 'seed': 3, 'form': 'chat'}
    stream = mixture.stream(directory, {'chat': 3, 'text': 1}, **options)
    batches = [next(stream) for _ in range(12)]
    later = next(mixture.stream(directory, {'chat': 3, 'text': 1}, start=7, **options))
    assert list(later) == list(batches[7])
    for name in NAMES:
        np.testing.assert_array_equal(later[name], batches[7][name])
    rows = conversations.Conversations(directory, 'chat', 'train', 90)
    seen = {row.tobytes() for batch in batches for row in batch['tokens']}
    count = sum(rows[index]['tokens'].tobytes() in seen for index in range(len(rows)))
    assert count == min(len(rows), 18)


def test_heldout_pairs_are_padded(directory):
    batches = list(
        mixture.heldout(directory, 'preference', length=90, batch_size=3, form='preference')
    )
    count = len(read_all(directory, 'preference', 'heldout')) // 2
    assert sum(int((batch['segments'][:, 0, 0] > 0).sum()) for batch in batches) == count
    assert {batch['tokens'].shape for batch in batches} == {(3, 2, 91)}


@pytest.mark.parametrize(
    ('form', 'source', 'own'),
    [
        ('text', 'preference', 'preference'),
        ('chat', 'preference', 'preference'),
        ('preference', 'text', 'text'),
        ('preference', 'chat', 'chat'),
    ],
)
def test_source_of_another_form_is_refused(directory, form, source, own):
    message = f'source {source} has the form {own}, and rows of the form {form} cannot be made'
    with pytest.raises(InputError, match=message):
        mixture.stream(directory, {source: 1}, length=90, batch_size=1, seed=0, form=form)
    with pytest.raises(InputError, match=message):
        mixture.heldout(directory, source, length=90, batch_size=1, form=form)


def test_prompt_that_fills_a_row_is_refused_with_its_line(directory):
    longest = packing.manifest(directory)['sources']['chat']['splits']['train']['longest_prompt']
    tokens = longest['tokens']
    assert conversations.Conversations(directory, 'chat', 'train', tokens)
    message = rf'chat\.jsonl:\d+: the prompt has {tokens} tokens, and a row of length {tokens - 1} '
    with pytest.raises(InputError, match=message):
        conversations.Conversations(directory, 'chat', 'train', tokens - 1)


def test_conversations_of_text_and_lost_marks_are_refused(directory):
    with pytest.raises(InputError, match='text is text, not conversations'):
        conversations.Conversations(directory, 'text', 'train', 90)
    path = next((directory / 'chat').glob('train-*.learned'))
    marks = path.read_bytes()
    try:
        path.write_bytes(marks[:-1])
        with pytest.raises(InputError, match=rf'{path.name} is {len(marks) - 1} bytes'):
            conversations.Conversations(directory, 'chat', 'train', 90)
    finally:
        path.write_bytes(marks)
