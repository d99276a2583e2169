import json
import os
import pathlib
import sys
from collections import Counter

import pyarrow
import pytest
from pyarrow import parquet

from phijax.data.document import Document, Dropped
from phijax.data.errors import MissingDataError
from phijax.data.tokenize.sources import Files, Hub, StandardLibrary
from phijax.errors import InputError


def read(source):
    """The texts and the reasons that a source gives."""
    found = list(source.read('name'))
    assert all(isinstance(item, Document | Dropped) for item in found)
    assert all(item.source == 'name' for item in found if isinstance(item, Document))
    texts = [item.text for item in found if isinstance(item, Document)]
    return texts, Counter(item.reason for item in found if isinstance(item, Dropped))


def test_files_of_every_kind(tmp_path):
    (tmp_path / 'deep').mkdir()
    (tmp_path / 'a.py').write_bytes(b'\xef\xbb\xbfprint()\r\n')
    (tmp_path / 'deep' / 'b.md').write_text('# b')
    (tmp_path / 'c.jsonl').write_text('{"text": "c0"}\n{"text": "c1"}')
    parquet.write_table(pyarrow.table({'text': ['d0', 'd1']}), tmp_path / 'd.parquet')
    (tmp_path / 'e.txt').write_text('e')
    (tmp_path / 'folder.txt').mkdir()
    patterns = ('*.py', '**/*.md', '*.jsonl', '*.parquet', '*.txt', 'a.*')
    texts, dropped = read(Files(tuple(str(tmp_path / pattern) for pattern in patterns)))
    assert texts == ['\ufeffprint()\r\n', 'c0', 'c1', 'd0', 'd1', '# b', 'e']
    assert not dropped


def test_files_say_where_a_document_was(tmp_path):
    (tmp_path / 'a.jsonl').write_text('\n{"text": "one"}\n')
    (tmp_path / 'b.py').write_text('b')
    found = list(Files((f'{tmp_path}/*',)).read('s'))
    assert [item.path for item in found] == [
        f'{tmp_path}/a.jsonl#0',
        f'{tmp_path}/a.jsonl#1',
        f'{tmp_path}/b.py',
    ]


def test_files_with_another_column(tmp_path):
    (tmp_path / 'a.jsonl').write_text('{"text": "no", "body": "yes"}\n')
    parquet.write_table(pyarrow.table({'text': ['no'], 'body': ['yes']}), tmp_path / 'b.parquet')
    assert read(Files((f'{tmp_path}/*',), column='body')) == (['yes', 'yes'], {})


def test_files_that_are_no_documents(tmp_path):
    (tmp_path / 'binary.py').write_bytes(b'\x7fELF\0\0\xff')
    (tmp_path / 'empty.py').write_bytes(b'')
    (tmp_path / 'good.py').write_text('good')
    (tmp_path / 'latin.txt').write_bytes('é'.encode('latin-1'))
    (tmp_path / 'loop.py').symlink_to(tmp_path / 'loop.py')
    (tmp_path / 'nul.txt').write_bytes(b'a\0b')
    (tmp_path / 'torn.parquet').write_bytes(b'PAR1torn')
    (tmp_path / 'gone.py').symlink_to(tmp_path / 'nowhere')
    (tmp_path / 'gone.jsonl').symlink_to(tmp_path / 'nowhere')
    (tmp_path / 'gone.parquet').symlink_to(tmp_path / 'nowhere')
    os.mkfifo(tmp_path / 'pipe.txt')
    os.mkfifo(tmp_path / 'pipe.jsonl')
    texts, dropped = read(Files((f'{tmp_path}/*',)))
    assert texts == ['good']
    assert dropped == {
        'binary': 2,
        'empty': 1,
        'not_utf8': 1,
        'corrupt_parquet': 1,
        'vanished': 3,
        'unreadable': 3,
    }


