"""Stages: work cut into shards, each of them whole or not there, and an account of every document.

A step is one stage on one set of inputs. Its directory is named after all that decides what it
holds (the stage, its version, its settings, what it reads), so that nothing old is ever mixed in:

    score-1f3a90c2/
        scores-00000.parquet    what the shards wrote
        done/00000.json         a shard's account and the hashes of its files; written last
        manifest.json           of the step; written when all shards are done
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from phijax.data.engines import Engine
from phijax.data.errors import MissingDataError
from phijax.data.files import lock, publish, read_json, write_json
from phijax.errors import InputError

MANIFEST = 'manifest.json'
DONE = 'done'
# For the workers of a killed run, which end with the shard that they are at.
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Account:
    """What became of the documents that a shard was given: `given == kept + dropped`.

    Attributes:
        dropped: how many by reason.
        num_bytes: of text that is kept.
        facts: anything else that the stage has to tell; plain values.
    """

    given: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    num_bytes: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses an account that does not add up, which is a defect of a stage."""
        if self.given != self.kept + sum(self.dropped.values()):
            raise AssertionError(f'{self.given} given, {self.kept} kept, dropped {self.dropped}')


def total(accounts: Iterable[Account]) -> Account:
    """The sum of accounts, without their facts."""
    accounts = list(accounts)
    dropped: Counter[str] = Counter()
    for account in accounts:
        dropped.update(account.dropped)
    return Account(
        sum(account.given for account in accounts),
        sum(account.kept for account in accounts),
        dict(sorted(dropped.items())),
        sum(account.num_bytes for account in accounts),
    )


@dataclass(frozen=True)
class Step:
    """A stage on given inputs.

    Attributes:
        settings: plain values; all that what is written depends on besides the inputs.
        inputs: the steps that it reads, by name, and the digests of their manifests.
        runtime: plain values that the work needs and that what is written does not depend on.
    """

    root: Path
    name: str
    version: int
    num_shards: int
    settings: Mapping[str, Any]
    inputs: Mapping[str, Step]
    digests: Mapping[str, str]
    runtime: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The sha256 of all that decides what the step holds."""
        decides = [self.name, self.version, self.num_shards, self.settings, self.digests]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    @property
    def directory(self) -> Path:
        """Where its files are."""
        return self.root / f'{self.name}-{self.fingerprint[:8]}'

    def part(self, kind: str, index: int, suffix: str = '.parquet') -> Path:
        """The file of a kind that shard `index` wrote."""
        return self.directory / f'{kind}-{index:05d}{suffix}'

    def marker(self, index: int) -> Path:
        """The file that says that a shard is done."""
        return self.directory / DONE / f'{index:05d}.json'

    def accounts(self) -> list[Account]:
        """The accounts of all shards of a step that is done."""
        return [Account(**read_json(self.marker(i))['account']) for i in range(self.num_shards)]

    def seconds(self) -> float:
        """How long its shards took, all together."""
        return sum(read_json(self.marker(i))['seconds'] for i in range(self.num_shards))


@dataclass(frozen=True)
class Task:
    """One shard of a step, and the directory that it writes into while it works."""

    step: Step
    index: int
    scratch: Path

    @property
    def settings(self) -> Mapping[str, Any]:
        """The step's settings."""
        return self.step.settings

    def input(self, name: str) -> Step:
        """A step that this one reads."""
        return self.step.inputs[name]

    def output(self, kind: str, index: int | None = None, suffix: str = '.parquet') -> Path:
        """Where to write the file of a kind, of this shard or of another number."""
        number = self.index if index is None else index
        return self.scratch / self.step.part(kind, number, suffix).name


Work = Callable[[Task], Account]


@dataclass(frozen=True)
class Stage:
    """What a stage is.

    Attributes:
        work: writes the files of a shard; a function of a module, so that a process can find it.
        needs: the stages that it reads.
        groups: the groups of the config that decide what it writes; the step has no others.
        is_single: whether it sees all shards at once, as one.
        on_device: whether its work is for the accelerators of this process.
        version: raised when the same inputs and settings give other files.
    """

    name: str
    work: Work
    needs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    is_single: bool = False
    on_device: bool = False
    version: int = 1


def make_step(
    stage: Stage,
    root: Path,
    num_shards: int,
    settings: Mapping[str, Any],
    done: Mapping[str, Step],
    runtime: Mapping[str, Any],
) -> Step:
    """The step of a stage, whose inputs are done.

    Raises:
        MissingDataError: if one is not.
    """
    inputs = {name: done[name] for name in stage.needs}
    digests = {name: manifest(step)['digest'] for name, step in inputs.items()}
    shards = 1 if stage.is_single else num_shards
    return Step(root, stage.name, stage.version, shards, settings, inputs, digests, runtime)


