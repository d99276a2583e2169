"""What this machine can hold a program with, and whether that is enough."""

import dataclasses
import enum
import functools
import os
from typing import Any

from phijax.sandbox import client
from phijax.sandbox.layers import NEEDED, Limits, SandboxError

UNDERSTOOD = 'I_UNDERSTAND'


class Level(enum.IntEnum):
    """How well a program is shut in.

    `STRONG`: files by Landlock, system calls by a filter. `MEDIUM`: one of these two. `WEAK`:
    limits of memory and time at most.
    """

    WEAK = 1
    MEDIUM = 2
    STRONG = 3


@dataclasses.dataclass(frozen=True)
class Isolation:
    """The layers of this machine, each tried in a process of its own.

    Attributes:
        holds: layers that hold, with a word on each.
        missing: those that do not, with the reason.
        refused: forbidden deeds that were tried, and whether they were refused.
    """

    level: Level
    holds: dict[str, str]
    missing: dict[str, str]
    refused: dict[str, bool]

    def as_json(self) -> dict[str, Any]:
        """The same for a file of results."""
        return dataclasses.asdict(self) | {'level': self.level.name.lower()}


@functools.cache
def probe() -> Isolation:
    """The layers that a program can be shut in by here; asked of the machine once."""
    if not hasattr(os, 'fork'):
        return Isolation(Level.WEAK, {}, {'fork': 'the system has none'}, {})
    report = client.start('probe', Limits(), [], []).end()
    return Isolation(
        _level(report.holds, report.refused), report.holds, report.missing, report.refused
    )


def require(minimum: str = 'strong', unsafe: str = '') -> Isolation:
    """The layers of this machine, which are enough.

    Args:
        minimum: `strong`, `medium` or `weak`.
        unsafe: `I_UNDERSTAND` takes what there is, whatever the minimum.

    Raises:
        SandboxError: they are not enough, with what is missing and what can be done.
    """
    names = [level.name.lower() for level in Level]
    if minimum not in names:
        raise SandboxError(f'sandbox: no level {minimum!r}; there are {", ".join(names)}')
    if unsafe not in ('', UNDERSTOOD):
        raise SandboxError(f'sandbox: unsafe is {unsafe!r}; it is empty or {UNDERSTOOD}')
    found = probe()
    if found.level < Level[minimum.upper()] and not unsafe:
        raise SandboxError(_refusal(found, minimum))
    return found


def _level(holds: dict[str, str], refused: dict[str, bool]) -> Level:
    """The level of layers that hold, and were seen to."""
    files = all(['landlock' in holds, refused['read a file']])
    calls = all(['seccomp' in holds, refused['start a process'], refused['open a socket']])
    if all([files, calls, holds.keys() >= set(NEEDED)]):
        return Level.STRONG
    return Level.MEDIUM if files or calls else Level.WEAK


def _refusal(found: Isolation, minimum: str) -> str:
    lacks = [f'{name} ({reason})' for name, reason in found.missing.items()]
    lacks += [f'{deed} is not refused' for deed, refused in found.refused.items() if not refused]
    return (
        f'sandbox: untrusted code wants level {minimum}, this machine has '
        f'{found.level.name.lower()}: {", ".join(lacks)}. Ways out: Linux 5.13 or newer with '
        'Landlock on x86_64 or aarch64; a container or virtual machine of such a system whose own '
        f'filter allows landlock_* and seccomp; or the unsafe flag with the value {UNDERSTOOD}.'
    )
