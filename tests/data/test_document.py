import random

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from phijax.data import document
from phijax.data.document import Document, Dropped
from tests.data.conftest import make_text


def make_documents(count: int, words: int = 50) -> list[Document]:
    made = [document.make(make_text(seed, words), 'made', f'#{seed}') for seed in range(count)]
    assert all(isinstance(each, Document) for each in made)
    return made


def test_id_is_the_hash_of_the_text():
    # printf 'hello' | b2sum -l 128
    assert document.identify('hello') == '46fb7408d4f285228f4af516ea25851b'
    assert document.identify('\u00e9') != document.identify('e\u0301')


@given(st.text())
def test_a_text_is_kept_exactly_or_dropped(text):
    made = document.make(text.encode(), 'source', 'path')
    if '\0' in text:
        assert made == Dropped('binary', 'path')
    elif not text.strip():
        assert made == Dropped('empty', 'path')
    else:
        assert made == Document(document.identify(text), text, 'source', 'path')


@pytest.mark.parametrize(
    ('raw', 'reason'),
    [
        (b'', 'empty'),
        (b' \r\n\t', 'empty'),
        (b'caf\xe9', 'not_utf8'),
        (b'\xff\xfeh\x00', 'binary'),
        (b'\x7fELF\x00\x01\xff', 'binary'),
        (b'text\x00text', 'binary'),
        ('lone \ud800', 'not_utf8'),
        (None, 'not_text'),
        (3, 'not_text'),
        (['text'], 'not_text'),
    ],
)
def test_why_a_raw_text_is_dropped(raw, reason):
    assert document.make(raw, 'source', 'path') == Dropped(reason, 'path')


@pytest.mark.parametrize('part_bytes', [1, 500, 1 << 20])
def test_parts_hold_the_documents_in_order(tmp_path, part_bytes):
    documents = make_documents(20)
    paths = document.write(documents, tmp_path, part_bytes)
    assert paths == sorted(tmp_path.iterdir())
    assert [d for path in paths for group in document.read(path) for d in group] == documents
    size = sum(len(d.text) for d in documents)
    assert len(paths) == {1: 20, 1 << 20: 1}.get(part_bytes, len(paths))
    assert size / (part_bytes + 300) <= len(paths) <= size / part_bytes + 1


def test_no_documents_have_no_parts(tmp_path):
    assert document.write([], tmp_path, 100) == []


def test_groups_are_bounded():
    documents = make_documents(30)
    groups = list(document.group_by_bytes(documents, 1000))
    assert [d for group in groups for d in group] == documents
    assert all(sum(len(d.text) for d in group[:-1]) < 1000 for group in groups)


def test_large_row_groups_are_split(tmp_path, monkeypatch):
    monkeypatch.setattr(document, 'ROW_GROUP_BYTES', 1000)
    documents = make_documents(30)
    (path,) = document.write(documents, tmp_path, 1 << 20)
    groups = list(document.read(path))
    assert len(groups) > 3
    assert [d for group in groups for d in group] == documents


def test_a_column_of_any_parquet(tmp_path):
    table = pyarrow.table({'id': [1, 2, 3], 'body': ['one', None, 'three']})
    parquet.write_table(table, tmp_path / 'a.parquet', row_group_size=2)
    assert list(document.read_column(tmp_path / 'a.parquet', 'body')) == ['one', None, 'three']
    assert list(document.read_column(tmp_path / 'a.parquet', 'id')) == [1, 2, 3]


def test_a_missing_column(tmp_path):
    path = tmp_path / 'a.parquet'
    parquet.write_table(pyarrow.table({'id': [1]}), path)
    assert list(document.read_column(path, 'text')) == [Dropped('missing_column', str(path))]


@pytest.mark.parametrize('content', [b'', b'not parquet at all', b'PAR1' + bytes(100) + b'PAR1'])
def test_a_file_that_is_not_parquet(tmp_path, content):
    path = tmp_path / 'a.parquet'
    path.write_bytes(content)
    assert list(document.read_column(path, 'text')) == [Dropped('corrupt_parquet', str(path))]


def test_rows_of_a_damaged_row_group_are_dropped_one_by_one(tmp_path):
    path = tmp_path / 'a.parquet'
    texts = [make_text(seed, 40) for seed in range(12)]
    parquet.write_table(
        pyarrow.table({'text': texts}), path, row_group_size=4, use_dictionary=False
    )
    column = parquet.ParquetFile(path).metadata.row_group(1).column(0)
    raw = bytearray(path.read_bytes())
    start = column.data_page_offset
    raw[start : start + column.total_compressed_size] = b'\xff' * column.total_compressed_size
    path.write_bytes(raw)
    expected = [*texts[:4], *[Dropped('corrupt_parquet', str(path))] * 4, *texts[8:]]
    assert list(document.read_column(path, 'text')) == expected


def test_a_value_that_is_not_utf8(tmp_path):
    path = tmp_path / 'a.parquet'
    binary = pyarrow.array([b'good', b'\xff', b'more'], pyarrow.binary())
    parquet.write_table(pyarrow.table({'text': binary.view(pyarrow.string())}), path)
    assert list(document.read_column(path, 'text')) == [
        'good',
        Dropped('not_utf8', str(path)),
        'more',
    ]


def test_rows_of_an_arrow_stream(tmp_path):
    rows = [{'question': 'Why?', 'choices': ['a', 'b'], 'answer': 1}] * 3
    table = pyarrow.Table.from_pylist(rows)
    with pyarrow.ipc.new_stream(tmp_path / 'rows.arrow', table.schema) as stream:
        stream.write_table(table, max_chunksize=2)
    assert document.read_arrow(tmp_path / 'rows.arrow') == rows


def test_repetitions_far_apart_are_compressed():
    once = ''.join(random.Random(0).choices('abcdefghijklmnop', k=200_000))
    assert document.compressed_bytes(once * 3) < 1.1 * document.compressed_bytes(once)
