"""One writer for each workdir, on a disk that has room."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from phijax import checkpoint

HOLD = """
import os, sys, time
from phijax import checkpoint
with checkpoint.lock(sys.argv[1]):
    if 'fork' in sys.argv and os.fork():
        time.sleep(60)  # and the child goes on
    print('locked', flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path: pathlib.Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """`hold()`: a process that holds the lock of `tmp_path`."""
    started = []

    def start(*arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, '-c', HOLD, str(tmp_path), *arguments],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout.readline() == 'locked\n'
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_second_writer_is_refused_and_told_of_the_first(
    tmp_path: pathlib.Path, hold: Callable
) -> None:
    first = hold()
    with pytest.raises(checkpoint.WorkdirLocked) as caught, checkpoint.lock(tmp_path):
        pytest.fail('locked twice')
    for part in (str(tmp_path), f'process {first.pid}', socket.gethostname(), 'started 20'):
        assert part in str(caught.value)
    assert first.poll() is None


@pytest.mark.parametrize('arguments', [(), ('fork',)])
def test_the_lock_of_a_killed_process_is_free(
    tmp_path: pathlib.Path, hold: Callable, arguments: tuple[str, ...]
) -> None:
    first = hold(*arguments)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert str(first.pid) in (tmp_path / 'lock').read_text()
    with checkpoint.lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / 'lock').read_text()


def test_the_lock_ends_with_its_context(tmp_path: pathlib.Path) -> None:
    for _ in range(2):
        with checkpoint.lock(tmp_path), pytest.raises(checkpoint.WorkdirLocked, match='process'):
            checkpoint.lock(tmp_path).__enter__()


def test_what_stood_in_the_lock_is_replaced(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'lock').write_text('x' * 1000)
    with checkpoint.lock(tmp_path):
        assert json.loads((tmp_path / 'lock').read_text())['pid'] == os.getpid()


def test_errors_within_the_lock_stay_what_they_are(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BlockingIOError, match='mine'), checkpoint.lock(tmp_path):
        raise BlockingIOError('mine')
    with checkpoint.lock(tmp_path):
        pass


@pytest.mark.parametrize(('free', 'fits'), [(100, True), (99, False)])
def test_a_disk_without_room_is_told_before_the_run(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, free: int, fits: bool
) -> None:
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'sub' / 'old').write_bytes(bytes(20 << 10))
    usage = shutil.disk_usage(tmp_path)._replace(free=free << 10)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
    warning = checkpoint.preflight(tmp_path, 30 << 10, keep=3)
    assert (warning is None) == fits
    if warning is not None:
        assert f'{tmp_path} has ' in warning
        assert '3 checkpoints of' in warning


def test_the_real_disk_is_asked(tmp_path: pathlib.Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert checkpoint.preflight(tmp_path / 'new', free // 8, keep=3) is None
    assert 'GiB free' in checkpoint.preflight(tmp_path / 'new', free, keep=3)


def test_a_directory_that_cannot_be_written_is_refused_at_once(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'file').touch()
    for open_it in (
        lambda path: checkpoint.preflight(path, 1),
        checkpoint.Checkpointer,
        lambda path: checkpoint.lock(path).__enter__(),
    ):
        with pytest.raises(
            checkpoint.CheckpointError, match=r'cannot write to .*/file/sub: Not a '
        ):
            open_it(tmp_path / 'file' / 'sub')
