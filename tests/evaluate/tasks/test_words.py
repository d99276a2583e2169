"""The words around the items are those of lm-evaluation-harness, character by character."""

import gzip
import json
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow.ipc
import pytest

from phijax.evaluate import tasks
from phijax.evaluate.tasks.items import Choice
from tests.evaluate.tasks import rendering

Row = dict[str, Any]
Asset = Callable[[str], pathlib.Path]

MANY = 200


def published(directory: pathlib.Path, folder: str) -> list[Row]:
    """The documents of a folder, read anew."""
    documents: dict[int, Row] = {}
    with gzip.open(directory / folder / 'requests.jsonl.gz', 'rt', encoding='utf-8') as lines:
        for line in lines:
            value = json.loads(line)
            documents.setdefault(value['doc_id'] % 1_000_000, value['doc'])
    return list(documents.values())


def stream(path: pathlib.Path) -> list[Row]:
    with pyarrow.ipc.open_stream(path / 'data-00000-of-00001.arrow') as reader:
        return reader.read_all().to_pylist()


def multiple(document: Row, name: str) -> Row:
    """A row as ARC and OpenbookQA were published, out of a document of OLMES."""
    question = document['query'].removeprefix('Question: ').removesuffix('\nAnswer:')
    labels = list('ABCDE'[: len(document['choices'])])
    choices = {'text': document['choices'], 'label': labels}
    return {name: question, 'choices': choices, 'answerKey': labels[document['gold']]}


def reading(document: Row) -> Row:
    """A row as BoolQ was published in SuperGLUE."""
    passage, _, question = document['query'].removesuffix('?\nAnswer:').rpartition('\nQuestion: ')
    return {'passage': passage, 'question': question, 'label': 1 - document['gold']}


ROWS = {
    'arc_easy': ('arc_easy/test_rc_5shot', lambda row: multiple(row, 'question')),
    'arc_challenge': ('arc_challenge/test_rc_5shot', lambda row: multiple(row, 'question')),
    'openbookqa': ('openbookqa/test_rc_5shot', lambda row: multiple(row, 'question_stem')),
    'piqa': ('piqa/val_rc_5shot', dict),
    'siqa': ('socialiqa/val_rc_5shot', dict),
    'winogrande': ('winogrande/val_rc_5shot', dict),
    'boolq': ('boolq/val_rc_5shot', reading),
}
FILES = {
    'arc_easy': 'arc/arc_easy.yaml',
    'arc_challenge': 'arc/arc_challenge.yaml',
    'openbookqa': 'openbookqa/openbookqa.yaml',
    'piqa': 'piqa/piqa.yaml',
    'siqa': 'siqa/siqa.yaml',
    'winogrande': 'winogrande/default.yaml',
    'boolq': 'super_glue/boolq/default.yaml',
    'hellaswag': 'hellaswag/hellaswag.yaml',
}


def pairs(item: Choice) -> list[tuple[str, str]]:
    count = len(item.answers)
    contexts = item.contexts * (count // len(item.contexts))
    return list(zip(contexts, item.continuations * (count // len(item.continuations)), strict=True))


def odd(rows: Sequence[Row]) -> Iterator[int]:
    """The places of rows with odd spaces, and of the first ones."""
    yield from range(MANY)
    for place, row in enumerate(rows[MANY:], MANY):
        text = json.dumps(row)
        if any(mark in text for mark in ('  ', '" ', ' "', '\\n', '[', "'")) and place % 7 == 0:
            yield place


@pytest.mark.parametrize('name', sorted(ROWS))
def test_questions(asset: Asset, name: str) -> None:
    folder, original = ROWS[name]
    rows = [original(row) for row in published(asset('benchmarks'), folder)]
    compare(name, rows)


def test_hellaswag(asset: Asset) -> None:
    compare('hellaswag', stream(asset('hellaswag')))


def compare(name: str, rows: Sequence[Row]) -> None:
    items = tasks.task(name).items(0)
    assert len(items) == len(rows)
    places = list(odd(rows))
    harness = rendering.build(FILES[name], [rows[place] for place in places])
    assert harness.config.task == tasks.task(name).harness
    ours = [items[place] for place in places]
    assert [pairs(item) for item in ours] == rendering.asked(harness)
    lengths = rendering.golds(harness) if name != 'winogrande' else [item.gold for item in ours]
    assert [item.gold for item in ours] == [int(gold) for gold in lengths]
