"""What a user can mend is answered in seconds: exit code 2, one message, no traceback."""

import json
import pathlib
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec

import pytest

CONFIG = '--config=tests/train/tiny.py'
# Three seconds are asked of a machine that is not shared; ten workers may share this one.
MOST_SECONDS = 15.0

FLAGS = [
    ('--config.num_stepz=3', 'unknown key --config.num_stepz; did you mean --config.num_steps?'),
    ('--config.model.embed_dimm=3', 'did you mean --config.model.embed_dim?'),
    ('--config.peak_rate=3', 'did you mean --config.optimizer.peak_rate?'),
    ('--config.zzzzzzzz=3', 'unknown key --config.zzzzzzzz; known: batch_size, checkpoints.every'),
    ('--config.num_steps=many', '--config.num_steps=many: it must be a whole number'),
    ('--config.num_steps=2.5', '--config.num_steps=2.5: it must be a whole number'),
    ('--config.optimizer.b1=low', '--config.optimizer.b1=low: it must be a number'),
    ('--config.optimizer.warmup_steps=21', 'must fit into num_steps (20), got 21 and 0'),
    ('--config.data.length=33', 'data.length must be at most model.max_length (32), got 33'),
    ('--wrkdir=runs/x', "Unknown command line flag 'wrkdir'. Did you mean: workdir ?"),
    ('stray', "unexpected argument 'stray': flags are written --name=value"),
    ('--process_id=1', '--num_processes and --process_id also need --coordinator=HOST:PORT'),
    ('--coordinator=localhost:1', '--coordinator=HOST:PORT also needs --num_processes and --pro'),
    pytest.param(
        *('--wandb=project', 'wandb is asked for but not installed'),
        marks=pytest.mark.skipif(bool(find_spec('wandb')), reason='wandb is installed'),
    ),
]
FILES = [
    ((), '--config is needed, or --sweep, or --compare: there are configs/phi1.py'),
    (('--config=configs/phi9.py',), "no config file 'configs/phi9.py': there are configs/phi1.py"),
    (
        ('--config', 'configs/phi9.py'),
        "no config file 'configs/phi9.py': there are configs/phi1.py",
    ),
    (('--config=',), "no config file '': there are configs/phi1.py"),
    (('--config=configs',), "no config file 'configs': there are configs/phi1.py"),
    (('--config=tests/train/tiny.py:small',), "tests/train/tiny.py has no variant 'small'"),
    (('--config=configs/tokenize/stdlib.py:small',), "stdlib.py has no variant 'small'"),
    (('--config=phijax/errors.py',), "errors.py cannot be used: AttributeError: module 'config_"),
    (('--config=LICENSE',), 'LICENSE, line'),
    (('--config=tests/train/plain.py',), 'must return an ml_collections.ConfigDict, got dict'),
    (('--config', 'tests/train/tiny.py', '--config.num_stepz=3'), 'did you mean --config.num_st'),
]


@pytest.fixture
def answered(run_command: Callable[..., subprocess.CompletedProcess]) -> Callable[..., None]:
    """`answered(text, *arguments)`: the command refuses at once, and says so."""

    def check(answer: str, *arguments: object, **options: object) -> None:
        began = time.monotonic()
        done = run_command('phijax.train', *arguments, **options)
        seconds = time.monotonic() - began
        assert answer in done.stderr
        assert done.stderr.startswith('error: ')
        assert 'Traceback' not in done.stderr
        assert done.stdout == ''
        assert done.returncode == 2
        assert seconds < MOST_SECONDS

    return check


@pytest.mark.parametrize(
    ('module', 'text', 'flag'),
    [
        ('phijax.train', 'Trains a recipe', '--config: The recipe: a file of configs/'),
        ('phijax.train', '--compare=runs/one,runs/other', '--sweep_index: Train only this run'),
        ('phijax.generate', 'python -m phijax.generate', '--checkpoint: '),
    ],
)
def test_help_has_the_docstring_and_the_flags(
    run_command: Callable[..., subprocess.CompletedProcess], module: str, text: str, flag: str
) -> None:
    done = run_command(module, '--help')
    assert (done.returncode, done.stderr) == (0, '')
    assert text in done.stdout.partition('  --')[0]
    assert f'\n  {flag}' in done.stdout


@pytest.mark.parametrize(('flag', 'answer'), FLAGS)
def test_wrong_flag_is_answered(
    answered: Callable[..., None],
    tokens: pathlib.Path,
    tmp_path: pathlib.Path,
    flag: str,
    answer: str,
) -> None:
    here = (f'--config.data.directory={tokens}', f'--workdir={tmp_path / "run"}')
    answered(answer, CONFIG, *here, flag)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(('arguments', 'answer'), FILES)
def test_wrong_file_is_answered(
    answered: Callable[..., None], arguments: tuple[str, ...], answer: str
) -> None:
    answered(answer, *arguments)


def test_missing_data_are_answered_with_the_command(
    answered: Callable[..., None], tmp_path: pathlib.Path
) -> None:
    answered(
        'python -m phijax.data.tokenize --config=configs/tokenize/stdlib.py '
        f'--workdir={tmp_path}/none\n',
        CONFIG,
        f'--config.data.directory={tmp_path}/none',
    )


@pytest.mark.parametrize(
    ('flag', 'answer'),
    [
        ('--config.model.vocab_size=300', 'it must be at least 384'),
        ('--config.batch_size=12', 'batch_size must be a multiple of 8 (data x fsdp of the mesh)'),
        ('--config.mesh.fsdp=3', 'fsdp=3, tensor=1 does not cover 8 device(s)'),
        ('--config.mesh.rows_per_device=3', 'divide the 4 rows of each device, got 3'),
    ],
)
def test_what_does_not_fit_the_data_or_the_devices_is_answered(
    answered: Callable[..., None],
    tokens: pathlib.Path,
    tmp_path: pathlib.Path,
    flag: str,
    answer: str,
) -> None:
    rows = () if 'batch_size' in flag else ('--config.batch_size=32',)
    here = (f'--config.data.directory={tokens}', f'--workdir={tmp_path / "run"}', *rows)
    answered(answer, CONFIG, *here, flag, devices=8)
    assert not (tmp_path / 'run').exists()


def test_empty_data_are_answered(
    answered: Callable[..., None], tokens: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    manifest = json.loads((tokens / 'manifest.json').read_text())
    manifest['sources']['argparse']['splits']['train'] |= {'tokens': 0, 'shards': []}
    (tmp_path / 'manifest.json').write_text(json.dumps(manifest))
    where = f'--config.data.directory={tmp_path}'
    answered('the training split of argparse has 0 tokens', CONFIG, where)


def test_workdir_that_is_no_directory_is_answered(
    answered: Callable[..., None], tokens: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / 'file').write_text('')
    where = (f'--config.data.directory={tokens}', f'--workdir={tmp_path}/file/run')
    answered(f'cannot write to {tmp_path}/file/run: Not a directory', CONFIG, *where)


def test_start_that_is_no_model_is_answered(
    answered: Callable[..., None], tokens: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    where = (f'--config.data.directory={tokens}', f'--workdir={tmp_path}/run')
    answered('is not a model', CONFIG, *where, f'--config.init_from={tmp_path}')


def test_tokenise_has_the_same_door(
    run_command: Callable[..., subprocess.CompletedProcess],
) -> None:
    done = run_command(
        'phijax.data.tokenize', '--config=configs/tokenize/stdlib.py', '--config.vocab_sise=3'
    )
    assert done.stderr.startswith('error: unknown key --config.vocab_sise; did you mean --config.v')
    assert done.returncode == 2
