"""Programs that models might write, run against the benchmarks' tests in the sandbox."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from phijax import sandbox
from phijax.evaluate import tasks
from phijax.evaluate.tasks import reading
from phijax.evaluate.tasks.items import Grade, Problem

pytestmark = pytest.mark.skipif(
    sandbox.probe().level < sandbox.Level.STRONG, reason='the sandbox is not strong here'
)


@pytest.fixture(autouse=True)
def items(asset: Callable) -> None:
    """The items are at hand."""
    for name in ('benchmarks', 'humaneval', 'mbpp-shots'):
        asset(name)


def grade(
    name: str, texts: Sequence[str], chat: bool = False, cache: str = '', start: int = 0
) -> list[Grade]:
    task = tasks.task(name)
    problems = [item for item in task.items(0) if isinstance(item, Problem)]
    assert task.writing is not None
    execution = tasks.Execution(workers=2, cache=cache)
    return task.writing.grade(problems[start : start + len(texts)], texts, execution, chat)


def reasons(grades: Sequence[Grade]) -> set[str]:
    return {found.reason for found in grades}


def test_known_solutions_of_humaneval_pass() -> None:
    rows = reading.jsonl('humaneval', 'HumanEval.jsonl.gz')
    grades = grade('humaneval', [row['canonical_solution'] for row in rows])
    assert len(grades) == 164
    assert reasons(grades) == {'passed'}
    assert grades[0].found == rows[0]['prompt'] + rows[0]['canonical_solution']


WRAPPINGS = {
    'all of it': lambda row: f'```python\n{row["prompt"]}{row["canonical_solution"]}```',
    'the function': lambda row: f'```python\n{function(row)}```',
    'the body': lambda row: f'So:\n```python\n{row["canonical_solution"]}```\nDone.',
    'no block': lambda row: f'{function(row)}\n\nThis is how it works.',
}


def function(row: dict[str, str]) -> str:
    start = row['prompt'].index(f'def {row["entry_point"]}(')
    return row['prompt'][start:] + row['canonical_solution']


@pytest.mark.parametrize('wrapping', sorted(WRAPPINGS))
def test_known_solutions_pass_in_the_words_of_a_chat(wrapping: str) -> None:
    """From problem 32 on, whose tests use a function of the prompt, and so does 38's."""
    rows = reading.jsonl('humaneval', 'HumanEval.jsonl.gz')[32:51]
    grades = grade('humaneval', [WRAPPINGS[wrapping](row) for row in rows], chat=True, start=32)
    assert reasons(grades) == {'passed'}


def test_wrong_programs_fail_for_their_reasons() -> None:
    texts = [
        '    return True\n',
        '    return [\n',
        '    raise ValueError\n',
        ' ',
        '    import os\n    os._exit(0)\n',
    ]
    grades = grade('humaneval', texts)
    assert [found.reason for found in grades] == [
        'failed',
        'syntax',
        'error',
        'no answer',
        'exited',
    ]
    assert not any(found.correct for found in grades)
    assert grades[3].found is None


def test_a_chat_without_the_function() -> None:
    [refused, other] = grade(
        'humaneval', ['No.', '```python\ndef other():\n    return 1\n```'], chat=True
    )
    assert (refused.reason, refused.found) == ('no answer', None)
    assert other.reason == 'missing'


@pytest.mark.parametrize('chat', [False, True])
@pytest.mark.parametrize('name', ['mbpp', 'mbpp_docstring'])
def test_known_solutions_of_mbpp_pass(name: str, chat: bool) -> None:
    """A part of them, with the one whose tests have a setup and use a class of the solution."""
    documents = reading.documents('codex_mbpp/gold_bpb_3shot')
    start = next(i for i, row in enumerate(documents) if row['test_setup_code']) - 20
    codes = [row['code'] for row in documents[start : start + 25]]
    texts = [f'Sure.\n```python\n{code}\n```' for code in codes] if chat else codes
    assert reasons(grade(name, texts, chat=chat, start=start)) == {'passed'}


@pytest.mark.slow
@pytest.mark.parametrize('name', ['mbpp', 'mbpp_docstring'])
def test_all_known_solutions_of_mbpp_pass(name: str) -> None:
    documents = reading.documents('codex_mbpp/gold_bpb_3shot')
    grades = grade(name, [row['code'] for row in documents])
    assert len(grades) == 500
    assert reasons(grades) == {'passed'}


def test_gsm8k_by_program() -> None:
    problems = tasks.task('gsm8k_program').items(0)[:4]
    golds = [problem.reference['answer'] for problem in problems if isinstance(problem, Problem)]
    texts = [
        f'    eggs = {golds[0]}\n    return eggs\n',
        f'    return {golds[1]} + 0.0005\n',
        f'    return {golds[2]} + 1\n',
        f'    return [{golds[3]}]\n',
    ]
    grades = grade('gsm8k_program', texts)
    assert [found.reason for found in grades] == ['passed', 'passed', 'failed', 'error']


def test_gsm8k_by_program_in_a_chat() -> None:
    [problem] = tasks.task('gsm8k_program').items(0)[:1]
    assert isinstance(problem, Problem)
    gold = problem.reference['answer']
    answer = f'```python\ndef solution():\n    return {gold}\n\nprint(solution())\n```\nDone: 3.'
    [found] = grade('gsm8k_program', [answer], chat=True)
    assert found.correct


def test_verdicts_are_kept(tmp_path: Path) -> None:
    cache = str(tmp_path / 'verdicts')
    first = grade('humaneval', ['    return True\n'] * 3, cache=cache)
    size = Path(cache).stat().st_size
    assert grade('humaneval', ['    return True\n'] * 3, cache=cache) == first
    assert Path(cache).stat().st_size == size


def test_execution_is_described() -> None:
    execution = tasks.Execution(cpu_seconds=3.0, memory_megabytes=256)
    execution.check()
    described = execution.described()
    assert described['isolation']['level'] == 'strong'
    assert described['limits']['cpu_seconds'] == 3.0
    assert described['limits']['memory_megabytes'] == 256


def test_a_word_that_is_not_the_right_one_is_refused() -> None:
    with pytest.raises(sandbox.SandboxError, match='I_UNDERSTAND'):
        tasks.Execution(unsafe='yes').check()
