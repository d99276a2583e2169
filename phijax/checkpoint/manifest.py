"""The manifest of a checkpoint: what makes damage visible. Nothing here needs jax."""

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from phijax import __version__
from phijax.checkpoint.errors import CheckpointError, DamageError

FORMAT = 1
"""Number of the layout on disk. A higher one is refused; the manifest's envelope never changes."""

FILE = 'manifest.json'
GROUPS = ('params', 'rest')
"""The two halves of a state, each in its own folder, so that parameters can be read alone."""

StrPath = str | os.PathLike[str]
_SHOWN = 5


def name_of(step: int) -> str:
    """The name of the directory of a step."""
    return f'{step:08d}'


def steps(directory: StrPath) -> list[int]:
    """The steps of the committed checkpoints, ascending, damaged ones included."""
    root = Path(directory)
    names = [path.name for path in root.iterdir()] if root.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal() and name_of(int(name)) == name)


def read_metadata(directory: StrPath, step: int | None = None) -> dict[str, Any]:
    """What was saved as metadata of a step, or of the newest whose manifest is intact.

    Raises:
        FileNotFoundError: there is no checkpoint, or none of this step.
        CheckpointError: no manifest is intact, or the format is newer.
    """
    bad = {}
    for candidate in _candidates(directory, step):
        try:
            return read(directory, candidate)['metadata']
        except DamageError as error:
            bad[candidate] = [str(error)]
    raise _none_good(directory, bad)


def num_bytes(directory: str | os.PathLike[str], step: int) -> int:
    """The bytes of the files of a committed checkpoint.

    Raises:
        CheckpointError: its manifest is damaged or of a newer format.
    """
    return sum(entry['bytes'] for entry in read(directory, step)['files'].values())


def verify(directory: StrPath, step: int) -> list[str]:
    """What is wrong with a checkpoint, a line per file; nothing if every byte is as written."""
    try:
        return _damage(directory, step, read(directory, step)['files'], GROUPS)
    except CheckpointError as error:
        return [str(error)]


def choose(
    directory: StrPath,
    step: int | None,
    wanted: Mapping[str, Any],
    groups: Collection[str],
    warn: Callable[[str], None],
) -> tuple[int, set[int]]:
    """The newest good step, or that given, and the damaged steps after it.

    Args:
        wanted: by name of leaf, its shape and dtype as in the manifest.
        groups: which of `GROUPS` are wanted and verified.

    Raises:
        FileNotFoundError: there is no checkpoint, or none of this step.
        CheckpointError: none is good, they do not match `wanted`, or the format is newer.
    """
    bad: dict[int, list[str]] = {}
    for candidate in _candidates(directory, step):
        try:
            body = read(directory, candidate)
            _match(f'{directory}/{name_of(candidate)}', body['leaves'], wanted, groups)
            problems = _damage(directory, candidate, body['files'], groups)
        except DamageError as error:
            problems = [str(error)]
        if not problems:
            if bad:
                warn(f'{_summary(bad)}\nGoing back to the checkpoint of step {candidate}.')
            return candidate, {*bad}
        bad[candidate] = problems
    raise _none_good(directory, bad)


def read(directory: StrPath, step: int) -> dict[str, Any]:
    """The manifest of a step.

    Raises:
        DamageError: it is missing or not what was written.
        CheckpointError: its format is newer.
    """
    place = f'{name_of(step)}/{FILE}'
    try:
        raw = Path(directory, place).read_bytes()
        body = json.loads(raw)['body']
    except OSError as error:
        raise DamageError(f'{place}: {error.strerror}') from error
    except (ValueError, KeyError, TypeError) as error:
        raise DamageError(f'{place}: not a manifest') from error
    if encode(body) != raw:
        raise DamageError(f'{place}: does not match its own checksum')
    if body['format'] > FORMAT:
        raise CheckpointError(
            f'{directory}/{name_of(step)} is in format {body["format"]}, this is phijax '
            f'{__version__}, which reads up to format {FORMAT}: install phijax {body["phijax"]}, '
            'which wrote it, or newer'
        )
    if body['step'] != step:
        raise DamageError(f'{place}: belongs to step {body["step"]}')
    return body


