"""A plan compiles the real update for the hardware named, and says whether it fits."""

import dataclasses
import importlib.util
import math
import pathlib
import types
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from phijax.errors import InputError
from phijax.models import arithmetic
from phijax.train import plan, start, step
from tests.train import tiny

GIVEN_UP = (
    'RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 20.10G of 15.75G hbm.\nMore'
)


def state_bytes() -> int:
    leaves = jax.tree.leaves(step.abstract_state(tiny.make()))
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def batch_bytes() -> int:
    """Of tokens, segments and the stop flag: plain attention does not read positions."""
    run = tiny.make()
    return run.batch_size * (2 * (run.data.length + 1) + 1) * np.dtype(np.int32).itemsize


@pytest.fixture(scope='module', autouse=True)
def started() -> None:
    """JAX has its eight devices before a plan could ask for others."""
    assert jax.device_count() == 8


@pytest.fixture(scope='module')
def whole() -> plan.Report:
    """On one device."""
    return plan.plan(tiny.make(), 'cpu:1')


@pytest.fixture(scope='module')
def cut() -> plan.Report:
    """Over eight devices, parameters and moments cut."""
    return plan.plan(tiny.make(**{'mesh.data': 1, 'mesh.fsdp': -1}), 'cpu:8')


@pytest.mark.parametrize(
    ('target', 'kind', 'sizes'),
    [
        ('cpu:8', 'cpu', (8,)),
        ('cpu:12', 'cpu', (12,)),
        ('v5e:2x4', 'v5e', (2, 4)),
        ('v5p:2x2x2', 'v5p', (2, 2, 2)),
        ('v4:2x2x4', 'v4', (2, 2, 4)),
    ],
)
def test_target_is_read(target: str, kind: str, sizes: tuple[int, ...]) -> None:
    parsed = plan.parse(target)
    assert (parsed.kind, parsed.sizes, str(parsed)) == (kind, sizes, target)


@pytest.mark.parametrize(
    'target', ['', 'cpu', 'cpu:', 'cpu:0', 'cpu:2x4', 'v5e', 'v5e:8', 'v5e:2x', 'v5e:0x4', 'v9:2x2']
)
def test_no_target_is_answered_with_the_forms(target: str) -> None:
    with pytest.raises(InputError) as caught:
        plan.parse(target)
    assert f'--plan={target} is not a target: it can be cpu:8, or one of v2' in str(caught.value)
    assert 'v5p:2x2x2' in str(caught.value)


def test_absent_gpu_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match='For a GPU, XLA compiles only where there is one'):
        plan.parse('h100:8')


def test_arguments_are_the_state_and_the_batch(whole: plan.Report, cut: plan.Report) -> None:
    for report, devices in ((whole, 1), (cut, 8)):
        assert report.memory is not None
        least = (state_bytes() + batch_bytes()) / devices
        # What no axis cuts (biases, norms) is whole on every device.
        most = 1.01 if devices == 1 else 1.5
        assert least <= report.memory.arguments <= most * least
        assert report.memory.aliased >= 0.9 * state_bytes() / devices
        assert report.memory.temporaries > 0
        assert report.memory.total >= report.memory.arguments + report.memory.temporaries


def test_only_a_mesh_exchanges(whole: plan.Report, cut: plan.Report) -> None:
    assert whole.collectives == {}
    assert cut.collectives['all-gather'] >= 4
    assert whole.mesh == {'data': 1, 'fsdp': 1, 'tensor': 1}
    assert cut.mesh == {'data': 1, 'fsdp': 8, 'tensor': 1}


def test_memory_decides_whether_it_fits(cut: plan.Report) -> None:
    assert cut.memory is not None
    exact = dataclasses.replace(cut, device_bytes=cut.memory.total)
    assert exact.fits
    over = dataclasses.replace(cut, device_bytes=cut.memory.total - 1)
    assert not over.fits
    assert not dataclasses.replace(cut, memory=None).fits


def test_machine_is_shared_by_its_devices(whole: plan.Report, cut: plan.Report) -> None:
    assert whole.device_bytes // 8 == cut.device_bytes > 1 << 20


