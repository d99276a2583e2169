"""The command in processes of its own: killed, starved of disk, and given wrong flags."""

import json
import pathlib
import resource
import signal
import subprocess
import sys
import time

import pytest

from phijax.data import tokenize
from phijax.data.files import lock

ROOT = pathlib.Path(tokenize.__file__).parents[3]
LIBRARY = pathlib.Path(json.__file__).parents[1]
PATHS = tuple(f'{LIBRARY}/{name}/*.py' for name in ('asyncio', 'email', 'json', 'xml/dom'))
PLAIN = {
    'sources': {'code': {'kind': 'files', 'paths': PATHS}},
    'vocab_size': 500,
    'sample_bytes': 100_000,
    'heldout_fraction': 0.1,
    'part_bytes': 8_000,
}
CONFIG = f"""
import ml_collections

def get_config():
    return ml_collections.ConfigDict({PLAIN})
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp('config') / 'config.py'
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope='module')
def digest(tmp_path_factory) -> str:
    """What a run gives that nobody disturbs."""
    return tokenize.run(tokenize.from_dict(PLAIN), tmp_path_factory.mktemp('plain'))['digest']


def finished(directory):
    return (directory / 'manifest.json').exists()


def test_the_command_tells_what_came_of_it(run_command, config, tmp_path, digest):
    done = run_command('phijax.data.tokenize', f'--config={config}', f'--workdir={tmp_path}')
    assert done.returncode == 0
    assert 'code: ' in done.stdout
    assert 'train: ' in done.stdout
    assert tokenize.verify(tmp_path)['digest'] == digest


# When to kill: once this many files of this kind are there.
STAGES = {
    'documents/code.partial/*.parquet': 3,
    'documents/code/ledger.json': 1,
    'tokenizer*': 1,
    'code/*.tokens.partial': 1,
    'documents/code/*.tokens.json': 5,
}


@pytest.mark.parametrize('stage', STAGES)
def test_a_killed_run_is_taken_up_again(start_command, config, tmp_path, digest, stage):
    arguments = ('phijax.data.tokenize', f'--config={config}', f'--workdir={tmp_path}')
    process = start_command(*arguments)
    while len(list(tmp_path.glob(stage))) < STAGES[stage] and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not finished(tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob('documents/code/*.tokens.json')}
    again = start_command(*arguments)
    assert again.wait(120) == 0
    assert tokenize.verify(tmp_path)['digest'] == digest
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())
    assert not list(tmp_path.rglob('*.partial'))


def test_a_full_disk_leaves_nothing_that_looks_whole(config, tmp_path, digest):
    command = [sys.executable, '-m', 'phijax.data.tokenize', f'--config={config}']
    command.append(f'--workdir={tmp_path}')

    def run(limit):
        def starve():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.run(
            command, cwd=ROOT, preexec_fn=starve, capture_output=True, text=True, check=False
        )

    for limit in (6_000, 40_000):
        failed = run(limit)
        assert failed.returncode == 2
        assert failed.stderr.splitlines()[-1].startswith(f'error: {tmp_path}: ')
        assert 'Traceback' not in failed.stderr
        assert not finished(tmp_path)
    assert run(resource.RLIM_INFINITY).returncode == 0
    assert tokenize.verify(tmp_path)['digest'] == digest


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--config.vocab_size=100'], 'vocab_size is 100; it must be more than 256'),
        (['--config.heldout_fraction=2.0'], 'heldout_fraction is 2.0'),
        (['--config.sources.code.kind=zip'], "sources.code.kind is 'zip'"),
    ],
)
def test_a_wrong_setting_is_answered_in_one_line(run_command, config, tmp_path, flags, message):
    arguments = (f'--config={config}', f'--workdir={tmp_path / "out"}', *flags)
    done = run_command('phijax.data.tokenize', *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'out').exists()


def test_a_lock_ends_with_its_process(config, tmp_path):
    hold = (
        'import sys, time; from phijax.data.files import lock; import pathlib\n'
        f'with lock(pathlib.Path({str(tmp_path)!r})): print("held", flush=True); time.sleep(60)'
    )
    process = subprocess.Popen([sys.executable, '-c', hold], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b'held\n'
    with pytest.raises(ValueError, match='Another process'), lock(tmp_path):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    with lock(tmp_path):
        assert json.loads('true')