def describe(step: int, leaves: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """All of a manifest but the files.

    Raises:
        ValueError: `metric` in the metadata is no number.
    """
    metric = metadata.get('metric')
    if not isinstance(metric, int | float | None):
        raise ValueError(f'the metric of a checkpoint must be a number or None, got {metric!r}')
    return {
        'format': FORMAT,
        'phijax': __version__,
        'step': step,
        'metadata': json.loads(json.dumps(metadata)),
        'leaves': leaves,
    }


def encode(body: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest, its own checksum included."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps({'sha256': digest, 'body': body}, sort_keys=True, indent=1).encode()


def seal(path: Path, body: Mapping[str, Any]) -> None:
    """Writes the manifest of all files below `path`, and flushes them to the disk."""
    files = sorted(file for file in path.rglob('*') if file.is_file())
    prints = {file.relative_to(path).as_posix(): _fingerprint(file) for file in files}
    (path / FILE).write_bytes(encode({**body, 'files': prints}))
    for entry in (*path.rglob('*'), path):
        flush(entry)


def flush(path: Path) -> None:
    """Waits until a file or directory is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Deletes a checkpoint; what an interruption leaves is not taken for one."""
    if path.exists():
        shutil.rmtree(path.rename(path.with_suffix('.deleted')))


def _fingerprint(path: Path) -> dict[str, Any]:
    size = crc = 0
    with path.open('rb', buffering=0) as file:
        while chunk := file.read(1 << 22):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    return {'bytes': size, 'crc32': f'{crc:08x}'}


def _candidates(directory: StrPath, step: int | None) -> list[int]:
    """The steps to try, the newest first."""
    found = steps(directory)
    if not found or step not in (None, *found):
        wanted = 'no checkpoint' if step is None else f'no checkpoint of step {step}'
        there = f': it has those of {", ".join(map(str, found))}' if found else ''
        raise FileNotFoundError(f'{wanted} in {directory}{there}')
    return found[::-1] if step is None else [step]


def _damage(
    directory: StrPath, step: int, files: Mapping[str, Any], groups: Collection[str]
) -> list[str]:
    """A line for each file of the groups that is not as its manifest says."""
    skipped = tuple(f'state/{group}/' for group in GROUPS if group not in groups)
    names = [name for name in files if not name.startswith(skipped)]
    root = Path(directory, name_of(step))
    with ThreadPoolExecutor() as pool:
        texts = pool.map(lambda name: _problem(root / name, files[name]), names)
        found = zip(names, texts, strict=True)
        return [f'{name_of(step)}/{name}: {text}' for name, text in found if text]


def _problem(path: Path, written: Mapping[str, Any]) -> str | None:
    try:
        found = _fingerprint(path)
    except OSError as error:
        return error.strerror
    if found['bytes'] != written['bytes']:
        return f'{found["bytes"]} bytes, not {written["bytes"]}'
    return None if found == written else f'checksum {found["crc32"]}, not {written["crc32"]}'


def _match(
    place: str, stored: Mapping[str, Any], wanted: Mapping[str, Any], groups: Collection[str]
) -> None:
    """Raises unless names, shapes and dtypes of leaves are the same."""
    stored = {name: spec for name, spec in stored.items() if group_of(name) in groups}
    lines = [
        f'{name} is {_text(stored.get(name))} there and {_text(wanted.get(name))} here'
        for name in {**wanted, **stored}
        if stored.get(name) != wanted.get(name)
    ]
    if lines:
        raise CheckpointError(
            f'{place} does not fit the config: {_few(lines)}. Use the config that it was trained '
            'with, which is stored with the run, or another workdir'
        )


def group_of(name: str) -> str:
    """Which of `GROUPS` a leaf belongs to."""
    return 'params' if f'{name}.'.startswith('params.') else 'rest'


def _text(spec: Mapping[str, Any] | None) -> str:
    return f'{spec["dtype"]}{spec["shape"]}'.replace(' ', '') if spec else 'absent'


def _none_good(directory: StrPath, bad: Mapping[int, list[str]]) -> CheckpointError:
    return CheckpointError(
        f'no checkpoint in {directory} can be used.\n{_summary(bad)}\n'
        'Bring one back from a copy, or remove the directory to start from step 0.'
    )


def _summary(bad: Mapping[int, list[str]]) -> str:
    lines = (f'The checkpoint of step {step} is damaged: {_few(bad[step])}.' for step in bad)
    return '\n'.join(lines)


def _few(lines: list[str]) -> str:
    more = f'; and {len(lines) - _SHOWN} more' if len(lines) > _SHOWN else ''
    return '; '.join(lines[:_SHOWN]) + more
