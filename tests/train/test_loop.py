"""Whole runs in this process: what they leave, go back to, refuse and survive."""

import dataclasses
import errno
import json
import pathlib
import re
import shutil
import signal
import types
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from phijax import checkpoint, interop, partitioning
from phijax.checkpoint import arrays
from phijax.errors import InputError
from phijax.interop import workdir as workdirs
from phijax.train import loop, metrics, step
from phijax.train.stop import Stop, Stopped
from tests.train import tiny

Train = Callable[..., int]


@pytest.fixture
def train(tokens: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """`train(workdir, num_steps=3)`: the exit code of the tiny run with changes."""
    monkeypatch.setattr(metrics.trackers, 'start', lambda *args, **options: [])

    def run(workdir: pathlib.Path, **changes: Any) -> int:
        return loop.train(tiny.make(**{'data.directory': str(tokens)} | changes), workdir)

    return run


@pytest.fixture(scope='module')
def done(tokens: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The workdir of a run that has ended; only read it, or a copy of it."""
    workdir = tmp_path_factory.mktemp('done')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics.trackers, 'start', lambda *args, **options: [])
        run = tiny.make(**{'data.directory': str(tokens)}, prompts=['def f('])
        assert loop.train(run, workdir) == 0
    return workdir


@pytest.fixture
def copy(done: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return shutil.copytree(done, tmp_path / 'copy')


def records(workdir: pathlib.Path, *kinds: str) -> list[dict[str, Any]]:
    lines = (workdir / 'metrics.jsonl').read_text().splitlines()
    chosen = [r for r in map(json.loads, lines) if r['kind'] in kinds]
    return [{name: v for name, v in record.items() if name != 'timing'} for record in chosen]


def restored(workdir: pathlib.Path, at: int | None = None) -> step.State:
    with checkpoint.Checkpointer(workdir / 'checkpoints') as checkpointer:
        return checkpointer.restore(step.abstract_state(tiny.make()), at)[0]


def bits(tree: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def flip(workdir: pathlib.Path, at: int) -> pathlib.Path:
    """One bit of the largest file of a checkpoint."""
    files = (workdir / 'checkpoints' / f'{at:08d}').rglob('*')
    path = max((file for file in files if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    return path


def test_run_leaves_what_the_next_commands_need(done: pathlib.Path) -> None:
    assert checkpoint.steps(done / 'checkpoints') == [15, 20]
    assert json.loads((done / 'selected.json').read_text()) == {'step': 20, 'rule': 'last'}
    sample = json.loads((done / 'samples.jsonl').read_text())
    assert sample['prompt'] == 'def f('
    assert sample['completion']
    report = (done / 'report.md').read_text()
    assert 'tiny' in report
    assert (done / 'loss.png').stat().st_size > 1000
    losses = [record['loss'] for record in records(done, 'train')]
    assert losses[-1] < losses[0] - 1
    metadata = checkpoint.read_metadata(done / 'checkpoints', 20)
    assert metadata['metric'] == records(done, 'evaluate')[-1]['loss']
    assert metadata['config'] == json.loads((done / 'config.json').read_text())
    config, params, tokenizer = interop.open(done)
    assert config == tiny.make().model
    assert bits(params) == bits(restored(done).params)
    assert tokenizer.vocab_size == tiny.VOCAB_SIZE


def test_run_that_has_lost_its_records_has_no_report(
    copy: pathlib.Path, train: Train, capsys: pytest.CaptureFixture
) -> None:
    (copy / 'metrics.jsonl').unlink()
    (copy / 'report.md').unlink()
    assert train(copy, prompts=['def f(']) == 0
    assert 'has lost the steps of this run' in capsys.readouterr().out
    assert not (copy / 'report.md').exists()


def test_run_that_has_ended_has_nothing_to_do(copy: pathlib.Path, train: Train) -> None:
    before = records(copy, 'train', 'evaluate')
    assert train(copy) == 0
    assert records(copy, 'train', 'evaluate') == before
    assert int(restored(copy).step) == 20


def test_damaged_checkpoint_is_named_and_left_for_an_older_one(
    copy: pathlib.Path, train: Train, caplog: pytest.LogCaptureFixture
) -> None:
    final, measured = bits(restored(copy)), records(copy, 'train', 'evaluate')
    path = flip(copy, 20)
    assert train(copy) == 0
    warning = caplog.text
    assert path.relative_to(copy / 'checkpoints').as_posix() in warning
    assert 'Going back to the checkpoint of step 15' in warning
    assert records(copy, 'train', 'evaluate') == measured
    assert bits(restored(copy, 20)) == final


def test_without_a_good_checkpoint_nothing_starts(copy: pathlib.Path, train: Train) -> None:
    before = (copy / 'metrics.jsonl').read_bytes()
    flip(copy, 15)
    flip(copy, 20)
    with pytest.raises(checkpoint.CheckpointError, match=r'no checkpoint in .* can be used'):
        train(copy)
    assert (copy / 'metrics.jsonl').read_bytes() == before


def test_second_writer_is_refused(copy: pathlib.Path, train: Train) -> None:
    before = (copy / 'metrics.jsonl').read_bytes()
    with checkpoint.lock(copy), pytest.raises(InputError, match='is in use by process'):
        train(copy)
    assert (copy / 'metrics.jsonl').read_bytes() == before


def test_other_data_are_refused(
    copy: pathlib.Path, tokens: pathlib.Path, train: Train, tmp_path: pathlib.Path
) -> None:
    manifest = json.loads((tokens / 'manifest.json').read_text())
    (tmp_path / 'manifest.json').write_text(json.dumps(manifest | {'digest': 'abc'}))
    shutil.copytree(tokens / 'tokenizer', tmp_path / 'tokenizer')
    answer = f'was trained on data {manifest["digest"]}, those of this run are abc'
    with pytest.raises(InputError, match=answer):
        train(copy, **{'data.directory': str(tmp_path)})


def test_longer_run_goes_on_as_if_it_had_been_longer_from_the_start(
    train: Train, tmp_path: pathlib.Path
) -> None:
    constant = {'optimizer.schedule': 'constant', 'checkpoints.every': 4, 'evaluate_every': 4}
    assert train(tmp_path / 'parts', num_steps=8, **constant) == 0
    assert train(tmp_path / 'parts', num_steps=12, **constant) == 0
    assert train(tmp_path / 'straight', num_steps=12, **constant) == 0
    assert bits(restored(tmp_path / 'parts')) == bits(restored(tmp_path / 'straight'))
    parts, straight = (
        records(tmp_path / name, 'train', 'evaluate') for name in ('parts', 'straight')
    )
    assert parts == straight
    assert [record['step'] for record in straight if record['kind'] == 'evaluate'] == [4, 8, 12]


def test_run_starts_from_the_parameters_of_another(
    done: pathlib.Path, tokens: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    recipe = tiny.make(init_from=str(done), **{'data.directory': str(tokens)})
    program = step.make(recipe, partitioning.make_mesh((8, 1, 1)))
    with checkpoint.Checkpointer(tmp_path) as checkpointer:
        state = loop.begin(recipe, program, checkpointer, 'any', Stop())
    assert bits(state.params) == bits(restored(done).params)
    fresh = program.init()
    assert bits(dataclasses.replace(state, params=0)) == bits(dataclasses.replace(fresh, params=0))
    assert bits(state.params) != bits(fresh.params)
    for found, laid in zip(*map(jax.tree.leaves, (state, program.layout.state)), strict=True):
        assert found.sharding == laid


def test_moments_that_growth_left_are_where_the_run_starts(
    done: pathlib.Path, tokens: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Adam goes on with them, while the learning rate warms up anew."""
    config, params, _ = interop.open(done)
    moments = interop.moments(done)
    assert moments is not None
    grown = tmp_path / 'grown'
    grown.mkdir()
    workdirs.write(grown, config, params, None, source='a test', moments=moments)
    recipe = tiny.make(init_from=str(grown), **{'data.directory': str(tokens)})
    program = step.make(recipe, partitioning.make_mesh((8, 1, 1)))
    with checkpoint.Checkpointer(tmp_path / 'checkpoints') as checkpointer:
        state = loop.begin(recipe, program, checkpointer, 'any', Stop())
    [adam] = (part for part in state.opt_state if hasattr(part, 'mu'))
    [before] = (part for part in restored(done).opt_state if hasattr(part, 'mu'))
    assert bits(adam) == bits(before)
    assert int(adam.count) > 0
    assert bits(dataclasses.replace(state, params=0).opt_state[3]) == bits(
        program.init().opt_state[3]
    )
    for found, laid in zip(*map(jax.tree.leaves, (state, program.layout.state)), strict=True):
        assert found.sharding == laid


def test_start_of_another_shape_is_refused_before_anything_is_left(
    done: pathlib.Path, train: Train, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(InputError, match=re.escape('mlp_dim 64 -> 128')):
        train(tmp_path, init_from=str(done), **{'model.mlp_dim': 128})
    assert not (tmp_path / 'config.json').exists()


def test_divergence_aborts_with_its_records(
    train: Train, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = loop.begin

    def spoilt(*args: Any) -> step.State:
        state = begin(*args)
        bias = state.params['head']['bias']
        head = state.params['head'] | {'bias': jax.device_put(bias * np.nan, bias.sharding)}
        return dataclasses.replace(state, params=state.params | {'head': head})

    monkeypatch.setattr(loop, 'begin', spoilt)
    assert train(tmp_path) == 1
    trained = records(tmp_path, 'train')
    assert [(r['step'], r['skipped'], r['loss']) for r in trained] == [
        (1, 1, 'NaN'),
        (2, 2, 'NaN'),
        (3, 3, 'NaN'),
    ]
    (warning,) = records(tmp_path, 'warn')
    assert warning['step'] == 3
    assert '3 updates in a row had non-finite gradients, the last at step 3' in warning['message']
    assert 'max_skips is 3' in warning['message']
    assert checkpoint.steps(tmp_path / 'checkpoints') == []


@pytest.mark.parametrize(('free', 'warns'), [(1 << 20, True), (2 << 20, False)])
def test_disk_without_room_is_told_at_the_start(
    train: Train,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    warns: bool,
) -> None:
    """The tiny state takes 0.5 MB, and three of it are on the disk at once."""
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
    monkeypatch.setattr(loop.Run, 'compile', lambda run: run.stop.agree())
    assert train(tmp_path) == 143
    messages = [record['message'] for record in records(tmp_path, 'warn')]
    assert len(messages) == warns
    assert all('but 2 checkpoints of' in message for message in messages)


def test_disk_that_is_full_does_not_end_the_run(
    train: Train,
    copy: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The checkpoints before stay, the records are written, and the exit code tells."""
    shutil.rmtree(copy / 'checkpoints' / '00000020')

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    measured = records(copy, 'train', 'evaluate')
    with monkeypatch.context() as patch:
        patch.setattr(arrays.Writer, 'start', refuse)
        assert train(copy) == 1
    assert 'No space left on device' in caplog.text
    assert checkpoint.steps(copy / 'checkpoints') == [15]
    assert records(copy, 'train', 'evaluate') == measured
    assert train(copy) == 0
    assert checkpoint.steps(copy / 'checkpoints') == [15, 20]


def test_platform_changes_the_run_and_not_its_config(
    train: Train, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a run in float16 on a TPU, which computes in bfloat16, could not go on."""
    narrow = dataclasses.replace(tiny.make().model, dtype='bfloat16')
    monkeypatch.setattr(loop, 'for_platform', lambda config, mesh: narrow)

    def stopped(run: Any) -> None:
        assert run.recipe.model == narrow
        signal.raise_signal(signal.SIGTERM)
        raise Stopped

    monkeypatch.setattr(loop.Run, 'compile', stopped)
    for _ in range(2):
        assert train(tmp_path, **{'model.dtype': 'float16'}) == 143
        assert json.loads((tmp_path / 'config.json').read_text())['model']['dtype'] == 'float16'
    assert checkpoint.steps(tmp_path / 'checkpoints') == [0]


@pytest.mark.parametrize(
    ('platform', 'changes', 'expected'),
    [
        ('cpu', {'dtype': 'float16'}, {}),
        ('tpu', {'dtype': 'float16'}, {'dtype': 'bfloat16', 'unroll': 1}),
        ('tpu', {'dtype': 'float32', 'unroll': 2}, {}),
        ('gpu', {'dtype': 'bfloat16'}, {'attention': 'cudnn'}),
        ('gpu', {'dtype': 'float16'}, {'attention': 'cudnn'}),
        ('gpu', {'dtype': 'float32'}, {}),
        ('gpu', {'dtype': 'bfloat16', 'attention_dropout': 0.1}, {}),
    ],
)
def test_model_has_what_its_hardware_is_best_at(
    platform: str, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    device = types.SimpleNamespace(platform=platform)
    mesh = types.SimpleNamespace(devices=np.array([device]))
    config = dataclasses.replace(tiny.make().model, **changes)
    assert loop.for_platform(config, mesh) == dataclasses.replace(config, **expected)
