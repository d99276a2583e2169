"""The layers that a process shuts itself into, one function for each, and all of them in order.

Each layer is put on by the process itself, cannot be taken off again, and either holds or raises
`OSError`: whether a missing one matters is for the caller to say.
"""

import contextlib
import ctypes
import dataclasses
import errno
import functools
import os
import pathlib
import struct
import sys
from collections.abc import Sequence
from typing import Any

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

from phijax.sandbox import seccomp

MEGABYTE = 1 << 20
OPEN_FILES = 64

# What the interpreter itself needs, and what no limit has to exceed.
LEAST_MEGABYTES = 64
MOST = 1_000_000

NEEDED = ('no_new_privileges', 'landlock', 'capabilities', 'limits', 'seccomp')

# linux/landlock.h. What may be done with files, how many of these rights each version knows, and
# what it restricts besides files.
_WRITE_FILE, _READ_FILE, _READ_DIRECTORY, _REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 5
_MAKE_FILE, _RENAME, _TRUNCATE = 1 << 8, 1 << 13, 1 << 14
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP_VERSION, _SCOPE_VERSION = 4, 6
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446

# linux/prctl.h, linux/capability.h.
_DEATH_SIGNAL, _SECCOMP, _SUBREAPER, _NO_NEW_PRIVILEGES = 1, 22, 36, 38
_CAPABILITY_VERSION = 0x20080522


class SandboxError(ValueError):
    """Untrusted code cannot be run as safely as was asked for, or not with these limits."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What one program may use.

    Attributes:
        cpu_seconds: of all its threads together, rounded up to whole seconds.
        wall_seconds: for one answer; `None` means four times `cpu_seconds`.
        memory_megabytes: address space.
        file_megabytes: of all files that it writes, into a folder of its own; with 0 it has none.
        output_kilobytes: how much is kept of what it prints.
    """

    cpu_seconds: float = 5.0
    wall_seconds: float | None = None
    memory_megabytes: int = 512
    file_megabytes: int = 0
    output_kilobytes: int = 64

    def __post_init__(self) -> None:
        least = {
            'cpu_seconds': (self.cpu_seconds, 0.01),
            'wall_seconds': (self.patience_seconds, 0.01),
            'memory_megabytes': (self.memory_megabytes, LEAST_MEGABYTES),
            'file_megabytes': (self.file_megabytes, 0),
            'output_kilobytes': (self.output_kilobytes, 0),
        }
        for name, (value, lowest) in least.items():
            if not lowest <= value < MOST:
                raise SandboxError(f'{name} is {value}; it is at least {lowest}, below {MOST}')

    @classmethod
    def for_solution(cls, cpu_seconds: float, **others: Any) -> 'Limits':
        """Limits where a known solution takes that long: ten times as much, and at least 5 s."""
        return cls(cpu_seconds=max(5.0, 10 * cpu_seconds), **others)

    @property
    def patience_seconds(self) -> float:
        """How long an answer is waited for."""
        return 4 * self.cpu_seconds if self.wall_seconds is None else self.wall_seconds


@dataclasses.dataclass(frozen=True)
class Root:
    """An open file or folder of the machine, and the rights on what is below it."""

    descriptor: int
    rights: int


