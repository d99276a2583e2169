"""Prompts of files: a line each, as text or JSON, and what is wrong by file and line."""

import pytest

from phijax.errors import InputError
from phijax.generate import prompts


def _file(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


@pytest.mark.parametrize('data', [b'def \nreturn\xc3\xa9\n', b'def \r\nreturn\xc3\xa9'])
def test_a_prompt_a_line(tmp_path, data):
    assert prompts.read_prompts(_file(tmp_path, 'a.txt', data)) == ['def ', 'returné']


def test_lines_of_json(tmp_path):
    data = b'{"prompt": "a\\nb", "other": 1}\n"c"\n{"prompt": ""}\n'
    assert prompts.read_prompts(_file(tmp_path, 'a.jsonl', data)) == ['a\nb', 'c', '']


@pytest.mark.parametrize(
    ('name', 'data', 'message'),
    [
        ('a.txt', b'', 'a.txt is empty'),
        ('a.txt', b'a\n\nb\n', 'a.txt, line 2: the prompt is empty'),
        ('a.txt', b'a\nb\xff\n', 'a.txt, line 2: byte 2 is not UTF-8'),
        ('a.jsonl', b'"a"\n{"prompt": \n', 'line 2: Expecting value at character'),
        ('a.jsonl', b'{"text": "a"}\n', r'line 1: it must be a string or .* got'),
        ('a.jsonl', b'3\n', 'line 1: .* got 3'),
        ('a.jsonl', b'"a"\n\n', 'line 2: Expecting value'),
    ],
)
def test_what_is_no_prompt_is_refused_by_line(tmp_path, name, data, message):
    with pytest.raises(InputError, match=message):
        prompts.read_prompts(_file(tmp_path, name, data))


def test_a_file_that_is_not_there():
    with pytest.raises(InputError, match=r'nowhere.txt cannot be read: No such file'):
        prompts.read_prompts('nowhere.txt')
