"""Hostile programs: each is contained, and none of them passes."""

import os
import signal
import socket
import time

import pytest

from phijax import sandbox
from tests.sandbox.attacks import ATTACKS, TESTS

pytestmark = pytest.mark.skipif(
    sandbox.probe().level < sandbox.Level.STRONG, reason=str(sandbox.probe().missing)
)
SECRET = 'a-secret-of-the-tests'
LIMITS = sandbox.Limits(cpu_seconds=1, wall_seconds=4)


@pytest.fixture
def listener():
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(0)
        yield server


@pytest.fixture
def signals():
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    yield heard
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / 'mine').write_text(SECRET)
    monkeypatch.setenv('PHIJAX_TEST_SECRET', SECRET)
    return tmp_path


def _filled(attack, folder, listener):
    values = {
        'folder': folder,
        'port': listener.getsockname()[1],
        'parent': os.getpid(),
        'secret': SECRET,
    }
    return attack.code.format(**values) if '{' in attack.code else attack.code


def _answer(code):
    try:
        with sandbox.open(code, LIMITS) as program:
            return str(program.call('add', [1, 2]))
    except sandbox.Failure as failure:
        return failure.reason


@pytest.mark.parametrize('name', ATTACKS)
def test_an_attack_neither_passes_nor_has_an_effect(name, folder, listener, signals):
    attack = ATTACKS[name]
    code = _filled(attack, folder, listener)
    verdict = sandbox.run_tests(sandbox.Job(code=code, tests=TESTS, names=('add',), limits=LIMITS))
    assert not verdict.passed, verdict
    assert verdict.reason in sandbox.REASONS
    if attack.effect == 'leak':
        # The answer would be the secret: it must not be what the program can return.
        assert SECRET not in _answer(code)
    if name == 'leaves a process behind':
        time.sleep(2.5)
    assert [path.name for path in folder.iterdir()] == ['mine']
    assert (folder / 'mine').read_text() == SECRET
    assert signals == []
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_the_same_attacks_work_without_a_sandbox(folder, listener, signals):
    """The payloads are live: outside they do what the tests above look for."""
    import subprocess
    import sys

    for name in ('shell by posix.system', 'writes outside', 'connects to loopback'):
        code = _filled(ATTACKS[name], folder, listener)
        subprocess.run([sys.executable, '-c', code], check=False, timeout=20)
    assert {path.name for path in folder.iterdir()} == {'mine', 'shell', 'written'}
    listener.accept()[0].close()


def test_a_right_program_passes_under_the_same_limits():
    job = sandbox.Job(
        code='def add(a, b):\n    return a + b\n', tests=TESTS, names=('add',), limits=LIMITS
    )
    assert sandbox.run_tests(job).passed
