"""Evaluations as a user runs them: a model in files, real items, a report; killed, and resumed."""

import json
import re
import signal
import time

import pytest

from phijax import evaluate, sandbox
from phijax.errors import InputError
from phijax.evaluate import running, samples

FIELDS = {
    'tasks': ('arc_easy', 'winogrande', 'mmlu', 'gsm8k'),
    'style': 'completion',
    'shots': {'gsm8k': 2},
    'limit': 6,
    'dtype': 'float32',
    'bits': 0,
    'num_samples': 1,
    'temperature': 0.0,
    'top_p': 1.0,
    'max_new_tokens': 8,
    'ks': (1,),
    'seed': 0,
    'rows_at_once': 4,
    'tokens_at_once': 0,
    'beside': ('phi1_5', 'phi2'),
    'sandbox': {'workers': 2, 'cpu_seconds': 2.0, 'memory_megabytes': 256, 'unsafe': ''},
}
strong = pytest.mark.skipif(
    sandbox.probe().level < sandbox.Level.STRONG, reason=str(sandbox.probe().missing)
)


def plan(**changes):
    return evaluate.from_dict(FIELDS | changes)


@pytest.fixture(scope='module')
def done(checkpoint, tmp_path_factory, asset):
    """The workdir of an evaluation, and what it printed."""
    asset('benchmarks'), asset('mmlu')
    workdir = tmp_path_factory.mktemp('evaluation')
    return workdir, running.run(plan(), checkpoint, workdir)


def test_each_task_has_its_figures_and_their_settings(done):
    workdir, table = done
    found = json.loads((workdir / 'results.json').read_text())
    assert set(found['tasks']) == set(FIELDS['tasks'])
    for task in found['tasks'].values():
        assert task['n'] == 6
        for metric in task['metrics'].values():
            assert 0 <= metric['low'] <= metric['value'] <= metric['high'] <= 1
        assert re.fullmatch('[0-9a-f]{64}', task['prompts'])
        assert task['title'] in table
    assert found['tasks']['gsm8k']['answers'] == 6
    assert found['tasks']['gsm8k']['shots'] == 2
    assert len(found['tasks']['mmlu']['groups']) == 6
    assert found['identity']['parameters']
    assert found['settings']['seed'] == 0


def test_the_score_is_that_of_the_answers_on_the_disk(done):
    workdir, _ = done
    found = json.loads((workdir / 'results.json').read_text())['tasks']
    for name in FIELDS['tasks']:
        records = samples.read(workdir / found[name]['samples'])
        right = sum(record['correct'] for record in records)
        assert found[name]['metrics']['accuracy']['value'] == pytest.approx(right / 6)
    record = samples.read(workdir / 'samples' / 'arc_easy.jsonl')[0]
    best = max(range(len(record['log_likelihoods'])), key=record['log_likelihoods'].__getitem__)
    assert record['chosen'] == best


def test_the_page_stands_alone_and_says_what_is_comparable(done):
    workdir, _ = done
    html = (workdir / 'report.html').read_text()
    assert 'http' not in html.replace('https://', 'http').split('<style>')[0]
    assert '<script' not in html
    text = (workdir / 'report.md').read_text()
    assert 'MMLU, phi1_5 37.6: not comparable: 5 solved items were shown, there 2.' in text
    assert 'ARC easy, phi1_5 75.6: near, not equal' in text


def test_nothing_is_asked_twice(done, checkpoint, monkeypatch):
    workdir, table = done
    monkeypatch.setattr(running, 'measure', lambda *rest: _refuse(rest[2]))
    assert running.run(plan(), checkpoint, workdir) == table


def _refuse(items):
    assert not items
    return iter(())


def test_more_items_go_on_where_fewer_ended(done, checkpoint, tmp_path):
    before = samples.read(done[0] / 'samples' / 'arc_easy.jsonl')
    running.run(plan(tasks=('arc_easy',), limit=3), checkpoint, tmp_path)
    path = tmp_path / 'samples' / 'arc_easy.jsonl'
    first = path.read_text()
    running.run(plan(tasks=('arc_easy',)), checkpoint, tmp_path)
    assert path.read_text().startswith(first)
    found = {record['id']: record for record in samples.read(path)}
    for record in before:
        assert found[record['id']]['log_likelihoods'] == pytest.approx(
            record['log_likelihoods'], abs=1e-4
        )


