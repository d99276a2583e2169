"""Trusted tests on untrusted programs: the verdict is spoken outside the program's process."""

import builtins
import dataclasses
import json
import os
import select
import signal
import symtable
from collections.abc import Collection, Iterator
from typing import Any

from phijax.sandbox import client
from phijax.sandbox.client import Report
from phijax.sandbox.isolation import Isolation, require
from phijax.sandbox.layers import Limits, SandboxError

MAX_VERDICT_BYTES = 1 << 16
# The oracle waits for a single answer as long as it may; only many slow ones come to this.
MARGIN_SECONDS = 0.5

REASONS = {
    'passed': 'all tests hold',
    'failed': 'an assertion does not hold',
    'error': 'the program, or a test on its answer, raised',
    'syntax': 'the program is not Python',
    'missing': 'the program lacks a function that the tests want',
    'timeout': 'the limit of CPU time',
    'stalled': 'the limit of waiting',
    'memory': 'the limit of memory',
    'files': 'the limit of files',
    'oversize': 'an answer that is too large',
    'protocol': 'an answer that is none',
    'exited': 'the program ended its process',
    'crashed': 'a signal ended its process',
    'blocked': 'it was killed for a forbidden system call',
    'vacuous': 'the tests did not call the program',
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A program and the tests that decide on it.

    Attributes:
        code: the untrusted text.
        tests: trusted text; the program passes when it runs to its end without an error.
        names: what the tests call of the program.
        setup: trusted text that runs before the tests, such as functions that these use.
    """

    code: str
    tests: str
    names: tuple[str, ...]
    setup: str = ''
    limits: Limits = dataclasses.field(default_factory=Limits)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a program passes, and why.

    Attributes:
        reason: a key of `REASONS`.
        detail: one line more.
        cpu_seconds: what the program used.
    """

    reason: str
    detail: str = ''
    cpu_seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all tests hold."""
        return self.reason == 'passed'


def run_tests(job: Job, isolation: Isolation | None = None) -> Verdict:
    """The verdict on one program.

    The program runs in one shut-in process and sees calls; the tests run in a second one and see
    data. Nothing that the program does in its own process is a verdict.

    Args:
        isolation: what `require` gave; None requires `strong`.

    Raises:
        SandboxError: this machine is not safe enough, or the sandbox failed.
    """
    layers = list((isolation or require()).holds)
    asked, asking = os.pipe()
    answered, answering = os.pipe()
    told, telling = os.pipe()
    ruled, ruling = os.pipe()
    program = client.start('program', job.limits, layers, [asked, answering])
    judge = client.start('judge', job.limits, layers, [told, ruling, asking, answered])
    content = {key: getattr(job, key) for key in ('code', 'tests', 'names', 'setup')}
    try:
        _tell(telling, json.dumps(content).encode())
        ruling_text = _hear(ruled, job.limits.patience_seconds + MARGIN_SECONDS)
    finally:
        judged, ran = judge.end(), program.end()
    return _verdict(ruling_text, judged, ran, job.limits)


def wanted_names(tests: str, setup: str = '', defined: Collection[str] = ()) -> tuple[str, ...]:
    """The names that tests use and neither they nor Python define: what a program has to have.

    Args:
        defined: names that a known solution defines; they count though Python has them too.
    """
    top = symtable.symtable(f'{setup}\n{tests}', '<tests>', 'exec')
    bound = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    free = {
        symbol.get_name()
        for table in _tables(top)
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (table is top or symbol.is_global())
    } - bound
    return tuple(sorted(free - set(dir(builtins)) | free & set(defined)))


def _tables(top: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """A scope and all inside it."""
    yield top
    for inner in top.get_children():
        yield from _tables(inner)


def ended(report: Report, limits: Limits) -> tuple[str, str]:
    """The reason and detail for a process that ended before it had answered."""
    if report.excess:
        return report.excess, f'more than {limits.file_megabytes} MB written'
    if report.exit >= 0:
        return 'exited', f'status {report.exit}'
    spent = report.cpu_seconds >= limits.cpu_seconds
    if report.exit == -signal.SIGXCPU or (report.exit == -signal.SIGKILL and spent):
        return 'timeout', f'{report.cpu_seconds:.1f} s of CPU time'
    name = signal.Signals(-report.exit).name
    return 'blocked' if report.exit == -signal.SIGSYS else 'crashed', name


def _tell(descriptor: int, line: bytes) -> None:
    """Writes all and closes; trusted code reads it, or has died, which its report tells."""
    try:
        with open(descriptor, 'wb') as file:
            file.write(line)
    except BrokenPipeError:
        return


def _hear(descriptor: int, seconds: float) -> bytes | None:
    """What a process writes before it ends; None when it has not in time."""
    with open(descriptor, 'rb', buffering=0) as file:
        poll = select.poll()
        poll.register(file, select.POLLIN)
        return file.read(MAX_VERDICT_BYTES) if poll.poll(1000 * seconds) else None


def _verdict(ruling: bytes | None, judged: Report, ran: Report, limits: Limits) -> Verdict:
    if ruling is None:
        reason, detail = 'stalled', f'no verdict in {limits.patience_seconds:g} s'
    elif not ruling:
        reason, detail = ended(judged, limits)
        detail = f'the tests: {detail}'
    else:
        reason, detail = _ruled(ruling)
    if reason == 'gone':
        reason, detail = ended(ran, limits)
    return Verdict(reason=reason, detail=detail, cpu_seconds=ran.cpu_seconds)


def _ruled(ruling: bytes) -> tuple[str, str]:
    """The reason and detail as the oracle wrote them."""
    content: Any = json.loads(ruling)
    reason, detail = content
    if reason not in REASONS and reason != 'gone':
        raise SandboxError(f'sandbox: the oracle wrote {ruling!r}')
    return reason, detail
