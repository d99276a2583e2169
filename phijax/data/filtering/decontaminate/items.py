"""The items of benchmarks that training documents must not hold, out of the pinned packages.

Ids are those that `phijax.evaluate` has, so that a list of items found here splits its records.
Passages that questions are asked about (of SQuAD, BoolQ, the history of MMLU) are left out: they
were taken from Wikipedia and from old books, and a document that has one gives no answer away.
Source: arXiv:2005.14165, sec. 4, where such passages made nearly all of a reading benchmark look
leaked.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import inspect
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phijax import assets
from phijax.data.document import read_arrow
from phijax.errors import InputError

# Rows from here on repeat the answers without the question.
_UNCONDITIONAL = 1_000_000
# Of MMLU's questions about history; a quotation follows, and the question in the last line.
_ABOUT_A_SOURCE = 'This question refers to the following information.'


@dataclass(frozen=True)
class Item:
    """What is protected of an item of a benchmark.

    Attributes:
        id: names the item in its benchmark, for good.
        question: the docstring, prompt or question.
        answer: the right answer where it is a text to be written or continued, else ''.
        code: the solution of a programming problem, all of the function, else ''.
        entry_point: the name of that function, else ''.
    """

    benchmark: str
    id: str
    question: str
    answer: str = ''
    code: str = ''
    entry_point: str = ''

    @property
    def key(self) -> str:
        """The benchmark and the id."""
        return f'{self.benchmark}/{self.id}'


def load(benchmarks: Iterable[str], path: str = '') -> list[Item]:
    """The items of benchmarks, and of the user's own file if there is one.

    Args:
        path: JSON lines with the fields of `Item`; the last three may be left out.

    Raises:
        AssetError: a package cannot be had.
        InputError: no benchmark has that name, or the file is no such file or has an item twice.
    """
    items: list[Item] = []
    for name in benchmarks:
        if name not in LOADERS:
            raise InputError(f'There is no benchmark {name!r}; there are {", ".join(LOADERS)}.')
        items += LOADERS[name]()
    items += _read_own(Path(path)) if path else []
    seen: set[str] = set()
    for item in items:
        if item.key in seen:
            raise InputError(f'The item {item.key} is there twice.')
        seen.add(item.key)
    return items


def digest(items: Iterable[Item]) -> str:
    """A hash of all that is protected, whatever the order."""
    lines = sorted(json.dumps(asdict(item), sort_keys=True) for item in items)
    return hashlib.sha256('\n'.join(lines).encode()).hexdigest()


def _humaneval() -> Iterator[Item]:
    with (
        assets.open_member('humaneval', 'HumanEval.jsonl.gz') as file,
        gzip.open(file, 'rt', encoding='utf-8') as lines,
    ):
        for row in map(json.loads, lines):
            code, name = row['prompt'] + row['canonical_solution'], row['entry_point']
            question = _first_text(_defined(code)[name])
            yield Item('humaneval', row['task_id'], question, code=code, entry_point=name)


def _mbpp() -> Iterator[Item]:
    for row in _rows('codex_mbpp/gold_bpb_3shot'):
        code, tests = row['code'].replace('\r\n', '\n'), '\n'.join(row['test_list'])
        called = [name for name in _defined(code) if re.search(rf'\b{name}\(', tests)]
        name = called[-1] if called else ''
        yield Item('mbpp', str(row['task_id']), row['text'], code=code, entry_point=name)


def _gsm8k() -> Iterator[Item]:
    for row in _rows('gsm8k/gold_bpb_5shot'):
        # The calculator's marks `<<16-3=13>>` are no part of the words.
        steps = re.sub(r'<<.*?>>', '', row['answer']).partition('\n####')[0]
        yield Item('gsm8k', str(row['id']), row['question'], steps)


def _mmlu() -> Iterator[Item]:
    for folder in sorted((assets.fetch('mmlu') / 'mmlu_no_train').iterdir()):
        rows = read_arrow(folder / 'test' / 'data-00000-of-00001.arrow')
        for place, row in enumerate(rows):
            question = row['question']
            if question.startswith(_ABOUT_A_SOURCE):
                question = question.rpartition('\n')[2]
            yield Item('mmlu', f'{folder.name}/{place}', question)


def _hellaswag() -> Iterator[Item]:
    rows = read_arrow(assets.fetch('hellaswag') / 'data-00000-of-00001.arrow')
    for place, row in enumerate(rows):
        # Marks such as `[title]` that the data set has put into WikiHow's texts.
        texts = (row['ctx'], row['endings'][int(row['label'])])
        yield Item('hellaswag', str(place), *(re.sub(r'\[.*?\]', ' ', t).strip() for t in texts))


def _piqa() -> Iterator[Item]:
    for row in _rows('piqa/val_rc_5shot'):
        answer = row['choices'][row['gold']]
        yield Item('piqa', str(row['index']), row['goal'], answer)


def _winogrande() -> Iterator[Item]:
    for row in _rows('winogrande/val_rc_5shot'):
        whole = row['sentence'].replace('_', row[f'option{row["answer"]}'])
        yield Item('winogrande', str(row['index']), row['sentence'], whole)


def _siqa() -> Iterator[Item]:
    for row in _rows('socialiqa/val_rc_5shot'):
        yield Item('siqa', str(row['index']), f'{row["context"]} {row["question"]}')


def _asked(benchmark: str, folder: str, key: str = 'id') -> Iterator[Item]:
    """Items whose question stands last in a query."""
    for row in _rows(folder):
        question = row['query'].rpartition('Question: ')[2].removesuffix('\nAnswer:')
        yield Item(benchmark, str(row[key]), question)


LOADERS: Mapping[str, Callable[[], Iterator[Item]]] = {
    'humaneval': _humaneval,
    'mbpp': _mbpp,
    'gsm8k': _gsm8k,
    'mmlu': _mmlu,
    'arc_easy': lambda: _asked('arc_easy', 'arc_easy/test_rc_5shot'),
    'arc_challenge': lambda: _asked('arc_challenge', 'arc_challenge/test_rc_5shot'),
    'hellaswag': _hellaswag,
    'piqa': _piqa,
    'winogrande': _winogrande,
    'boolq': lambda: _asked('boolq', 'boolq/val_rc_5shot', 'idx'),
    'openbookqa': lambda: _asked('openbookqa', 'openbookqa/test_rc_5shot'),
    'siqa': _siqa,
    'squad': lambda: _asked('squad', 'squad/bpb_5shot'),
}


def _rows(folder: str) -> Iterator[dict[str, Any]]:
    """The items of a folder of the asset `benchmarks`; each answer of one is a line of its own."""
    last = -1
    with (
        assets.open_member('benchmarks', f'{folder}/requests.jsonl.gz') as file,
        gzip.open(file, 'rt', encoding='utf-8') as lines,
    ):
        for request in map(json.loads, lines):
            if last < request['doc_id'] < _UNCONDITIONAL:
                last = request['doc_id']
                yield request['doc']


def _defined(code: str) -> dict[str, ast.FunctionDef]:
    """The functions of a module, by name."""
    with warnings.catch_warnings(action='ignore'):
        nodes = ast.parse(code).body
    return {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}


def _first_text(function: ast.FunctionDef) -> str:
    """The docstring of a function; one has an import before it, so that to Python it is none."""
    for node in function.body:
        match node:
            case ast.Expr(ast.Constant(str(text))):
                return inspect.cleandoc(text)
    return ''


def _read_own(path: Path) -> list[Item]:
    if not path.is_file():
        raise InputError(f'{path} is not a file of items.')
    lines = enumerate(path.read_text(encoding='utf-8').splitlines(), 1)
    return [_own(f'{path}:{number}', line) for number, line in lines if line.strip()]


def _own(place: str, line: str) -> Item:
    needed, allowed = {'benchmark', 'id', 'question'}, set(Item.__dataclass_fields__)
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f'{place} is not JSON: {error}') from error
    if not isinstance(row, dict) or not needed <= set(row) <= allowed:
        found = sorted(row) if isinstance(row, dict) else type(row).__name__
        raise InputError(
            f'{place} has {found}; it must have {sorted(needed)} and may have '
            f'{sorted(allowed - needed)}.'
        )
    if not all(isinstance(value, str) for value in row.values()):
        raise InputError(f'{place} has a value that is not a text.')
    return Item(**row)
