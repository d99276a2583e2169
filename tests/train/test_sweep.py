"""Sweeps: checked whole before they start, run one by one, taken up again, and put together."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from phijax.data import tokenize
from phijax.errors import InputError
from phijax.train import sweep
from phijax.train.recipe import to_dict
from phijax.train.sweep import results, running

PREPARE = {
    'sources': {'stdlib': {'kind': 'stdlib', 'max_bytes': 200_000}},
    'vocab_size': 320,
    'heldout_fraction': 0.3,
}
BASE = {
    'num_steps': 4,
    'batch_size': 4,
    'evaluate_every': 2,
    'evaluate_rows': 4,
    'prompts': [],
    'optimizer.warmup_steps': 1,
    'model.vocab_size': 320,
    'model.embed_dim': 16,
    'model.num_layers': 1,
    'model.mlp_dim': 32,
    'model.num_heads': 2,
    'model.num_kv_heads': 2,
    'model.head_dim': 8,
    'model.rotary_dim': 4,
    'data.length': 16,
    'data.prepare': PREPARE,
}
SWEEP = {
    'config': 'configs/quickstart.py:smoke',
    'base': BASE,
    'runs': {'brief': {}, 'long': {'num_steps': 600, 'evaluate_every': 200}},
    'seeds': [0, 1],
}
GRID = {key: value for key, value in SWEEP.items() if key != 'runs'}
START_SECONDS = 60.0


def write(directory: pathlib.Path, fields: dict[str, Any]) -> str:
    """The path of a sweep file."""
    path = directory / 'sweep.py'
    path.write_text(f'def get_sweep(variant="full"):\n    return {{"full": {fields!r}}}[variant]\n')
    return str(path)


@pytest.fixture
def quick(tmp_path: pathlib.Path) -> dict[str, str]:
    """Environment in which a run starts sooner: without torch.

    tensorboardX would load that for nothing.
    """
    (tmp_path / 'without').mkdir()
    (tmp_path / 'without' / 'torch.py').write_text('raise ImportError\n')
    paths = [str(tmp_path / 'without'), *filter(None, [os.environ.get('PYTHONPATH')])]
    return {'PYTHONPATH': os.pathsep.join(paths)}


@pytest.fixture
def start(start_command: Callable, quick: dict[str, str]) -> Callable[..., subprocess.Popen]:
    """`start(path, root, '--sweep_index=0')`: a sweep that goes on."""

    def begin(path: str, root: pathlib.Path, *rest: str) -> subprocess.Popen:
        arguments = (f'--sweep={path}', f'--workdir={root}', *rest)
        return start_command('phijax.train', *arguments, environment=quick)

    return begin


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    assert 'Traceback' not in err
    return process.returncode, out, err


def await_step(workdir: pathlib.Path) -> None:
    """Returns when the run there has trained a step."""
    path = workdir / 'metrics.jsonl'
    end = time.monotonic() + START_SECONDS
    while not (path.exists() and '"train"' in path.read_text()):
        assert time.monotonic() < end, 'the run does not start'
        time.sleep(0.02)


def test_interrupted_sweep_goes_on(start: Callable, tmp_path: pathlib.Path) -> None:
    """Two names by two seeds, stopped in the second run, and started again."""
    path, root = write(tmp_path, SWEEP), tmp_path / 'root'
    process = start(path, root)
    await_step(root / 'long' / 'seed0')
    process.send_signal(signal.SIGTERM)
    code, out, _ = finish(process)
    assert code == 143
    assert [line[:9] for line in out.splitlines() if not line.startswith('run')] == [
        'done  1/4',
        'stop  2/4',
        f'file  {root}'[:9],
    ]
    half = results.read(root / 'long' / 'seed0')
    assert 0 < half['step'] < 600
    assert (root / 'long' / 'seed0' / 'checkpoints' / f'{half["step"]:08}').is_dir()
    assert f'seed 0 at step {half["step"]}, seed 1 not run' in (root / 'table.md').read_text()
    before = (root / 'brief' / 'seed0' / 'metrics.jsonl').read_bytes()

    code, out, _ = finish(start(path, root))
    assert code == 0
    assert [line[:9] for line in out.splitlines() if not line.startswith('run')] == [
        'skip  1/4',
        'done  2/4',
        'done  3/4',
        'done  4/4',
        f'file  {root}'[:9],
    ]
    assert (root / 'brief' / 'seed0' / 'metrics.jsonl').read_bytes() == before
    workdir = root / 'long' / 'seed0'
    assert f'from step {half["step"]} in {workdir}' in (workdir / 'log.txt').read_text()
    command = (workdir / 'command.txt').read_text()
    assert command == (f'python -m phijax.train --config={workdir}/recipe.py --workdir={workdir}\n')
    assert f'run   2/4  {command}' in out
    check_results(root)


def check_results(root: pathlib.Path) -> None:
    """One copy of the data; the table has the means of what the runs wrote."""
    assert len(list(root.glob('data-*'))) == 1
    assert not list(root.glob('*/seed*/data'))
    runs = sweep.collect(root)
    assert [(run['name'], run['seed']) for run in runs] == [
        ('brief', 0),
        ('brief', 1),
        ('long', 0),
        ('long', 1),
    ]
    assert all(run['finished'] and run['exit_code'] == 0 for run in runs)
    assert [entry[:2] for entry in runs[2]['curve']] == [(s, 64 * s) for s in (200, 400, 600)]
    rows = json.loads((root / 'results.json').read_text())['table']
    losses = [run['loss'] for run in runs[:2]]
    assert losses[0] != losses[1]
    assert rows[0]['seeds'] == '2 of 2'
    assert rows[0]['held-out loss'] == pytest.approx(sum(losses) / 2)
    assert rows[0]['sd of held-out loss'] == pytest.approx(abs(losses[0] - losses[1]) / 2**0.5)
    assert rows[0]['tokens'] == 256
    assert (root / 'curves.png').read_bytes().startswith(b'\x89PNG')
    text = (root / 'report.md').read_text()
    assert (root / 'table.md').read_text().strip() in text
    assert 'num_steps=600' in text
    assert not list(root.glob('.*.png')) + list(root.glob('.*.md'))


def test_array_tasks_run_at_once_and_a_failure_is_told(
    start: Callable, tmp_path: pathlib.Path
) -> None:
    """Both need the data, and both write the table; only one of them can train."""
    (tmp_path / 'empty').mkdir()
    runs = {'good': {}, 'bad': {'init_from': str(tmp_path / 'empty')}}
    path, root = write(tmp_path, SWEEP | {'runs': runs, 'seeds': [3]}), tmp_path / 'root'
    tasks = [start(path, root, f'--sweep_index={index}') for index in (0, 1)]
    (good, out, _), (bad, told, _) = map(finish, tasks)
    assert (good, bad) == (0, 1)
    assert 'done  1/2  good seed 3  step 4/4  held-out 5.' in out
    assert re.search(r'fail  2/2  bad seed 3 .* see .*log.txt: error: ', told)
    table = (root / 'table.md').read_text()
    assert re.search(r'\| good \| 1 of 1 \| 5\.\d+ \| n/a \|.*\| none \|', table)
    assert '| bad | 0 of 1 | n/a |' in table
    assert 'seed 3 failed at step 0 (exit code 2)' in table

    code, out, _ = finish(start(path, root))
    assert code == 1
    assert [line[:9] for line in out.splitlines()][:3] == ['skip  1/2', 'run   2/2', 'fail  2/2']


@pytest.mark.parametrize(
    ('arguments', 'answer'),
    [
        (
            ('--sweep=experiments/quickstart/sweep.py', '--workdir=x', '--sweep_index=6'),
            '--sweep_index must be from 0 to 5, got 6',
        ),
        (('--sweep=experiments/quickstart/sweep.py',), '--sweep also needs --workdir=DIRECTORY'),
        (('--sweep=none.py', '--workdir=x'), "no file 'none.py': give FILE.py"),
        (
            ('--config=tests/train/tiny.py', '--sweep=a.py'),
            '--config and --sweep cannot be given together',
        ),
        (('--sweep=a.py', '--compare=a,b'), '--sweep and --compare cannot be given together'),
        (('--sweep=a.py', '--plan=cpu:8'), '--plan needs --config: it is for one run'),
        (('--compare=configs', '--sweep_index=1'), '--sweep_index also needs --sweep=FILE.py'),
        (('--compare=configs',), "--compare must be two directories, A,B, of trained runs; got 'c"),
    ],
)
def test_wrong_command_is_answered(
    run_command: Callable, arguments: tuple[str, ...], answer: str
) -> None:
    done = run_command('phijax.train', *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f'error: {answer}')
    assert done.stdout == ''


REFUSED = [
    (SWEEP | {'gird': {}}, 'unknown key gird; did you mean grid?'),
    ({'config': 'x', 'runs': {}}, 'lacks base, seeds'),
    (SWEEP | {'grid': {}}, 'must have either grid or runs, it has both'),
    (GRID, 'must have either grid or runs, it has neither'),
    (GRID | {'grid': {}}, 'grid is empty; give a list'),
    (GRID | {'grid': {'num_steps': []}}, r"grid\['num_steps'\] must be a list of values, got \[\]"),
    (GRID | {'grid': {'num_steps': 3}}, 'must be a list of values, got 3'),
    (SWEEP | {'runs': {}}, 'runs must be overrides by name, at least one, got {}'),
    (SWEEP | {'runs': {'a': 3}}, r"runs\['a'\] must be values by dotted field, got 3"),
    (SWEEP | {'runs': {'a': {'seed': 3}}}, r"runs\['a'\] has seed; the seeds are those of seeds"),
    (SWEEP | {'runs': {'a b': {}, 'a/b': {}}}, "runs 'a b' and 'a/b' would share a directory"),
    (SWEEP | {'runs': {'A': {}, 'a': {}}}, "runs 'A' and 'a' would share a directory"),
    (GRID | {'grid': {'num_steps': [4, 4]}}, "'num_steps=4' and 'num_steps=4' would share"),
    (SWEEP | {'runs': {'..': {}}}, "'..' cannot name a directory"),
    (SWEEP | {'seeds': []}, r'seeds must be different whole numbers, got \[\]'),
    (SWEEP | {'seeds': [1, 1]}, r'seeds must be different whole numbers, got \[1, 1\]'),
    (SWEEP | {'seeds': [True]}, r'seeds must be different whole numbers, got \[True\]'),
    (SWEEP | {'seeds': [-1]}, 'run brief: seed must be at least 0, got -1'),
    (SWEEP | {'config': 'configs/phi9.py'}, "no file 'configs/phi9.py'"),
    (SWEEP | {'config': 'configs/quickstart.py:tiny'}, "quickstart.py has no variant 'tiny'"),
    (SWEEP | {'base': {'num_stepz': 3}}, 'unknown field num_stepz; did you mean num_steps?'),
    (SWEEP | {'base': {'peak_rate': 3}}, 'did you mean optimizer.peak_rate?'),
    (GRID | {'grid': {'num_steps': [4, 'x']}}, 'run num_steps=x: .*num_steps'),
    (GRID | {'grid': {'num_steps': [20, 2.5]}}, 'run num_steps=2.5: .*num_steps'),
    (SWEEP | {'runs': {'a': {'optimizer.b1': 1}}}, r'run a: optimizer.b1 must be in \[0, 1\)'),
]


@pytest.mark.parametrize(('fields', 'answer'), REFUSED)
def test_wrong_sweep_is_refused_whole(
    tmp_path: pathlib.Path, fields: dict[str, Any], answer: str
) -> None:
    with pytest.raises(InputError, match=answer):
        sweep.load(write(tmp_path, fields))


def test_file_that_is_no_sweep_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match="has no variant 'other'"):
        sweep.load(f'{write(tmp_path, SWEEP)}:other')
    (tmp_path / 'sweep.py').write_text('x = 1\n')
    with pytest.raises(InputError, match='has no function get_sweep'):
        sweep.load(str(tmp_path / 'sweep.py'))
    (tmp_path / 'sweep.py').write_text('x = (\n')
    with pytest.raises(InputError, match='cannot be used: SyntaxError'):
        sweep.load(str(tmp_path / 'sweep.py'))


def test_runs_are_the_recipes_that_flags_would_make(tmp_path: pathlib.Path) -> None:
    grid = {'num_steps': [20, 40], 'optimizer.peak_rate': [1, 1e-3]}
    base = {'data.weights': {'stdlib': 1}, 'init_from': 'runs/small/{seed}'}
    made = sweep.load(write(tmp_path, GRID | {'base': base, 'grid': grid, 'seeds': [5, 6]}))
    assert made.names == (
        'num_steps=20,peak_rate=1',
        'num_steps=20,peak_rate=0.001',
        'num_steps=40,peak_rate=1',
        'num_steps=40,peak_rate=0.001',
    )
    assert [run.seed for run in made.runs] == [5] * 4 + [6] * 4
    last = made.runs[-1]
    assert last.recipe.seed == 6
    assert last.recipe.init_from == 'runs/small/6'
    assert last.recipe.data.weights == {'stdlib': 1}
    assert last.recipe.optimizer.warmup_steps == 4  # derived from num_steps
    assert made.runs[0].recipe.optimizer.warmup_steps == 2
    assert made.runs[0].recipe.optimizer.peak_rate == 1.0
    assert sweep.workdir(pathlib.Path('r'), last) == pathlib.Path('r', last.name, 'seed6')


def test_fields_of_one_last_name_are_told_apart(tmp_path: pathlib.Path) -> None:
    grid = {'model.attention': ['blocked'], 'data.attention': ['packed', 'document']}
    made = sweep.load(write(tmp_path, GRID | {'grid': grid}))
    assert made.names[1] == 'model.attention=blocked,data.attention=document'


def test_example_is_a_sweep() -> None:
    made = sweep.load('experiments/quickstart/sweep.py')
    assert made.names == ('peak_rate=0.003', 'peak_rate=0.006', 'peak_rate=0.012')
    assert len(sweep.load('experiments/quickstart/sweep.py:brief').runs) == 4


def test_workdir_of_another_sweep_is_refused(tmp_path: pathlib.Path) -> None:
    made = sweep.load(write(tmp_path, SWEEP))
    root = tmp_path / 'root'
    shared = running.share_data(made, root)
    path = sweep.workdir(root, shared.runs[0])
    path.mkdir(parents=True)
    config = to_dict(shared.runs[0].recipe)
    (path / 'config.json').write_text(json.dumps(config))
    running.check(shared.runs[0], path)
    elsewhere = config['data'] | {'directory': 'where/they/were'}
    (path / 'config.json').write_text(json.dumps(config | {'data': elsewhere}))
    running.check(shared.runs[0], path)
    rate = config['optimizer'] | {'peak_rate': 0.5}
    (path / 'config.json').write_text(json.dumps(config | {'optimizer': rate, 'log_every': 9}))
    answer = r'Changed: log_every: 9 -> 50; optimizer.peak_rate: 0.5 -> 0.006. Use another --work'
    with pytest.raises(InputError, match=answer):
        sweep.run(made, root)
    assert not list(root.glob('data-*'))


def test_what_a_later_run_lacks_is_refused_before_the_first(tmp_path: pathlib.Path) -> None:
    runs = {'first': {}, 'second': {'init_from': str(tmp_path / 'none')}}
    made = sweep.load(write(tmp_path, SWEEP | {'runs': runs}))
    with pytest.raises(InputError, match=r'run second, seed 0: init_from=.*none is not there'):
        sweep.run(made, tmp_path / 'root')
    assert not (tmp_path / 'root').exists()


def test_finished_data_need_no_lock(tmp_path: pathlib.Path) -> None:
    """Many runs of a sweep may open their shared data while another process does."""
    config = tokenize.from_dict(
        PREPARE | {'sources': {'stdlib': {'kind': 'stdlib', 'max_bytes': 9}}}
    )
    (tmp_path / 'manifest.json').write_text(json.dumps({'config_digest': config.digest} | FINISHED))
    with results.exclusive(tmp_path / '.lock'):
        assert tokenize.run(config, tmp_path)['config_digest'] == config.digest


FINISHED = {'tokenizer': {'digest': 'd'}}
