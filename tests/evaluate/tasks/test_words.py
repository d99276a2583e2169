"""The words around the items are those of lm-evaluation-harness, character by character."""

import gzip
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.ipc
import pytest

from phijax.evaluate import tasks
from phijax.evaluate.tasks.items import Choice, Problem
from tests.evaluate.tasks import rendering

Row = dict[str, Any]
Asset = Callable[[str], pathlib.Path]

EVERY = 7


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
    harness = rendering.build(FILES[name], rows[::EVERY])
    assert harness.config.task == tasks.task(name).harness
    ours = items[::EVERY]
    assert [pairs(item) for item in ours] == rendering.asked(harness)
    if name == 'winogrande':
        assert [item.gold for item in ours] == [int(row['answer']) - 1 for row in rows[::EVERY]]
    else:
        assert [item.gold for item in ours] == [int(gold) for gold in rendering.golds(harness)]


@pytest.mark.parametrize('num_shots', [0, 5])
def test_every_subject_of_mmlu(asset: Asset, num_shots: int) -> None:
    items = tasks.task('mmlu').items(num_shots)
    for folder in sorted((asset('mmlu') / 'mmlu_no_train').iterdir()):
        rows = stream(folder / 'test')[:3]
        path = f'mmlu/default/mmlu_{folder.name}.yaml'
        harness = rendering.build(path, rows, solved=stream(folder / 'dev'))
        ours = [item for item in items if item.group == folder.name][:3]
        assert [pairs(item) for item in ours] == rendering.asked(harness, num_shots)
        assert [item.gold for item in ours] == rendering.golds(harness)
    assert len(items) == 14042


SOLVED = {
    'arc_easy': {
        'question': 'Rocks are classified as igneous, metamorphic, or sedimentary according to',
        'choices': {'text': ['their color', 'how they formed'], 'label': ['A', 'B']},
        'answerKey': 'B',
    },
    'openbookqa': {
        'question_stem': 'Poison causes harm to which of the following?',
        'choices': {'text': ['a Tree', 'a robot'], 'label': ['A', 'B']},
        'answerKey': 'A',
    },
    'piqa': {
        'goal': 'how do you taste something?',
        'sol1': 'smell it enough to taste it.',
        'sol2': 'place it in your mouth to taste.',
        'label': 1,
    },
    'siqa': {
        'context': 'Quinn wanted to help me clean my room up because it was so messy.',
        'question': 'What will Quinn want to do next?',
        'answerA': 'Eat messy snacks',
        'answerB': 'help out a friend',
        'answerC': 'Pick up the dirty clothes',
        'label': '3',
    },
    'winogrande': {
        'sentence': 'John moved the couch from the garage to the backyard to create space. '
        'The _ is small.',
        'option1': 'garage',
        'option2': 'backyard',
        'answer': '1',
    },
}


@pytest.mark.parametrize('name', sorted(SOLVED))
def test_solved_items_are_put_as_the_harness_puts_them(asset: Asset, name: str) -> None:
    folder, original = ROWS[name]
    row = original(published(asset('benchmarks'), folder)[0])
    harness = rendering.build(FILES[name], [row], solved=[SOLVED[name]] * 2)
    (context, _), *_ = rendering.asked(harness, 1)[0]
    (alone, _), *_ = rendering.asked(harness, 0)[0]
    shown = context.removesuffix(alone)
    assert shown.endswith('\n\n')
    item = tasks.task(name).items(5)[0]
    assert isinstance(item, Choice)
    assert shown in item.contexts[0]


@pytest.mark.parametrize('num_shots', [0, 1, 8])
def test_gsm8k(asset: Asset, num_shots: int) -> None:
    rows = published(asset('benchmarks'), 'gsm8k/gold_bpb_5shot')[::EVERY]
    rows = [{'question': row['question'], 'answer': row['answer']} for row in rows]
    harness = rendering.build('gsm8k/gsm8k-cot.yaml', rows)
    task = tasks.task('gsm8k')
    problems = [item for item in task.items(num_shots) if isinstance(item, Problem)][::EVERY]
    check_written(task, problems, rendering.asked(harness, num_shots))
    golds = [gold.replace(',', '') for gold in rendering.golds(harness)]
    assert [problem.reference['answer'] for problem in problems] == golds


@pytest.mark.parametrize('num_shots', [0, 3])
def test_mbpp(asset: Asset, num_shots: int) -> None:
    rows = published(asset('benchmarks'), 'codex_mbpp/gold_bpb_3shot')
    samples = rendering.constant('mbpp/utils.py', 'list_fewshot_samples')
    harness = rendering.build(
        'mbpp/mbpp.yaml',
        rows,
        metric_list=None,
        fewshot_config={'sampler': 'first_n', 'samples': samples},
    )
    task = tasks.task('mbpp')
    check_written(task, task.items(num_shots), rendering.asked(harness, num_shots))


def test_humaneval(asset: Asset) -> None:
    with gzip.open(asset('humaneval') / 'HumanEval.jsonl.gz', 'rt', encoding='utf-8') as lines:
        rows = [json.loads(line) for line in lines]
    harness = rendering.build('humaneval/humaneval.yaml', rows, metric_list=None, filter_list=None)
    task = tasks.task('humaneval')
    check_written(task, task.items(0), rendering.asked(harness))


def check_written(task: tasks.Task, problems: Sequence[Any], asked: Sequence[Any]) -> None:
    """The contexts and the stops are the harness's."""
    assert [problem.context for problem in problems] == [context for [(context, _)] in asked]
    assert task.writing is not None
    [[(_, options)], *_] = asked
    assert list(task.writing.stops) == options['until']
