"""Two processes of four devices are one run: the same numbers, one end."""

import json
import pathlib
import socket
import subprocess
import time
from collections.abc import Callable

import pytest

from phijax import checkpoint
from phijax.train import loop, metrics
from tests.train import tiny

Start = Callable[..., list[subprocess.Popen]]


@pytest.fixture
def start(start_command: Callable[..., subprocess.Popen], tokens: pathlib.Path) -> Start:
    """`start(workdir, 'record:7', 'SIGTERM')`: two processes, of which that hits the second."""

    def run(
        workdir: pathlib.Path, moment: str = 'record:0', name: str = 'SIGKILL', *flags: str
    ) -> list[subprocess.Popen]:
        with socket.socket() as free:
            free.bind(('localhost', 0))
            address = f'localhost:{free.getsockname()[1]}'
        return [
            start_command(
                'tests.train.interrupted',
                *(moment if index else 'record:0', name),
                '--config=tests/train/tiny.py',
                f'--config.data.directory={tokens}',
                f'--workdir={workdir}',
                *(f'--coordinator={address}', '--num_processes=2', f'--process_id={index}'),
                *flags,
                devices=4,
            )
            for index in (0, 1)
        ]

    return run


def finish(processes: list[subprocess.Popen]) -> tuple[list[int], list[str]]:
    """The exit codes and what was said on the standard errors."""
    said = [process.communicate(timeout=120)[1] for process in processes]
    return [process.returncode for process in processes], said


def measured(workdir: pathlib.Path) -> list[dict[str, float]]:
    lines = (workdir / 'metrics.jsonl').read_text().splitlines()
    records = [r for r in map(json.loads, lines) if r['kind'] in ('train', 'evaluate')]
    return [{name: v for name, v in r.items() if name not in ('kind', 'timing')} for r in records]


def test_two_processes_are_one_run(
    start: Start, tokens: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when one of them was killed on the way, and a signal to one stops both later."""
    processes = start(tmp_path / 'two', 'record:7', 'SIGKILL')
    processes[1].wait(timeout=120)
    began = time.monotonic()
    codes, said = finish(processes)
    assert time.monotonic() - began < 60
    assert codes[1] == -9
    assert codes[0] not in (0, 130, 143), said

    codes, said = finish(start(tmp_path / 'two', 'record:12', 'SIGTERM'))
    assert codes == [143, 143], said
    assert 12 < checkpoint.steps(tmp_path / 'two' / 'checkpoints')[-1] < 20

    monkeypatch.setattr(metrics.trackers, 'start', lambda *args, **options: [])
    recipe = tiny.make(**{'data.directory': str(tokens)})
    assert loop.train(recipe, tmp_path / 'one') == 0
    two, one = (measured(tmp_path / name) for name in ('two', 'one'))
    assert len(two) >= 12 + 2
    for found, expected in zip(two, one, strict=False):
        assert found['loss'] == pytest.approx(expected['loss'], rel=1e-6)
        assert found == pytest.approx(expected, rel=1e-4)


def test_rows_that_processes_cannot_share_are_refused(start: Start, tmp_path: pathlib.Path) -> None:
    """With one part of the rows in both processes, each would read other rows for it."""
    flags = ('--config.mesh.data=1', '--config.mesh.tensor=8')
    codes, said = finish(start(tmp_path, 'record:0', 'SIGKILL', *flags))
    assert codes == [2, 2], said
    for text in said:
        assert 'data x fsdp of the mesh (1) must be a multiple of the 2 processes' in text
