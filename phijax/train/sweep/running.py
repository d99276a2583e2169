"""The runs of a sweep, one process after the other; what is done is not done again."""

import dataclasses
import hashlib
import json
import os
import pathlib
import pprint
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from phijax.data import tokenize
from phijax.errors import InputError
from phijax.train import door
from phijax.train.recipe import Recipe, to_dict
from phijax.train.stop import Stop, Stopped
from phijax.train.sweep import results
from phijax.train.sweep.specification import Sweep, SweepRun, safe_name, workdir

FAILED = 1

_POLL_SECONDS = 0.1

_CONFIG = '''"""One run of a sweep, whole: {path}, {name}, seed {seed}.

    {command}
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(FIELDS)


FIELDS = {fields}
'''


class Forward(Stop):
    """Passes every signal on to the run that goes on, which saves and ends; so does the sweep."""

    child: subprocess.Popen | None = None

    def follow(self, child: subprocess.Popen) -> int:
        """The exit code of the child, once it has ended."""
        self.child = child
        if self.signal is not None:  # it came before there was a child to tell
            child.send_signal(self.signal)
        try:
            # A signal that another thread of this process takes does not wake a longer wait.
            while child.poll() is None:
                time.sleep(_POLL_SECONDS)
        finally:
            self.child = None
        return child.returncode

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.child is None:
            super()._handle(number, frame)
        else:
            self.signal = number
            self.child.send_signal(number)


def run(sweep: Sweep, root: pathlib.Path, index: int | None = None) -> int:
    """Trains the runs that are not done, and writes their table, plot and report into `root`.

    Args:
        index: the number of the one run to train, from 0; None trains them all.

    Returns:
        the process's exit code: 0 when all are done, 1 when one failed, 143 or 130 when a signal
        ended it, after the run that went on had saved. The same call then goes on.

    Raises:
        InputError: something that a run needs is missing or does not fit, or its workdir holds
            another; nothing was started.
    """
    sweep = share_data(sweep, root)
    chosen = _chosen(sweep, index)
    for number in chosen:
        check(sweep.runs[number], workdir(root, sweep.runs[number]))
    stop = Forward()
    with stop.handling():
        try:
            codes = _train_all(sweep, root, chosen, stop)
        except Stopped:
            codes = []
        results.summarise(sweep, root)
    print(f'file  {root / "report.md"}', flush=True)
    return stop.exit_code or (FAILED if any(codes) else 0)


def share_data(sweep: Sweep, root: pathlib.Path) -> Sweep:
    """The sweep whose runs with data to be made in their workdirs have them once, in `root`."""
    runs = tuple(
        dataclasses.replace(run, recipe=_share(run.recipe, root))
        if run.recipe.data.prepare
        else run
        for run in sweep.runs
    )
    return dataclasses.replace(sweep, runs=runs)


def check(run: SweepRun, path: pathlib.Path) -> None:
    """Returns when the run can start or go on.

    Raises:
        InputError: as `door.check`, or the workdir holds a run with another config, whatever
            differs: runs of a sweep are compared.
    """
    config = path / 'config.json'
    if config.exists():
        _check_same(run, path, json.loads(config.read_text()))
    if results.read(path)['finished']:
        return
    try:
        door.check(run.recipe, path)
    except InputError as error:
        raise InputError(f'run {run.name}, seed {run.seed}: {error}') from error


def _check_same(run: SweepRun, path: pathlib.Path, before: dict) -> None:
    now = json.loads(json.dumps(to_dict(run.recipe)))
    # Data that are made have the digest of their config; where they lie is no difference.
    free = ('data.directory', 'data.made_by') if run.recipe.data.prepare else ('data.made_by',)
    changed = [
        f'{name}: {old} -> {new}'
        for name, old, new in door.differences('', before, now)
        if name not in free
    ]
    if changed:
        raise InputError(
            f'run {run.name}, seed {run.seed}: {path} holds another run. Changed: '
            f'{"; ".join(changed)}. Use another --workdir, or the values it began with.'
        )


