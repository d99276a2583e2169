"""What a window leaves on the disk."""

import pytest

from phijax.data import attributes, document
from phijax.data.client import Answer
from phijax.data.stage import Stage, Task, make_step
from phijax.data.synthesis import records
from phijax.data.synthesis.asking import Problem, Prompt, Result, Window


@pytest.fixture
def task(tmp_path):
    step = make_step(Stage('texts', lambda task: None), tmp_path, 1, {}, {}, {})
    step.directory.mkdir(parents=True)
    return Task(step, 0, step.directory)


def result(index, text, problem=None):
    prompt = Prompt(index, {'topic': f't{index}'}, 'k/f', 'd', (), 10, seeds=('s',))
    return Result(prompt, Answer('key', 'ok', text, model='m'), text, problem, 1, (3, 4))


def test_documents_records_and_rejected_go_together(task):
    some = [result(0, 'one'), result(1, 'bad \ud800', Problem('malformed', 'x')), result(2, 'two')]
    records.write(task, Window(0, some, 0, {}, []), 'code')
    records.write(task, Window(1, [result(3, 'three')], 0, {}, []), 'code')
    found = list(records.read(task.step))
    assert [item.text for item, _ in found] == ['one', 'two', 'three']
    assert [row['index'] for _, row in found] == [0, 2, 3]
    assert found[0][0].path == 'code/0'
    assert found[0][0].id == found[0][1]['id'] == document.identify('one')
    assert found[0][1]['factors'] == '{"topic": "t0"}'
    assert found[0][1]['seeds'] == ['s']
    [first, second] = records.parts(task.step, records.REJECTED)
    [row] = records.rows_of(first)
    assert (row['reason'], row['said'], row['text'], row['index']) == ('malformed', 'x', 'bad ?', 1)
    assert records.rows_of(second) == []


def test_a_window_without_texts_is_empty_files(task):
    records.write(task, Window(0, [], 0, {}, []), 'code')
    assert list(records.read(task.step)) == []
    [path] = records.parts(task.step, records.RECORDS)
    assert attributes.read(path)['id'] == []