def test_description_has_the_counts(cut: plan.Report) -> None:
    text = plan.describe(cut)
    run = cut.recipe
    assert text.startswith('tiny on cpu:8\n')
    assert f'{arithmetic.count_parameters(run.model):,}, computed in float32' in text
    assert f'{run.tokens_per_step:,}: 16 rows of 16, 16 rows at once' in text
    needed = arithmetic.flops(run.model, 16, 16)
    executed = arithmetic.executed_flops(run.model, 16, 16)
    assert f'{needed:.3g} needed, {executed:.3g} executed' in text
    assert 'data 1 x fsdp 8 x tensor 1' in text
    assert 'all-gather' in text
    assert ': fits, ' in text


def test_description_says_by_how_much_it_is_over(cut: plan.Report) -> None:
    memory = plan.Memory(
        arguments=5 << 30, outputs=4 << 30, aliased=4 << 30, temporaries=9 << 30, program=1 << 30
    )
    assert memory.total == 15 << 30
    over = dataclasses.replace(cut, memory=memory, device_bytes=12 << 30)
    text = plan.describe(over)
    assert '15.00 GiB of the 12.00 GiB of a device: does not fit, 3.00 GiB over' in text


def test_program_that_the_compiler_gives_up_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def give_up() -> None:
        raise jax.errors.JaxRuntimeError(GIVEN_UP)

    lowered = types.SimpleNamespace(compile=give_up)
    update = types.SimpleNamespace(lower=lambda *shapes: lowered)
    monkeypatch.setattr(step, 'make', lambda *_: types.SimpleNamespace(update=update))
    assert start.plan(tiny.make(), 'cpu:1') == 1
    assert 'does not fit into ' in capsys.readouterr().out


def test_other_errors_of_the_compiler_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise jax.errors.JaxRuntimeError('INTERNAL: a bug')

    lowered = types.SimpleNamespace(compile=fail)
    update = types.SimpleNamespace(lower=lambda *shapes: lowered)
    monkeypatch.setattr(step, 'make', lambda *_: types.SimpleNamespace(update=update))
    with pytest.raises(jax.errors.JaxRuntimeError, match='a bug'):
        plan.plan(tiny.make(), 'cpu:1')


@pytest.mark.parametrize(
    ('changes', 'target', 'answer'),
    [
        ({}, 'cpu:64', 'JAX already runs here with 8 CPU device'),
        ({'mesh.data': 3}, 'cpu:8', 'the sizes must multiply to 8'),
        ({'batch_size': 12}, 'cpu:8', 'batch_size must be a multiple of 8'),
    ],
)
def test_what_does_not_divide_is_answered(
    changes: dict[str, Any], target: str, answer: str
) -> None:
    with pytest.raises(InputError, match=answer):
        plan.plan(tiny.make(**changes), target)


def test_missing_compiler_of_tpus_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(InputError, match=r'pip install .phijax\[tpu\]'):
        plan.plan(tiny.make(), 'v5e:2x4')


def test_absent_tpu_is_compiled_for() -> None:
    pytest.importorskip('libtpu', reason="needs TPU's compiler: pip install 'phijax[tpu]'")
    half = tiny.make(**{'model.dtype': 'float16', 'mesh.data': 1, 'mesh.fsdp': -1})
    report = plan.plan(half, 'v5e:2x2')
    assert report.mesh['fsdp'] == 4
    assert report.device_kind == 'TPU v5 lite'
    assert report.recipe.model.dtype == 'bfloat16'
    assert report.recipe.model.unroll == 1
    assert report.fits
    with pytest.raises(InputError, match='v5e:3x3 is no topology of TPU chips'):
        plan.plan(half, 'v5e:3x3')


def test_command_needs_neither_devices_nor_workdir(
    run_command: Callable, tmp_path: pathlib.Path
) -> None:
    flags = ['--config=tests/train/tiny.py', f'--workdir={tmp_path / "run"}']
    done = run_command('phijax.train', *flags, '--plan=cpu:4', devices=1)
    assert done.returncode == 0, done.stderr
    assert '4 cpu: data 4 x fsdp 1 x tensor 1' in done.stdout
    refused = run_command('phijax.train', *flags, '--plan=a100:8', devices=1)
    assert refused.returncode == 2
    assert refused.stderr.startswith('error: --plan=a100:8 is not a target')
    assert not (tmp_path / 'run').exists()
