import json
import re

import pytest

from phijax.data.filtering.decontaminate import LOADERS, Item, digest, load
from phijax.errors import InputError
from phijax.evaluate.tasks import TASKS, Choice

NEEDS = ('humaneval', 'benchmarks', 'mmlu', 'hellaswag', 'mbpp-shots')


def write(path, *rows) -> str:
    path.write_text('\n'.join(map(json.dumps, rows)) + '\n')
    return str(path)


@pytest.mark.parametrize('name', LOADERS)
def test_items_are_those_of_the_evaluation(name: str, asset) -> None:
    for each in NEEDS:
        asset(each)
    items, asked = load([name]), TASKS[name].items(0)
    assert [item.id for item in items] == [each.id for each in asked]
    for item, each in zip(items, asked, strict=True):
        text = each.contexts[0] if isinstance(each, Choice) else each.context
        # What stands there is cut at a blank, or has other capitals.
        word = item.question.lower().split()[0].partition('_')[0]
        assert word in text.lower(), item.key


def test_solutions_define_what_is_asked_for(items: list[Item]) -> None:
    problems = [item for item in items if item.code]
    assert len(problems) == 164 + 500
    for item in problems:
        names = re.findall(r'^def (\w+)', item.code, re.MULTILINE)
        assert item.entry_point in names, item.key


def test_passages_that_others_wrote_are_left_out(asset) -> None:
    asset('mmlu')
    questions = {item.id: item.question for item in load(['mmlu'])}
    history = [text for key, text in questions.items() if 'us_history' in key]
    assert max(map(len, history)) < 500
    assert not any('This question refers' in text for text in history)


def test_answers_have_no_marks_of_a_calculator(gsm8k: list[Item]) -> None:
    assert not any('<<' in item.answer or '####' in item.answer for item in gsm8k)


def test_own_items(tmp_path) -> None:
    row = {'benchmark': 'mine', 'id': '1', 'question': 'How many?', 'code': 'def f(): pass'}
    [item] = load([], write(tmp_path / 'items.jsonl', row))
    assert item == Item('mine', '1', 'How many?', code='def f(): pass')
    assert item.key == 'mine/1'


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ({'benchmark': 'mine', 'id': '1'}, 'question'),
        ({'benchmark': 'mine', 'id': '1', 'question': 'a', 'solution': 'b'}, 'solution'),
        ({'benchmark': 'mine', 'id': 1, 'question': 'a'}, 'not a text'),
        ([1, 2], 'list'),
    ],
)
def test_own_items_that_are_none(tmp_path, row, message: str) -> None:
    path = write(tmp_path / 'items.jsonl', {'benchmark': 'a', 'id': 'b', 'question': 'c'}, row)
    with pytest.raises(InputError, match=message) as caught:
        load([], path)
    assert f'{path}:2' in str(caught.value)


def test_own_items_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(InputError, match='not a file'):
        load([], str(tmp_path / 'nothing.jsonl'))
    (tmp_path / 'a.jsonl').write_text('{"benchmark": ')
    with pytest.raises(InputError, match=r'a\.jsonl:1 is not JSON'):
        load([], str(tmp_path / 'a.jsonl'))


def test_an_item_is_there_once(tmp_path) -> None:
    row = {'benchmark': 'mine', 'id': '1', 'question': 'How many?'}
    with pytest.raises(InputError, match='mine/1'):
        load([], write(tmp_path / 'items.jsonl', row, row))


def test_unknown_benchmark() -> None:
    with pytest.raises(InputError, match=r"'humanevil'.*humaneval"):
        load(['humanevil'])


def test_digest_is_of_the_items_and_not_of_their_order() -> None:
    first, second = Item('a', '1', 'x'), Item('a', '2', 'y')
    assert digest([first, second]) == digest([second, first])
    assert digest([first]) != digest([second]) != digest([Item('a', '2', 'y', answer='z')])
