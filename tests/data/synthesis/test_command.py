"""The command: how it ends, and the same bytes after it was killed."""

import time

import pytest

from tests.data.client import server
from tests.data.client.server import Script
from tests.data.synthesis import runs, teacher

# Faults that no model sees, so that what was billed is what was answered.
ROUGH = {'limited_after': 0.02, 'error': 0.02}


def start(start_command, path, workdir):
    return start_command('phijax.data.synthesis', f'--config={path}', f'--workdir={workdir}')


def test_kills_change_nothing_and_cost_next_to_nothing(tmp_path, start_command):
    with server.run(Script(write=teacher.write)) as running:
        path = runs.write(tmp_path / 'whole.py', runs.config(running.url, tmp_path, 60))
        process = start(start_command, path, tmp_path / 'whole')
        assert process.wait(120) == 0
        needed = running.stats.billed_requests
    with server.run(Script(write=teacher.write, rates=ROUGH, latency=0.02)) as running:
        path = runs.write(tmp_path / 'killed.py', runs.config(running.url, tmp_path, 60))
        for point in (10, 40, 80):
            process = start(start_command, path, tmp_path / 'killed')
            while running.stats.answered < point and process.poll() is None:
                time.sleep(0.005)
            process.kill()
            assert process.wait() == -9
        process = start(start_command, path, tmp_path / 'killed')
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert needed <= running.stats.billed_requests <= needed + 3 * 8
    whole = runs.contents(tmp_path / 'whole')
    assert runs.contents(tmp_path / 'killed') == whole
    assert any('documents-00002.parquet' in name for name in whole)


@pytest.mark.parametrize(
    ('script', 'changes', 'code', 'message'),
    [
        (Script(write=lambda body: 'no'), {'teacher': {'max_rejected': 0.5}}, 3, 'cannot be used'),
        (Script(write=teacher.write), {'budget': {'max_tokens': 9000}}, 4, 'The budget is 9,000'),
        (Script(write=teacher.write), {'budget': {'max_tokens': 0}}, 2, 'max_tokens is 0'),
        (Script(rates={'error': 1.0}), {}, 75, 'the same command goes on'),
        (
            Script(write=teacher.write, rates={'renamed': 0.1}),
            {},
            2,
            'two teachers would be mixed',
        ),
        (Script(), {'topics': {'taxonomy': 'nowhere.txt'}}, 2, "topics.taxonomy is 'nowhere.txt'"),
    ],
)
def test_how_the_command_ends(tmp_path, start_command, script, changes, code, message):
    changes = {'topics': {'leaves': 0}} | changes
    with server.run(script) as running:
        plain = runs.config(running.url, tmp_path, **changes)
        path = runs.write(tmp_path / 'config.py', plain)
        process = start(start_command, path, tmp_path / 'run')
        _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    assert message in errors
    assert 'Traceback' not in errors


@pytest.mark.parametrize('name', ['textbooks', 'commonsense', 'dialogue', 'exercises'])
def test_the_configs_of_the_repository_run_small(name, tmp_path, start_command):
    with server.run(Script(write=teacher.write)) as running:
        process = start_command(
            'phijax.data.synthesis',
            f'--config=configs/synth/{name}.py:smoke',
            f'--workdir={tmp_path}',
            f'--config.endpoint.url={running.url}',
        )
        said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert 'texts: 40 given' in said
    assert (tmp_path / 'report.html').stat().st_size > 20_000