def manifest(step: Step) -> dict[str, Any]:
    """The manifest of a step that is done.

    Raises:
        MissingDataError: if it is not.
    """
    found = read_json(step.directory / MANIFEST)
    if found is None:
        raise MissingDataError(f'stage {step.name} has not finished in {step.root}: run it first.')
    return found


def run(
    stage: Stage, step: Step, engine: Engine, on_shard: Callable[[int], None] = lambda index: None
) -> dict[str, Any]:
    """The manifest of the step, after its shards that are missing are made by the engine.

    Args:
        on_shard: told the number of each shard when it is done, also of those done before.

    Raises:
        InputError: if a shard cannot be made.
    """
    if not is_finished(step):
        (step.directory / DONE).mkdir(parents=True, exist_ok=True)
        missing = [index for index in range(step.num_shards) if not is_done(step, index)]
        for index in sorted(set(range(step.num_shards)) - set(missing)):
            on_shard(index)
        for index in engine.map(_Shard(stage.work, step), missing, stage.on_device):
            on_shard(index)
        engine.settle(step.name, lambda: [i for i in missing if not step.marker(i).is_file()])
        if engine.rank == 0:
            write_json(step.directory / MANIFEST, _manifest(step))
        written = step.directory / MANIFEST
        engine.settle(step.name, lambda: [] if written.is_file() else [0])
    return manifest(step)


@dataclass(frozen=True)
class _Shard:
    """Makes the shard of a number; a value, so that it can be sent to another process."""

    work: Work
    step: Step

    def __call__(self, index: int) -> int:
        scratch = self.step.directory / f'.{index:05d}.partial'
        with lock(self.step.directory / DONE, f'.{index:05d}.lock', PATIENCE_SECONDS):
            if not is_done(self.step, index):
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
                self._make(Task(self.step, index, scratch))
        return index

    def _make(self, task: Task) -> None:
        start = time.perf_counter()
        account = self.work(task)
        written = sorted(task.scratch.iterdir())
        files = {path.name: digest(path) for path in written}
        for path in written:
            publish(path, self.step.directory / path.name)
        task.scratch.rmdir()
        marker = {
            'fingerprint': self.step.fingerprint,
            'account': dataclasses.asdict(account),
            'files': files,
            'seconds': round(time.perf_counter() - start, 3),
        }
        write_json(self.step.marker(task.index), marker)


def is_finished(step: Step) -> bool:
    """Whether all shards of a step are done and its manifest is written."""
    return (step.directory / MANIFEST).is_file()


def is_done(step: Step, index: int) -> bool:
    """Whether a shard is done and its files are still what was written."""
    marker = read_json(step.marker(index))
    if marker is None or marker['fingerprint'] != step.fingerprint:
        return False
    paths = {step.directory / name: hashed for name, hashed in marker['files'].items()}
    return all(path.is_file() and digest(path) == hashed for path, hashed in paths.items())


def digest(path: Path) -> str:
    """The xxh3 of a file's bytes, in hexadecimal: against accidents, not against an enemy."""
    hashed = xxhash.xxh3_128()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            hashed.update(block)
    return hashed.hexdigest()


def verify(step: Step) -> None:
    """Returns when every file of a step that is done is what was written.

    Raises:
        InputError: with the numbers of the shards that are not.
    """
    wrong = [index for index in range(step.num_shards) if not is_done(step, index)]
    if wrong:
        raise InputError(
            f'{step.directory}: shards {wrong} are missing or damaged; remove {MANIFEST} there and '
            'run again to make them anew.'
        )


def _manifest(step: Step) -> dict[str, Any]:
    """What a finished step holds: the same wherever, and by whatever engine, it was made."""
    markers = [read_json(step.marker(index)) for index in range(step.num_shards)]
    held = {
        'stage': step.name,
        'version': step.version,
        'settings': dict(step.settings),
        'inputs': dict(step.digests),
        'account': dataclasses.asdict(total(Account(**marker['account']) for marker in markers)),
        'files': {name: hashed for marker in markers for name, hashed in marker['files'].items()},
    }
    plain = json.dumps(held, sort_keys=True)
    return held | {'digest': hashlib.sha256(plain.encode()).hexdigest()}
