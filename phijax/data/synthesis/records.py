"""Records: what a window of samples leaves on the disk, with all that it was made from.

Three files for each window: `documents` that were kept, `records` with a row for each of those, and
`rejected` with a row for each sample that was no use, its text and the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from phijax.data import attributes, document
from phijax.data.document import Document, identify
from phijax.data.stage import Step, Task
from phijax.data.synthesis.asking import Result, Window

DOCUMENTS, RECORDS, REJECTED = 'documents', 'records', 'rejected'


def write(task: Task, window: Window, source: str) -> None:
    """Writes the files of a window."""
    kept = [each for each in window.results if not each.problem]
    lost = [each for each in window.results if each.problem]
    documents = [
        Document(identify(each.text), each.text, source, f'{source}/{each.prompt.index}')
        for each in kept
    ]
    document.write_part(documents, task.output(DOCUMENTS, window.number))
    ids = {'id': [each.id for each in documents]}
    attributes.write(task.output(RECORDS, window.number), ids | _columns(kept))
    said = {'reason': [each.reason for each in lost], 'text': [_text(each.text) for each in lost]}
    attributes.write(task.output(REJECTED, window.number), said | _columns(lost))


# What is told of a sample, whatever became of it.
_COLUMNS: dict[str, Callable[[Result], Any]] = {
    'index': lambda each: each.prompt.index,
    'request': lambda each: each.answer.key,
    'model': lambda each: each.answer.model,
    'template': lambda each: each.prompt.template,
    'template_sha256': lambda each: each.prompt.digest,
    'factors': lambda each: json.dumps(dict(each.prompt.factors), sort_keys=True),
    'seeds': lambda each: list(each.prompt.seeds),
    'finish_reason': lambda each: each.answer.finish_reason,
    'asked': lambda each: each.asked,
    'prompt_tokens': lambda each: each.tokens[0],
    'completion_tokens': lambda each: each.tokens[1],
    'said': lambda each: each.problem.words if each.problem else '',
}


def _columns(results: Sequence[Result]) -> dict[str, list[Any]]:
    return {name: [value(each) for each in results] for name, value in _COLUMNS.items()}


def _text(text: str) -> str:
    """What Parquet can hold of a text that may be no Unicode."""
    return text.encode(errors='replace').decode()


def parts(step: Step, kind: str) -> list[Path]:
    """The files of a kind, in the order of the windows."""
    return sorted(step.directory.glob(f'{kind}-*.parquet'))


def read(step: Step) -> Iterator[tuple[Document, dict[str, Any]]]:
    """The documents of a step with their records."""
    for texts, path in zip(parts(step, DOCUMENTS), parts(step, RECORDS), strict=True):
        rows = rows_of(path)
        items = [item for group in document.read(texts) for item in group]
        yield from zip(items, rows, strict=True)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of columns."""
    columns = attributes.read(path)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
