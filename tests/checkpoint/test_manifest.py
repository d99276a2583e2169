"""Whatever happens to the files of a checkpoint is found, named and survived."""

import json
import pathlib
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from phijax import checkpoint
from phijax.checkpoint import manifest
from tests.checkpoint.states import abstract, assert_same, make_state

PARAMS = 'state/params/ocdbt.process_0/d/*'
REST = 'state/rest/ocdbt.process_0/d/*'


def files_of(path: pathlib.Path) -> list[pathlib.Path]:
    return sorted(file for file in path.rglob('*') if file.is_file())


def largest(path: pathlib.Path, pattern: str) -> pathlib.Path:
    return max(path.glob(pattern), key=lambda file: file.stat().st_size)


def flip(file: pathlib.Path, place: int, bit: int = 0) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1 << bit
    file.write_bytes(data)


def zero_block(file: pathlib.Path) -> None:
    data = file.read_bytes()
    assert any(data[:4096])
    file.write_bytes(bytes(min(4096, len(data))) + data[4096:])


DAMAGE: dict[str, Callable[[pathlib.Path], Any]] = {
    'flipped': lambda file: flip(file, file.stat().st_size // 2),
    'truncated': lambda file: file.write_bytes(file.read_bytes()[:-1]),
    'emptied': lambda file: file.write_bytes(b''),
    'longer': lambda file: file.write_bytes(file.read_bytes() + b'\0'),
    'deleted': lambda file: file.unlink(),
    'zeroed': zero_block,
    'a directory': lambda file: (file.unlink(), file.mkdir()),
}


def test_good_checkpoints_have_no_problems(saved: pathlib.Path) -> None:
    assert checkpoint.steps(saved) == [5, 10]
    assert checkpoint.verify(saved, 5) == checkpoint.verify(saved, 10) == []
    listed = set(manifest.read(saved, 10)['files']) | {manifest.FILE}
    assert listed == {
        f.relative_to(saved / '00000010').as_posix() for f in files_of(saved / '00000010')
    }


def test_each_of_100_flipped_bits_is_found_and_its_file_named(saved: pathlib.Path) -> None:
    generator = random.Random(0)
    files = files_of(saved / '00000010')
    assert len(files) > 15
    for trial in range(100):
        file = files[trial % len(files)]
        place, bit = generator.randrange(file.stat().st_size), generator.randrange(8)
        flip(file, place, bit)
        problems = checkpoint.verify(saved, 10)
        assert len(problems) == 1
        assert problems[0].startswith(f'{file.relative_to(saved)}: ')
        flip(file, place, bit)
        assert checkpoint.verify(saved, 10) == []


@pytest.mark.parametrize('place', [0, 4 << 20, -1])
def test_every_part_of_a_large_file_is_checked(tmp_path: pathlib.Path, place: int) -> None:
    directory = tmp_path / '00000001'
    directory.mkdir()
    (directory / 'large').write_bytes(bytes(9 << 20))
    manifest.seal(directory, manifest.describe(1, {}, {}))
    assert checkpoint.verify(tmp_path, 1) == []
    flip(directory / 'large', place)
    assert checkpoint.verify(tmp_path, 1)[0].startswith('00000001/large: checksum ')


@pytest.mark.parametrize('kind', DAMAGE)
def test_every_damaged_file_is_found_and_named(saved: pathlib.Path, kind: str) -> None:
    for file in files_of(saved / '00000010'):
        data = file.read_bytes()
        DAMAGE[kind](file)
        problems = checkpoint.verify(saved, 10)
        assert [line.split(': ')[0] for line in problems] == [str(file.relative_to(saved))]
        file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
        file.write_bytes(data)
    assert checkpoint.verify(saved, 10) == []


@pytest.mark.parametrize('pattern', [PARAMS, REST, 'manifest.json', 'state/rest/_METADATA'])
@pytest.mark.parametrize('kind', ['flipped', 'deleted'])
def test_a_run_goes_back_to_the_newest_good_checkpoint_and_says_so(
    saved: pathlib.Path, told: list[str], restore: Callable, pattern: str, kind: str
) -> None:
    file = largest(saved / '00000010', pattern)
    DAMAGE[kind](file)
    state, metadata = restore(saved)
    assert_same(state, make_state(5))
    assert metadata['step'] == 5
    assert len(told) == 1
    assert str(file.relative_to(saved)) in told[0]
    assert 'step 10 is damaged' in told[0]
    assert 'step 5' in told[0]
    assert checkpoint.steps(saved) == [5, 10]


@pytest.mark.parametrize('pattern', [PARAMS, 'manifest.json'])
def test_a_run_without_any_good_checkpoint_never_starts_anew(
    saved: pathlib.Path, restore: Callable, pattern: str
) -> None:
    files = [largest(saved / name, pattern) for name in ('00000005', '00000010')]
    for file in files:
        file.unlink()
    with pytest.raises(checkpoint.CheckpointError) as caught:
        restore(saved)
    for file in files:
        assert str(file.relative_to(saved)) in str(caught.value)
    assert checkpoint.steps(saved) == [5, 10]


def test_a_named_step_is_restored_or_refused_but_never_replaced(
    saved: pathlib.Path, restore: Callable, told: list[str]
) -> None:
    assert_same(restore(saved, step=5)[0], make_state(5))
    flip(largest(saved / '00000005', PARAMS), 0)
    with pytest.raises(checkpoint.CheckpointError, match='step 5 is damaged'):
        restore(saved, step=5)
    with pytest.raises(
        FileNotFoundError, match=r'no checkpoint of step 7 in .*: it has those of 5, 10'
    ):
        restore(saved, step=7)
    assert told == []


def test_no_checkpoint_at_all_is_told_apart(tmp_path: pathlib.Path, restore: Callable) -> None:
    assert checkpoint.steps(tmp_path / 'absent') == []
    with pytest.raises(FileNotFoundError, match='no checkpoint in'):
        restore(tmp_path)
    with pytest.raises(FileNotFoundError, match='no checkpoint in'):
        checkpoint.read_metadata(tmp_path / 'absent')


def test_names_that_are_no_steps_are_not_checkpoints(saved: pathlib.Path) -> None:
    for name in ('10', '0000001x', '00000020.unfinished', '00000001.deleted', 'notes'):
        (saved / name).mkdir()
    assert checkpoint.steps(saved) == [5, 10]


def test_a_copy_under_another_step_is_refused(saved: pathlib.Path) -> None:
    (saved / '00000010').rename(saved / '00000020')
    assert checkpoint.verify(saved, 20) == ['00000020/manifest.json: belongs to step 10']


def test_metadata_comes_from_the_newest_intact_manifest(saved: pathlib.Path) -> None:
    assert checkpoint.read_metadata(saved) == {'step': 10, 'metric': 0.1}
    assert checkpoint.read_metadata(saved, 5)['step'] == 5
    (saved / '00000010' / manifest.FILE).write_text('{"body": 3}')
    assert checkpoint.read_metadata(saved)['step'] == 5
    with pytest.raises(checkpoint.CheckpointError, match=r'00000010/manifest\.json'):
        checkpoint.read_metadata(saved, 10)


@pytest.mark.parametrize('text', ['', 'null', '[]', '{}', '"body"', '{"body": {}}', '\0\0', 'é'])
def test_what_is_no_manifest_is_damage(saved: pathlib.Path, text: str) -> None:
    (saved / '00000010' / manifest.FILE).write_text(text)
    assert checkpoint.verify(saved, 10)[0].startswith('00000010/manifest.json: ')


def test_a_newer_format_is_refused_with_the_version_to_install(
    saved: pathlib.Path, restore: Callable, told: list[str]
) -> None:
    body = manifest.read(saved, 10) | {'format': checkpoint.FORMAT + 1, 'phijax': '9.8.7'}
    (saved / '00000010' / manifest.FILE).write_bytes(manifest.encode(body))
    with pytest.raises(checkpoint.CheckpointError, match=r'format 2, .*install phijax 9\.8\.7'):
        restore(saved)
    with pytest.raises(checkpoint.CheckpointError, match='format 2'):
        checkpoint.read_metadata(saved)
    assert told == []
    assert 'format 2' in checkpoint.verify(saved, 10)[0]


def test_a_flipped_format_is_damage_and_not_a_newer_format(
    saved: pathlib.Path, restore: Callable, told: list[str]
) -> None:
    file = saved / '00000010' / manifest.FILE
    flip(file, file.read_bytes().index(b'"format": 1') + len(b'"format": '), bit=1)
    assert b'"format": 3' in file.read_bytes()
    assert restore(saved)[1]['step'] == 5
    assert 'does not match its own checksum' in told[0]


def test_a_state_that_does_not_fit_is_refused_leaf_by_leaf(
    saved: pathlib.Path, restore: Callable, told: list[str]
) -> None:
    with pytest.raises(checkpoint.CheckpointError) as caught:
        restore(saved, make_state(0, width=32))
    message = str(caught.value)
    assert message.count(' there and ') == 5
    assert 'params.embed.kernel is float32[64,16] there and float32[64,32] here' in message
    assert '; and 4 more' in message
    assert told == []


def test_missing_and_additional_leaves_are_refused(saved: pathlib.Path, restore: Callable) -> None:
    state = make_state(0)
    state.params['head'] = state.params.pop('embed')
    with pytest.raises(checkpoint.CheckpointError) as caught:
        restore(saved, state)
    assert 'params.head.kernel is absent there and float32[64,16] here' in str(caught.value)
    assert 'params.embed.kernel is float32[64,16] there and absent here' in str(caught.value)


def test_parameters_are_restored_without_the_rest(saved: pathlib.Path, told: list[str]) -> None:
    wanted = abstract(make_state(0).params)
    flip(largest(saved / '00000010', REST), 0)
    params, metadata = checkpoint.restore_params(saved, wanted, warn=told.append)
    assert_same(params, make_state(10).params)
    assert metadata['step'] == 10
    assert told == []
    flip(largest(saved / '00000010', PARAMS), 0)
    params, _ = checkpoint.restore_params(saved, wanted, warn=told.append)
    assert_same(params, make_state(5).params)
    assert 'step 10 is damaged' in told[0]
    with pytest.raises(checkpoint.CheckpointError, match=r'params\.embed\.kernel'):
        checkpoint.restore_params(saved, abstract(make_state(0, width=8).params))


def test_a_checkpoint_may_be_moved_and_read_only(saved: pathlib.Path, restore: Callable) -> None:
    moved = saved.rename(saved.parent / 'moved')
    for path in moved.rglob('*'):
        path.chmod(0o500 if path.is_dir() else 0o400)
    assert_same(restore(moved)[0], make_state(10))
    for path in moved.rglob('*'):
        path.chmod(0o700)


def test_start_up_checks_need_neither_jax_nor_orbax(saved: pathlib.Path) -> None:
    script = (
        'import json, sys\n'
        'from phijax import checkpoint\n'
        f'directory = {str(saved)!r}\n'
        'with checkpoint.lock(directory):\n'
        '    steps = checkpoint.steps(directory)\n'
        '    problems = checkpoint.verify(directory, 10)\n'
        '    metadata = checkpoint.read_metadata(directory)\n'
        '    warning = checkpoint.preflight(directory, 1)\n'
        "loaded = [name for name in ('jax', 'numpy', 'orbax') if name in sys.modules]\n"
        'print(json.dumps([steps, problems, metadata["step"], warning, loaded]))\n'
    )
    out = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == [[5, 10], [], 10, None, []]