def enter(
    limits: Limits, keep: Sequence[int], folder: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    """The layers that now hold, each with a word on it, and those that do not, with the reason.

    Args:
        keep: the only files that stay open, besides the standard three.
        folder: where files may be written, or None.
    """
    holds: dict[str, str] = {}
    missing: dict[str, str] = {}
    layers = {
        'no_new_privileges': _forgo_privileges,
        'landlock': lambda: _restrict_files(folder),
        'capabilities': _drop_capabilities,
        'limits': lambda: _limit(limits, keep),
        'seccomp': _filter_calls,
    }
    for name, put_on in layers.items():
        try:
            holds[name] = put_on()
        except (OSError, ValueError, AttributeError) as error:
            missing[name] = _reason(error)
    return holds, missing


def prepare() -> None:
    """Does once what each process that is forked from this one would do again."""
    with contextlib.suppress(OSError, AttributeError):
        _ruleset(None)
    machine = seccomp.architecture()
    if machine:
        seccomp.numbers(machine)


@functools.cache
def _readable() -> tuple[Root, ...]:
    """What of this machine Python needs in order to import its standard library.

    Everything in the folder of the standard library but installed packages, which may hold answers
    of a benchmark; shared libraries, which are found by name and not listed; time zones. Links are
    left out, as they may lead elsewhere: what they lead to here has a place of its own.
    """
    library = pathlib.Path(os.__file__).parent
    folders = {pathlib.Path(path).resolve() for path in LIBRARIES if os.path.isdir(path)}
    shared = [path for folder in folders for path in folder.iterdir()]
    shared += pathlib.Path(sys.base_prefix, 'lib').glob('lib*.so*')
    reads = _READ_FILE | _READ_DIRECTORY
    wanted = [
        (library, _READ_DIRECTORY),
        *((path, reads) for path in library.iterdir() if path.name not in PACKAGES),
        *((path, _READ_FILE) for path in shared if not path.name.startswith('python')),
        *((pathlib.Path(path), _READ_FILE) for path in FILES),
        (pathlib.Path('/usr/share/zoneinfo'), reads),
        (pathlib.Path('/dev/null'), _READ_FILE | _WRITE_FILE),
    ]
    return tuple(
        Root(
            os.open(path, os.O_PATH | os.O_CLOEXEC),
            rights if path.is_dir() else rights & ~_READ_DIRECTORY,
        )
        for path, rights in wanted
        if path.exists() and not path.is_symlink()
    )


PACKAGES = ('site-packages', 'dist-packages')
LIBRARIES = ('/lib', '/lib64', '/usr/lib', '/usr/lib64')
FILES = ('/etc/ld.so.cache', '/dev/urandom', '/dev/random')


def die_with_parent() -> None:
    """Has this process killed when the one that started it ends; no-op where the system cannot."""
    if sys.platform == 'linux':
        _libc().prctl(_DEATH_SIGNAL, 9, 0, 0, 0)


def adopt_orphans() -> None:
    """Makes this process the parent of what its children leave behind, where the system can."""
    if sys.platform == 'linux':
        _libc().prctl(_SUBREAPER, 1, 0, 0, 0)


def _forgo_privileges() -> str:
    """No program that is started, and no filter, gives rights that this process does not have."""
    _call('prctl', _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return 'set'


def _restrict_files(folder: str | None) -> str:
    """Landlock: no file but what is listed, no TCP, no signals or abstract sockets to outside."""
    version, ruleset = _ruleset(folder)
    _call('syscall', _RESTRICT_SELF, ruleset, 0)
    return f'version {version}'


@functools.cache
def _ruleset(folder: str | None) -> tuple[int, int]:
    """Landlock's version, and the descriptor of a set of rules."""
    version = _call('syscall', _CREATE_RULESET, None, 0, 1)
    rights = (1 << _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]) - 1
    words = [rights]
    if version >= _TCP_VERSION:
        words.append(0b11)
    if version >= _SCOPE_VERSION:
        words.append(0b11)
    attributes = struct.pack(f'={len(words)}Q', *words)
    ruleset = _call('syscall', _CREATE_RULESET, attributes, len(attributes), 0)
    writable = [] if folder is None else [Root(os.open(folder, os.O_PATH), _WORK)]
    for root in [*_readable(), *writable]:
        rule = struct.pack('=Qi', root.rights & rights, root.descriptor)
        _call('syscall', _ADD_RULE, ruleset, 1, rule, 0)
    return version, ruleset


_WORK = _READ_FILE | _WRITE_FILE | _READ_DIRECTORY | _REMOVE_FILE | _MAKE_FILE | _RENAME | _TRUNCATE


def _drop_capabilities() -> str:
    """Root without the powers of root: it could raise its own limits again, and read any file."""
    header = struct.pack('=Ii', _CAPABILITY_VERSION, 0)
    _call('capset', header, bytes(24))
    return 'none left'


def _limit(limits: Limits, keep: Sequence[int]) -> str:
    """Limits of the system, and no open files but those to keep."""
    first = 3
    for descriptor in [*sorted(keep), 1 << 20]:
        os.closerange(first, descriptor)
        first = descriptor + 1
    if resource is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    seconds = max(1, int(-(-limits.cpu_seconds // 1)))
    wanted = {
        resource.RLIMIT_AS: (limits.memory_megabytes * MEGABYTE,) * 2,
        resource.RLIMIT_CPU: (seconds, seconds + 1),
        resource.RLIMIT_FSIZE: (limits.file_megabytes * MEGABYTE,) * 2,
        resource.RLIMIT_NOFILE: (OPEN_FILES, OPEN_FILES),
        resource.RLIMIT_CORE: (0, 0),
    }
    for name, pair in wanted.items():
        _, highest = resource.getrlimit(name)
        unlimited = highest == resource.RLIM_INFINITY
        soft, hard = (wish if unlimited else min(wish, highest) for wish in pair)
        resource.setrlimit(name, (soft, hard))
    return 'set'


def _filter_calls() -> str:
    """The filter of system calls."""
    machine = seccomp.architecture()
    if machine is None:
        raise OSError(errno.ENOSYS, 'no table of system calls for this architecture')
    code = ctypes.create_string_buffer(seccomp.program(machine, os.getpid()))
    length = len(code) // 8
    program = struct.pack('@HP', length, ctypes.addressof(code))
    _call('prctl', _SECCOMP, 2, program, 0, 0)
    return f'allow-list for {machine}'


def _call(function: str, *arguments: int | bytes | None) -> int:
    """The result of a function of the C library.

    Raises:
        OSError: it failed.
    """
    if sys.platform != 'linux':
        raise OSError(errno.ENOSYS, 'this is not Linux')
    typed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = getattr(_libc(), function)(*typed)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _reason(error: Exception) -> str:
    code = getattr(error, 'errno', None)
    return f'{errno.errorcode.get(code, code)}: {error.args[1]}' if code else str(error)
