"""What fails to be saved, or is killed while it is, costs nothing that was there."""

import errno
import pathlib
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from phijax import checkpoint
from phijax.checkpoint import manifest
from tests.checkpoint.states import abstract, make_state


def test_a_killed_save_leaves_the_checkpoint_before(
    directory: pathlib.Path, restore: Callable
) -> None:
    script = (
        'import os, signal, sys\n'
        'import jax.numpy as jnp\n'
        'from phijax import checkpoint\n'
        'keeper = checkpoint.Checkpointer(sys.argv[1])\n'
        "keeper.save(1, {'params': {'x': jnp.ones(1 << 22)}}, {})\n"
        'keeper.wait()\n'
        "keeper.save(2, {'params': {'x': jnp.zeros(1 << 22)}}, {})\n"
        'os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    killed = subprocess.run([sys.executable, '-c', script, str(directory)], check=False)
    assert killed.returncode == -9
    assert checkpoint.steps(directory) == [1]
    state, _ = restore(directory, {'params': {'x': jnp.zeros(1 << 22)}})
    assert bool(jnp.all(state['params']['x'] == 1))
    assert [path.name for path in directory.iterdir()] == ['00000001']


def test_what_a_killed_process_left_is_ignored_and_cleared(
    saved: pathlib.Path, told: list[str]
) -> None:
    shutil.copytree(saved / '00000010', saved / '00000020.unfinished')
    shutil.copytree(saved / '00000005', saved / '00000001.deleted')
    assert checkpoint.steps(saved) == [5, 10]
    with checkpoint.Checkpointer(saved, warn=told.append) as keeper:
        assert keeper.restore(abstract(make_state(0)))[1]['step'] == 10
    assert sorted(path.name for path in saved.iterdir()) == ['00000005', '00000010']
    assert told == []


@pytest.fixture
def full_disk() -> Iterator[Callable[[bool], None]]:
    """`full_disk(True)`: no file of this process can grow beyond 10 kB until `full_disk(False)`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda on: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000 if on else soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fails_costs_only_the_save(
    saved: pathlib.Path, told: list[str], full_disk: Callable[[bool], None]
) -> None:
    with checkpoint.Checkpointer(saved, keep=1, warn=told.append) as keeper:
        keeper.restore(abstract(make_state(0)))
        full_disk(True)
        keeper.save(15, make_state(15), {})
        keeper.save(20, make_state(20), {})
        with pytest.raises(checkpoint.SaveFailed, match=r'step 20 .* newest is that of step 10'):
            keeper.wait()
        assert [message.split(' could ')[0] for message in told] == [
            'the checkpoint of step 15',
            'the checkpoint of step 20',
        ]
        assert told[0].endswith('step 10: File too large')
        assert keeper.steps() == [5, 10]
        full_disk(False)
        keeper.save(25, make_state(25), {})
        keeper.wait()
        assert keeper.failure is None
    assert sorted(path.name for path in saved.iterdir()) == ['00000010', '00000025']
    assert checkpoint.verify(saved, 25) == []


def test_a_disk_that_fails_is_told_in_one_line(directory: pathlib.Path) -> None:
    script = (
        'import resource, sys\n'
        'import jax.numpy as jnp\n'
        'from phijax import checkpoint\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))\n'
        "state = {'params': {f'x{i}': jnp.ones(1 << 16) + i for i in range(6)}}\n"
        'with checkpoint.Checkpointer(sys.argv[1], warn=print) as keeper:\n'
        '    for step in range(3):\n'
        '        keeper.save(step, state, {})\n'
        '    try:\n'
        '        keeper.wait()\n'
        '    except checkpoint.SaveFailed:\n'
        '        keeper.failure = None\n'
    )
    command = [sys.executable, '-c', script, str(directory)]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stderr == ''
    assert out.stdout.count('\n') == out.stdout.count('there is none: File too large\n') == 3


def test_a_full_file_system_costs_only_the_save(tmp_path: pathlib.Path, told: list[str]) -> None:
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip('only root can mount a small file system')
    try:
        state = {'params': {'x': jax.random.normal(jax.random.key(0), (1 << 20,))}}
        with checkpoint.Checkpointer(tmp_path / 'run', keep=1, warn=told.append) as keeper:
            keeper.save(1, state, {})
            keeper.wait()
            keeper.save(2, state, {})
            with pytest.raises(checkpoint.SaveFailed, match='No space left on device'):
                keeper.wait()
            assert keeper.steps() == [1]
            assert checkpoint.verify(tmp_path / 'run', 1) == []
            subprocess.run(['mount', '-o', 'remount,size=32m', str(tmp_path)], check=True)
            keeper.save(3, state, {})
        assert checkpoint.steps(tmp_path / 'run') == [3]
    finally:
        subprocess.run(['umount', str(tmp_path)], check=True)


def test_what_a_failed_save_left_is_not_in_the_way_of_the_next(
    saved: pathlib.Path, told: list[str]
) -> None:
    with checkpoint.Checkpointer(saved, warn=told.append) as keeper:
        keeper.restore(abstract(make_state(0)))
        shutil.copytree(saved / '00000005', saved / '00000015.unfinished')
        keeper.save(15, make_state(15), {})
    assert told == []
    assert sorted(path.name for path in saved.iterdir()) == ['00000005', '00000010', '00000015']


def test_every_file_is_flushed_before_the_checkpoint_counts(
    directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = {}
    flush = manifest.flush

    def record(path: pathlib.Path) -> None:
        flush(path)
        flushed[path.relative_to(directory).as_posix()] = checkpoint.steps(directory)

    monkeypatch.setattr(manifest, 'flush', record)
    with checkpoint.Checkpointer(directory) as keeper:
        keeper.save(1, make_state(1), {})
    written = {path.relative_to(directory).as_posix() for path in directory.rglob('*')}
    before = {name.replace('.unfinished', '') for name, steps in flushed.items() if not steps}
    assert before == written
    assert [name for name, steps in flushed.items() if steps] == ['.']


@pytest.mark.parametrize('stage', ['seal', 'remove', 'flush'])
def test_no_stage_of_a_save_can_fail_unnoticed(
    saved: pathlib.Path, told: list[str], monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    with checkpoint.Checkpointer(saved, warn=told.append) as keeper:
        keeper.restore(abstract(make_state(0)))
        with monkeypatch.context() as patch:
            patch.setattr(manifest, stage, fail)
            keeper.save(15, make_state(15), {})
            with pytest.raises(checkpoint.SaveFailed, match='No space left on device'):
                keeper.wait()
        assert len(told) == 1
        assert not list(saved.glob('*.*'))
        assert checkpoint.verify(saved, 10) == []
        keeper.save(20, make_state(20), {})
    assert checkpoint.verify(saved, 20) == []


def test_a_checkpoint_that_cannot_be_deleted_is_told(
    saved: pathlib.Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = manifest.remove

    def refuse(path: pathlib.Path) -> None:
        if path.name == '00000005':
            raise PermissionError(errno.EACCES, 'Permission denied')
        remove(path)

    monkeypatch.setattr(manifest, 'remove', refuse)
    with checkpoint.Checkpointer(saved, keep=1, keep_best=False, warn=told.append) as keeper:
        keeper.restore(abstract(make_state(0)))
        keeper.save(15, make_state(15), {})
    assert told == ['the checkpoint of step 5 could not be deleted: [Errno 13] Permission denied']


def test_damage_that_cannot_be_deleted_does_not_stop_the_saves(
    saved: pathlib.Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (saved / '00000010' / manifest.FILE).unlink()

    def refuse(path: pathlib.Path) -> None:
        if path.exists():
            raise PermissionError(errno.EACCES, 'Permission denied')

    with checkpoint.Checkpointer(saved, warn=told.append) as keeper:
        keeper.restore(abstract(make_state(0)))
        monkeypatch.setattr(manifest, 'remove', refuse)
        keeper.save(7, make_state(7), {})
        keeper.save(8, make_state(8), {})
        keeper.wait()
        monkeypatch.undo()
        keeper.save(9, make_state(9), {})
    assert checkpoint.steps(saved) == [5, 7, 8, 9]
    assert [message.split(' could ')[0] for message in told[1:]] == [
        'the checkpoint of step 10'
    ] * 2


def test_a_failed_last_save_ends_the_run_with_an_error(
    saved: pathlib.Path, told: list[str], full_disk: Callable[[bool], None]
) -> None:
    def run(error: Exception | None) -> None:
        with checkpoint.Checkpointer(saved, warn=told.append) as keeper:
            keeper.restore(abstract(make_state(0)))
            keeper.save(15, make_state(15), {})
            if error is not None:
                raise error

    full_disk(True)
    with pytest.raises(checkpoint.SaveFailed, match='step 15'):
        run(None)
    with pytest.raises(KeyError, match='the first'):
        run(KeyError('the first'))
    assert len(told) == 2


def test_what_a_failed_save_still_writes_does_not_fail_the_next(
    saved: pathlib.Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (saved / '00000020.unfinished' / 'late').mkdir(parents=True)
    rmtree, late = shutil.rmtree, iter(range(3))

    def as_if_written_into(path: pathlib.Path, **options: bool) -> None:
        if str(path).endswith('.unfinished') and next(late, None) is not None:
            raise OSError(errno.ENOTEMPTY, 'Directory not empty', str(path))
        rmtree(path, **options)

    monkeypatch.setattr(shutil, 'rmtree', as_if_written_into)
    with checkpoint.Checkpointer(saved, keep=1, warn=told.append) as keeper:
        keeper.restore(abstract(make_state(0)))
        keeper.save(25, make_state(25), {})
        keeper.wait()
    assert told == []
    assert sorted(path.name for path in saved.iterdir()) == ['00000010', '00000025']
