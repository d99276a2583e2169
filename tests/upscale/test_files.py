"""The command and its function on real workdirs: what is made, what is told, what is refused."""

import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from phijax import checkpoint, interop, models, upscale
from phijax.errors import InputError
from phijax.interop import huggingface, workdir
from tests.models import tiny
from tests.upscale.test_plan import SMALL, fields

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A workdir with random parameters."""
    path = tmp_path / 'small'
    path.mkdir()
    workdir.write(path, SMALL, tiny.randomised(SMALL), None, source='random')
    return path


def _equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_target_opens_as_a_model_that_computes_the_same(source, tmp_path):
    plan = upscale.from_dict(fields())
    summary = upscale.run(plan, source, tmp_path / 'large')
    assert 'logits differ by' in summary
    assert f'--config.init_from={tmp_path}/large' in summary
    config, params, _ = interop.open(tmp_path / 'large')
    assert config == plan.model
    _equal(params, upscale.grow(plan, SMALL, interop.open(source)[1]))
    origins = json.loads((tmp_path / 'large' / 'origins.json').read_text())
    assert origins['layers'] == [0, 1, 1, 2, 2]
    report = (tmp_path / 'large' / 'report.md').read_text()
    assert '3 <- 2' in report
    assert '| blocks.mlp.up.kernel | ldf | 3x24x40 | 5x48x80 | 100.0% | 0.0% |' in report


def test_a_hugging_face_directory_grows_too(tmp_path):
    huggingface.save(SMALL, tiny.randomised(SMALL), tmp_path / 'published')
    upscale.run(upscale.from_dict(fields()), tmp_path / 'published', tmp_path / 'large')
    assert interop.open(tmp_path / 'large')[0].num_layers == 5


def test_moments_of_a_run_go_along(source, tmp_path):
    params = tiny.randomised(SMALL)
    adam = {'mu': params, 'nu': jax.tree.map(np.abs, params), 'count': np.int32(30)}
    with checkpoint.Checkpointer(source / 'checkpoints') as saved:
        saved.restore({'params': params})
        saved.save(9, {'params': params, 'opt_state': [{}, adam, {}], 'step': 9}, {'config': {}})
    plan = upscale.from_dict(fields(moments=True))
    assert 'moments: grown too' in upscale.run(plan, source, tmp_path / 'large')
    carried = interop.carried_moments(tmp_path / 'large')
    assert carried is not None
    assert carried['count'] == 30
    assert models.axes(plan.model).keys() == carried['mu'].keys()
    expected = upscale.grow_moments(plan, SMALL, interop.moments(source))
    _equal(carried, expected)
    # A run's own moments are no start for another.
    assert interop.carried_moments(source) is None


def test_moments_that_are_not_there_are_told(source, tmp_path):
    with pytest.raises(InputError, match=r'moments=true, but .*small has none'):
        upscale.run(upscale.from_dict(fields(moments=True)), source, tmp_path / 'large')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['small']


def test_nothing_is_left_of_a_growth_that_is_refused(source, tmp_path):
    plan = upscale.from_dict(fields({'embed_dim': 30}))
    with pytest.raises(InputError, match='whole width factors'):
        upscale.run(plan, source, tmp_path / 'large')
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'file').write_text('x')
    with pytest.raises(InputError, match='full is there already'):
        upscale.run(upscale.from_dict(fields()), source, tmp_path / 'full')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['full', 'small']


def _command(*flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'phijax.upscale', *flags]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ('flags', 'answer'),
    [
        ((), '--source=CHECKPOINT and --target=WORKDIR are both needed'),
        (('--source=nowhere', '--target=somewhere'), 'nowhere is not a model.'),
        (('--config.width.place=left',), "width.place must be one of edge, centre, got 'left'"),
        (('--config.width.plce=edge',), 'did you mean --config.width.place?'),
        (('--config.depth.method=identity', '--config.width.method=clone'), 'width.place=centre'),
    ],
)
def test_wrong_commands_are_answered_at_once(flags, answer):
    ended = _command('--config=configs/upscale/phi1_5_to_phi2.py:smoke', *flags)
    assert ended.returncode == 2
    assert answer in ended.stderr
    assert 'Traceback' not in ended.stderr


def test_the_command_grows(tmp_path):
    source = tmp_path / 'small'
    sizes = {'embed_dim': 64, 'num_layers': 2, 'num_heads': 4, 'num_kv_heads': 4, 'head_dim': 16}
    rest = {'vocab_size': 1024, 'mlp_dim': 256, 'rotary_dim': 8, 'max_length': 128}
    config = models.config('phi1_5', **sizes, **rest)
    source.mkdir()
    workdir.write(source, config, tiny.randomised(config), None, source='random')
    ended = _command(
        '--config=configs/upscale/phi1_5_to_phi2.py:smoke',
        f'--source={source}',
        f'--target={tmp_path / "large"}',
    )
    assert ended.returncode == 0, ended.stderr
    assert '231,936 -> 398,064 (1.72 times)' in ended.stdout
    assert (tmp_path / 'large' / 'report.md').exists()