def _share(recipe: Recipe, root: pathlib.Path) -> Recipe:
    if recipe.data.directory:
        return recipe
    digest = hashlib.sha256(json.dumps(recipe.data.prepare, sort_keys=True).encode()).hexdigest()
    data = dataclasses.replace(recipe.data, directory=str(root / f'data-{digest[:12]}'))
    return dataclasses.replace(recipe, data=data)


def _chosen(sweep: Sweep, index: int | None) -> Sequence[int]:
    if index is None:
        return range(len(sweep.runs))
    if not 0 <= index < len(sweep.runs):
        raise InputError(f'--sweep_index must be from 0 to {len(sweep.runs) - 1}, got {index}')
    return [index]


def _train_all(sweep: Sweep, root: pathlib.Path, chosen: Sequence[int], stop: Forward) -> list[int]:
    """The exit codes of the chosen runs; a failed one does not end the sweep, a signal does."""
    codes: list[int] = []
    seconds: list[float] = []
    for place, number in enumerate(chosen):
        run = sweep.runs[number]
        path = workdir(root, run)
        at = f'{number + 1}/{len(sweep.runs)}'
        if results.read(path)['finished']:
            print(_line('skip', at, run, path), flush=True)
            continue
        began = time.monotonic()
        with stop.interruptible():
            _prepare_data(run.recipe)
        code = _train(sweep, run, path, at, stop)
        codes.append(code)
        seconds.append(time.monotonic() - began)
        remaining = sum(seconds) / len(seconds) * (len(chosen) - place - 1)
        word = 'stop' if stop.requested else 'fail' if code else 'done'
        print(_line(word, at, run, path, remaining), flush=True)
        if stop.requested:
            break
        results.summarise(sweep, root)
    return codes


def _prepare_data(recipe: Recipe) -> None:
    """Makes the run's data, if it says how; of several processes one does, the others wait."""
    directory = pathlib.Path(recipe.data.directory)
    if recipe.data.prepare and not (directory / 'manifest.json').exists():
        with results.exclusive(directory.with_name(f'.{directory.name}.lock')):
            tokenize.run(tokenize.from_dict(recipe.data.prepare), directory)


def _train(sweep: Sweep, run: SweepRun, path: pathlib.Path, at: str, stop: Forward) -> int:
    """The exit code of the run, in a process of its own, with its output in `log.txt`."""
    path.mkdir(parents=True, exist_ok=True)
    command = ['-m', 'phijax.train', f'--config={path}/recipe.py', f'--workdir={path}']
    shown = shlex.join(['python', *command])
    print(f'run   {at}  {shown}', flush=True)
    fields = pprint.pformat(to_dict(run.recipe), width=100, sort_dicts=False)
    about = {'path': sweep.path, 'name': safe_name(run.name), 'seed': run.seed}
    (path / 'recipe.py').write_text(_CONFIG.format(command=shown, fields=fields, **about))
    (path / 'command.txt').write_text(f'{shown}\n')
    (path / results.EXIT_CODE).unlink(missing_ok=True)
    with (path / 'log.txt').open('a') as log:
        # In a group of its own: Ctrl-C of a terminal reaches a whole group, and a run that is
        # told twice ends without saving.
        child = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {'PYTHONUNBUFFERED': '1'},
            process_group=0,
        )
        code = stop.follow(child)
    if not stop.requested:
        (path / results.EXIT_CODE).write_text(f'{code}\n')
    return code


def _line(word: str, at: str, run: SweepRun, path: pathlib.Path, remaining: float = 0.0) -> str:
    """What became of a run, in a line."""
    measured = results.read(path)
    loss, minutes = measured['loss'], measured['minutes']
    parts = [
        f'{word}  {at}  {run.name} seed {run.seed}',
        f'step {measured["step"]}/{run.recipe.num_steps}',
        f'held-out {"n/a" if loss is None else f"{loss:.4f}"}',
        f'{"n/a" if minutes is None else f"{minutes:.1f}"} min',
    ]
    if word == 'fail':
        parts.append(f'see {path / "log.txt"}: {_last_line(path)}')
    if remaining:
        parts.append(f'eta {remaining / 60:.1f} min')
    return '  '.join(parts)


def _last_line(path: pathlib.Path) -> str:
    lines = (path / 'log.txt').read_text(errors='replace').split('\n')
    return next((line for line in reversed(lines) if line.strip()), 'it is empty')
