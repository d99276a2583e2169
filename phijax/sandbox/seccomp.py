"""A filter of system calls as a BPF program: what Python needs is allowed, all else is refused.

An allow-list, so that a system call of a later kernel is refused too. Refused calls answer EPERM,
or ENOSYS where the C library then takes an older way. Calls of a foreign architecture or of the x32
ABI kill the process: the numbers below would mean other calls there.

Source: seccomp(2), linux/filter.h, linux/audit.h; numbers from asm/unistd_64.h (x86_64) and
asm-generic/unistd.h (aarch64).
"""

import errno
import functools
import platform
import struct
from collections.abc import Sequence

# name x86_64 aarch64; `-` where the architecture has no such call.
_NUMBERS = """
read 0 63, write 1 64, open 2 -, close 3 57, stat 4 -, fstat 5 80, lstat 6 -, poll 7 -, lseek 8 62,
mmap 9 222, mprotect 10 226, munmap 11 215, brk 12 214, rt_sigaction 13 134, rt_sigprocmask 14 135,
rt_sigreturn 15 139, ioctl 16 29, pread64 17 67, pwrite64 18 68, readv 19 65, writev 20 66,
access 21 -, pipe 22 -, select 23 -, sched_yield 24 124, mremap 25 216, msync 26 227,
madvise 28 233, dup 32 23, dup2 33 -, nanosleep 35 101, getpid 39 172, sendto 44 206,
recvfrom 45 207, shutdown 48 210, getsockname 51 204, getpeername 52 205, socketpair 53 199,
getsockopt 55 209, clone 56 220, exit 60 93, kill 62 129, uname 63 160,
fcntl 72 25, flock 73 32, fsync 74 82, fdatasync 75 83, ftruncate 77 46, getcwd 79 17, chdir 80 49,
rename 82 -, creat 85 -, unlink 87 -, readlink 89 -, gettimeofday 96 169, getrlimit 97 163,
getrusage 98 165, sysinfo 99 179, times 100 153, getuid 102 174, getgid 104 176, umask 95 166,
geteuid 107 175, getegid 108 177, getppid 110 173, getpgrp 111 -, getgroups 115 158,
getpgid 121 155, getsid 124 156, rt_sigpending 127 136, rt_sigtimedwait 128 137,
rt_sigsuspend 130 133, sigaltstack 131 132, sched_getparam 143 121, sched_getscheduler 145 120,
prctl 157 167, gettid 186 178, time 201 -, futex 202 98, sched_getaffinity 204 123,
getdents64 217 61, set_tid_address 218 96, restart_syscall 219 128, fadvise64 221 223,
clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, exit_group 231 94,
epoll_wait 232 -, epoll_ctl 233 21, tgkill 234 131, openat 257 56, newfstatat 262 79,
unlinkat 263 35, renameat 264 38, readlinkat 267 78, faccessat 269 48, pselect6 270 72,
ppoll 271 73, set_robust_list 273 99, epoll_pwait 281 22, eventfd2 290 19, epoll_create1 291 20,
dup3 292 24, pipe2 293 59, prlimit64 302 261, getcpu 309 168, renameat2 316 276, getrandom 318 278,
membarrier 324 283, statx 332 291, rseq 334 293, clone3 435 435, close_range 436 436,
openat2 437 437, faccessat2 439 439
"""
LAST_KNOWN = 466

# Calls that a program could not do harm with are allowed as they are; these only when an argument
# has one of a few values: `argument & mask` in `values`. Several tests of one call must all hold.
_ANY_BIT = 0xFFFFFFFF
_NAMESPACES = 0x7E020080
_THREAD = 0x00010000
_TRUNCATE, _WRITES = 0o1000, 0o3
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030)

_WITHOUT_FALLBACK = {'clone3', 'openat2', 'faccessat2'}

Test = tuple[int, int, Sequence[int]]

ARCHITECTURES = {'x86_64': 0xC000003E, 'aarch64': 0xC00000B7}
_X32_BIT = 0x40000000

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06


def architecture() -> str | None:
    """The name of this machine's table; None where there is none."""
    machine = {'amd64': 'x86_64', 'arm64': 'aarch64'}.get(platform.machine(), platform.machine())
    return machine if machine in ARCHITECTURES and struct.calcsize('P') == 8 else None


@functools.cache
def numbers(machine: str) -> dict[str, int]:
    """The system calls that the filter knows, by name."""
    column = 1 + list(ARCHITECTURES).index(machine)
    rows = (row.split() for row in _NUMBERS.replace('\n', ' ').split(','))
    return {row[0]: int(row[column]) for row in rows if row[column] != '-'}


def conditions(process: int) -> dict[str, list[Test]]:
    """What must hold of the arguments of a call, for the process of that number.

    Threads, but no processes; signals to itself alone; unnamed pairs of stream sockets as asyncio
    wants them, but no address; limits and process flags can be read and not set; no file is
    truncated by opening it for reading, which Landlock does not see before its third version.
    """
    opened = (_TRUNCATE | _WRITES, (0, 1, 2, 3, _TRUNCATE | 1, _TRUNCATE | 2))
    return {
        'clone': [(0, _THREAD | _NAMESPACES, (_THREAD,))],
        'kill': [(0, _ANY_BIT, (process,))],
        'tgkill': [(0, _ANY_BIT, (process,))],
        'socketpair': [(0, _ANY_BIT, (1,)), (1, 0xF, (1,))],
        'sendto': [(4, _ANY_BIT, (0,))],
        'prlimit64': [(0, _ANY_BIT, (0, process)), (2, _ANY_BIT, (0,))],
        'prctl': [(0, _ANY_BIT, (15, 16))],
        'ioctl': [(1, _ANY_BIT, _IOCTLS)],
        'fcntl': [(1, _ANY_BIT, _FCNTLS)],
        'open': [(1, *opened)],
        'openat': [(2, *opened)],
    }


def program(machine: str, process: int) -> bytes:
    """The filter as an array of `struct sock_filter`.

    Args:
        machine: a name of `ARCHITECTURES`.
        process: the only process that signals may be sent to.
    """
    code = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, ARCHITECTURES[machine]), (_RETURN, 0, 0, _KILL)]
    code += [(_LOAD, 0, 0, 0)]
    if machine == 'x86_64':
        code += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    code += [(_AT_LEAST, 0, 1, LAST_KNOWN + 1), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    tests = conditions(process)
    for name, number in numbers(machine).items():
        block = _checks(tests.get(name, []))
        if name in _WITHOUT_FALLBACK:
            block = [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
        code += [(_EQUAL, 0, len(block), number), *block]
    code += [(_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    return b''.join(struct.pack('=HBBI', *instruction) for instruction in code)


def _checks(tests: Sequence[Test]) -> list[tuple[int, int, int, int]]:
    """Instructions that allow the call when every test holds, and else answer EPERM.

    Arguments have 64 bits, a filter compares 32: the low half is compared. For a pointer that has
    to be null (`sendto`, `prlimit64`) both halves count.
    """
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    block: list[tuple[int, int, int, int]] = []
    for argument, mask, values in tests:
        block += [(_LOAD, 0, 0, 16 + 8 * argument), (_AND, 0, 0, mask)]
        for place, value in enumerate(values):
            block += [(_EQUAL, len(values) - place, 0, value)]
        block += [refuse]
        if tuple(values) == (0,):
            block += [(_LOAD, 0, 0, 20 + 8 * argument), (_EQUAL, 1, 0, 0), refuse]
    return [*block, (_RETURN, 0, 0, _ALLOW)]