def test_a_file_that_vanishes_between_listing_and_reading(tmp_path):
    for name in 'abc':
        (tmp_path / f'{name}.py').write_text(name)
    found = Files((f'{tmp_path}/*.py',)).read('s')
    assert next(found).text == 'a'
    (tmp_path / 'b.py').unlink()
    assert next(found) == Dropped('vanished', f'{tmp_path}/b.py')
    assert next(found).text == 'c'


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read every file')
def test_a_file_that_may_not_be_read(tmp_path):
    for name in ('a.py', 'a.jsonl', 'a.parquet'):
        (tmp_path / name).write_text('a')
        (tmp_path / name).chmod(0)
    _, dropped = read(Files((f'{tmp_path}/*',)))
    assert dropped['unreadable'] + dropped['corrupt_parquet'] == 3


def test_rows_that_are_no_documents(tmp_path):
    lines = [
        b'{"text": "good"}',
        b'{"text": "torn',
        b'[1, 2]',
        b'{"other": "x"}',
        b'{"text": null}',
        b'{"text": 7}',
        b'{"text": ""}',
        b'',
        b'{"text": "caf\xe9"}',
        b'{"text": "\\ud800"}',
        b'{"text": "nul \\u0000"}',
        b'[' * 100_000,
        b'{"text": "also good"}',
    ]
    (tmp_path / 'a.jsonl').write_bytes(b'\n'.join(lines))
    texts, dropped = read(Files((f'{tmp_path}/a.jsonl',)))
    assert texts == ['good', 'also good']
    assert dropped == {
        'corrupt_json': 2,
        'missing_column': 2,
        'not_text': 2,
        'empty': 2,
        'not_utf8': 2,
        'binary': 1,
    }


def test_parquet_rows_that_are_no_documents(tmp_path):
    table = pyarrow.table({'text': ['good', None, '', 'nul \0']})
    parquet.write_table(table, tmp_path / 'a.parquet')
    parquet.write_table(pyarrow.table({'other': ['x', 'y']}), tmp_path / 'b.parquet')
    texts, dropped = read(Files((f'{tmp_path}/*',)))
    assert texts == ['good']
    assert dropped == {'not_text': 1, 'empty': 1, 'binary': 1, 'missing_column': 1}


def test_patterns_that_match_nothing(tmp_path):
    with pytest.raises(MissingDataError, match=rf'Source name: no file matches {tmp_path}/\*\.py'):
        list(Files((f'{tmp_path}/*.py',)).read('name'))


def test_the_standard_library_is_large_and_has_no_tests():
    found = [item for item in StandardLibrary().read('s') if isinstance(item, Document)]
    paths = {item.path for item in found}
    assert len(found) > 400
    assert sum(len(item.text) for item in found) > 8_000_000
    assert {'argparse.py', 'asyncio/events.py'} <= paths
    assert not any(
        part in ('test', 'tests', 'site-packages') for p in paths for part in p.split('/')
    )
    root = pathlib.Path(json.__file__).parents[1]
    assert all(item.text.encode() == (root / item.path).read_bytes() for item in found[:50])


def test_the_standard_library_has_one_order_that_scatters_its_packages():
    first, second = ([item.path for item in StandardLibrary().read('s')] for _ in range(2))
    assert first == second
    packages = [path.split('/')[0] for path in first if path.startswith(('asyncio/', 'encodings/'))]
    assert packages not in (sorted(packages), sorted(packages, reverse=True))


def test_the_hub_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'datasets', None)
    with pytest.raises(InputError, match=r'bigcode/the-stack .* pip install .phijax\[hf\]'):
        list(Hub('bigcode/the-stack').read('stack'))


def test_the_hub_streams_rows(tmp_path):
    pytest.importorskip('datasets', reason='the datasets package is optional')
    rows = [{'content': 'one'}, {'content': ''}, {'content': 'three'}]
    (tmp_path / 'rows.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    found = list(Hub(str(tmp_path), column='content').read('web'))
    assert [type(item) for item in found] == [Document, Dropped, Document]
    assert found[2].path == f'{tmp_path}#2'


def test_the_hub_does_not_have_it(tmp_path):
    pytest.importorskip('datasets', reason='the datasets package is optional')
    with pytest.raises(InputError, match=r'did not give .*accept its terms'):
        list(Hub(str(tmp_path / 'nothing')).read('web'))
