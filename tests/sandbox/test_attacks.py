"""No attack has its way in the sandbox, and each has its way in a harness without one."""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from phijax.sandbox import Job, Limits, run_tests
from tests.sandbox.attacks import ATTACKS, Attack

# What the usual harnesses do: program and tests in one process, whose exit status is the verdict.
NAIVE = """
import json, sys
job = json.loads(sys.argv[1])
verdict = 1
space = {}
exec(job['code'], space)
try:
    exec(job['tests'], space)
    verdict = 0
except AssertionError:
    pass
if verdict:
    raise SystemError('failed')
"""

PACKAGES = pathlib.Path(os.__file__).parent / 'site-packages'


@dataclasses.dataclass
class Place:
    """A folder to attack, and listeners in it and on the loopback."""

    folder: pathlib.Path
    letters: socket.socket
    listeners: list[socket.socket]

    def job(self, attack: Attack) -> Job:
        port = self.listeners[0].getsockname()[1]
        code = attack.code.format(place=self.folder, port=port, packages=PACKAGES)
        limits = Limits(cpu_seconds=2, wall_seconds=10, file_megabytes=1)
        return Job(code=code, tests=attack.tests, names=('f',), limits=limits)

    def shows(self, attack: Attack) -> bool:
        """Whether the attack had its effect."""
        with contextlib.suppress(BlockingIOError):
            self.letters.recv(1)
            (self.folder / 'mark').touch()
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close()
                (self.folder / 'mark').touch()
        return attack.effect is not None and attack.effect(self.folder)


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    victim = tmp_path / 'victim'
    victim.write_text('untouched')
    victim.chmod(0o644)
    os.utime(victim, (1_000_000, 1_000_000))
    (tmp_path / 'secret').write_text('9')
    monkeypatch.setenv('PHIJAX_TEST_SECRET', '9')
    monkeypatch.chdir(tmp_path)  # the paths of sockets have at most 107 characters
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as letters,
        socket.create_server(('127.0.0.1', 0)) as internet,
        socket.socket(socket.AF_UNIX) as path,
    ):
        letters.bind('letters')
        path.bind('listens')
        path.listen()
        for listener in (letters, internet, path):
            listener.setblocking(False)
        yield Place(tmp_path, letters, [internet, path])


@pytest.mark.parametrize('attack', ATTACKS, ids=lambda attack: attack.name)
def test_attack_fails(attack: Attack, place: Place) -> None:
    verdict = run_tests(place.job(attack))
    assert not verdict.passed, verdict
    assert verdict.reason in ('failed', 'error', 'exited', 'blocked', 'crashed'), verdict
    assert not place.shows(attack)


@pytest.mark.parametrize('attack', ATTACKS, ids=lambda attack: attack.name)
def test_attack_has_its_way_without_a_sandbox(attack: Attack, place: Place) -> None:
    job = place.job(attack)
    content = json.dumps({'code': job.code, 'tests': job.tests, 'names': job.names})
    ran = subprocess.run(
        [sys.executable, '-I', '-S', '-B', '-c', NAIVE, content],
        input=b'x',
        capture_output=True,
        check=False,
        start_new_session=True,
    )
    had_its_way = place.shows(attack) if attack.effect else ran.returncode == 0
    if not had_its_way and not attack.sure:
        pytest.skip(f'this system refuses it: {ran.stderr.decode()[-200:]}')
    assert had_its_way, ran.stderr.decode()


def test_foreign_calls_end_the_process(place: Place) -> None:
    foreign = [attack for attack in ATTACKS if attack.name.startswith('calls of')]
    reasons = [run_tests(place.job(attack)).reason for attack in foreign]
    x86 = platform.machine() == 'x86_64'
    assert reasons == ['blocked', 'blocked'] or not x86


def test_right_program_passes(place: Place) -> None:
    assert run_tests(place.job(Attack('none', 'def f(x): return x * x'))).passed


def test_attacks_are_told_apart() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names)
    assert len(names) >= 35
