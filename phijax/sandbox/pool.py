"""Many verdicts at once, and a file of those that are known."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from phijax.sandbox.isolation import Isolation, require
from phijax.sandbox.verdicts import REASONS, Job, Verdict, run_tests

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

# Raised when a change of the sandbox may change a verdict.
VERSION = 1

# How busy the machine was had a part in these: they are tried again.
_PASSING = frozenset({'stalled'})


class Cache:
    """Verdicts in a file of JSON lines, which several processes may read and add to.

    A line that is no verdict, because its writer was killed, is passed over.
    """

    def __init__(self, path: str | os.PathLike[str], isolation: Isolation) -> None:
        """Reads the file where there is one."""
        self._path = pathlib.Path(path)
        self._isolation = isolation.as_json()
        self._lock = threading.Lock()
        self._known: dict[str, Verdict] = {}
        if self._path.exists():
            for line in self._path.read_bytes().splitlines():
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    key, verdict = _parse(line)
                    self._known[key] = verdict

    def find(self, job: Job) -> Verdict | None:
        """The known verdict on the same code, tests, names and limits, by the same sandbox."""
        return self._known.get(self._key(job))

    def add(self, job: Job, verdict: Verdict) -> None:
        """Keeps a verdict, in one write at the end of the file."""
        if verdict.reason in _PASSING:
            return
        key = self._key(job)
        line = json.dumps({'key': key, 'verdict': dataclasses.asdict(verdict)}).encode()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._path.open('ab+') as file:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            torn = file.read(1) not in (b'', b'\n')
            file.write(b'\n' * torn + line + b'\n')
            self._known[key] = verdict

    def _key(self, job: Job) -> str:
        python = '.'.join(platform.python_version_tuple()[:2])
        content = [VERSION, python, self._isolation, dataclasses.asdict(job)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def run_many(
    jobs: Iterable[Job],
    *,
    workers: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    isolation: Isolation | None = None,
) -> Iterator[tuple[int, Verdict]]:
    """The place of each job and its verdict, in the order in which they are done.

    Args:
        workers: how many programs run at a time; as many as there are cores, if None.
        cache: file of known verdicts, which is made or added to.
        isolation: what `require` gave; None requires `strong`.

    Raises:
        SandboxError: this machine is not safe enough, or the sandbox failed.
    """
    isolation = isolation or require()
    known = Cache(cache, isolation) if cache is not None else None
    workers = workers or _cores()
    running: dict[Future[Verdict], tuple[int, Job]] = {}
    with ThreadPoolExecutor(workers) as pool:
        for place, job in enumerate(jobs):
            found = known.find(job) if known else None
            if found:
                yield place, found
                continue
            running[pool.submit(run_tests, job, isolation)] = place, job
            if len(running) >= 2 * workers:
                yield from _done(running, known)
        while running:
            yield from _done(running, known)


def _done(
    running: dict[Future[Verdict], tuple[int, Job]], known: Cache | None
) -> Iterator[tuple[int, Verdict]]:
    """What is done next, taken out of what runs."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        place, job = running.pop(future)
        verdict = future.result()
        if known:
            known.add(job, verdict)
        yield place, verdict


def _parse(line: bytes) -> tuple[str, Verdict]:
    """The key and verdict of a line.

    Raises:
        ValueError: or TypeError or KeyError, where it is neither.
    """
    content = json.loads(line)
    verdict = Verdict(**content['verdict'])
    if verdict.reason not in REASONS:
        raise ValueError(verdict.reason)
    return content['key'], verdict


def _cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, 'sched_getaffinity', None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