@pytest.mark.parametrize('changes', [{'shots': {'arc_easy': 1}}, {'style': 'phi2'}, {'seed': 1}])
def test_other_questions_want_another_workdir(done, checkpoint, changes):
    with pytest.raises(InputError, match='answers to other questions'):
        running.run(plan(tasks=('arc_easy',), **changes), checkpoint, done[0])


@strong
def test_programs_are_run_and_their_verdicts_told(checkpoint, tmp_path, asset):
    asset('humaneval')
    chosen = plan(
        tasks=('humaneval', 'gsm8k_program'),
        limit=3,
        num_samples=2,
        temperature=1.0,
        ks=(1, 2),
        shots={},
    )
    running.run(chosen, checkpoint, tmp_path)
    found = json.loads((tmp_path / 'results.json').read_text())
    assert found['sandbox']['isolation']['level'] == 'strong'
    task = found['tasks']['humaneval']
    assert task['answers'] == sum(task['reasons'].values()) == 6
    assert set(task['metrics']) == {'accuracy', 'pass@1', 'pass@2'}
    assert set(task['reasons']) <= {*sandbox.REASONS, 'no answer'}


def test_without_a_sandbox_programs_are_refused_before_a_model_is_opened(tmp_path, monkeypatch):
    weak = sandbox.Isolation(sandbox.Level.WEAK, {}, {'landlock': 'ENOSYS'}, {})
    monkeypatch.setattr('phijax.sandbox.isolation.probe', lambda: weak)
    with pytest.raises(sandbox.SandboxError, match=r'wants level strong.*I_UNDERSTAND'):
        running.run(plan(tasks=('humaneval',), shots={}), 'nothing-here', tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_prompt_that_does_not_fit_is_cut_and_counted(params, codec, tmp_path, asset):
    import dataclasses

    from phijax.interop import huggingface
    from tests.evaluate.conftest import CONFIG

    asset('benchmarks')
    small = dataclasses.replace(CONFIG, max_length=128)
    huggingface.save(small, params, tmp_path / 'model', tokenizer=codec)
    running.run(plan(tasks=('gsm8k', 'boolq')), tmp_path / 'model', tmp_path / 'out')
    found = json.loads((tmp_path / 'out' / 'results.json').read_text())['tasks']
    assert found['gsm8k']['prompts_cut'] == found['boolq']['prompts_cut'] == 6


def test_a_killed_command_goes_on_and_ends_like_one_that_was_not(
    checkpoint, done, start_command, run_command, tmp_path
):
    arguments = [
        '--config=configs/eval/phi2.py:smoke',
        f'--checkpoint={checkpoint}',
        f'--workdir={tmp_path}',
        '--config.tasks=arc_easy',
        '--config.limit=40',
        '--config.tokens_at_once=128',
    ]
    path = tmp_path / 'samples' / 'arc_easy.jsonl'
    process = start_command('phijax.evaluate', *arguments)
    deadline = time.monotonic() + 100
    while not path.exists() or path.read_text().count('\n') < 3:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = path.read_text().count('\n')
    result = run_command('phijax.evaluate', *arguments)
    assert result.returncode == 0, result.stderr
    assert 'ARC easy' in result.stdout
    records = samples.read(path)
    assert kept > 1
    assert len({record['id'] for record in records}) == len(records) == 40


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (
            ['--config.tasks=arc_esay'],
            "There is no task or group 'arc_esay' (did you mean arc_easy?)",
        ),
        (['--config.style=phi9'], 'style must be one of completion, phi3,'),
        (['--config.shots.mmlu=6'], 'shots.mmlu must be from 0 to 5, got 6'),
        (['--config.num_samples=3'], 'num_samples=3 needs a temperature above 0'),
        (['--config.limt=3'], 'did you mean --config.limit?'),
        ([], '--checkpoint=PATH is needed'),
    ],
)
def test_a_mistake_is_answered_in_a_line(run_command, arguments, message):
    result = run_command('phijax.evaluate', '--config=configs/eval/phi2.py', *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert 'Traceback' not in result.stderr
