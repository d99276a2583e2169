"""What holds here is found by trying, and a machine that lacks a layer is refused or says so."""

import json
import struct
import subprocess
import sys
import textwrap

import psutil
import pytest

from phijax import sandbox
from phijax.sandbox import Level, SandboxError, seccomp
from phijax.sandbox.layers import NEEDED
from tests.sandbox.lacking import ROOT, answer_without

LEVEL = 'print(json.dumps(sandbox.probe().as_json()))'
REFUSAL = """
try:
    sandbox.require()
except sandbox.SandboxError as error:
    print(json.dumps(str(error)))
"""
# Whether the tests pass, on a machine where the user takes the risk.
TRIAL = """
isolation = sandbox.require(unsafe='I_UNDERSTAND')
job = sandbox.Job(code=sys.argv[1], tests='assert f(3) == 9', names=('f',))
verdict = sandbox.run_tests(job, isolation)
print(json.dumps([verdict.reason, verdict.detail]))
"""

SQUARE = 'def f(x): return x * x'
LOOP = 'def f(x):\n    while True: pass'


@pytest.fixture(scope='module', autouse=True)
def _strong() -> None:
    """What is taken away below has to be there first."""
    if sandbox.probe().level < Level.STRONG:
        pytest.skip(f'this machine has {sandbox.probe().as_json()}')


def test_every_layer_is_probed() -> None:
    isolation = sandbox.probe()
    assert set(isolation.holds) == set(NEEDED)
    assert all(isolation.refused.values())
    assert len(isolation.refused) == 3
    assert json.loads(json.dumps(isolation.as_json()))['level'] == 'strong'
    assert sandbox.require() is isolation


def test_unknown_words_are_refused() -> None:
    with pytest.raises(SandboxError, match="no level 'strongest'; there are weak, medium, strong"):
        sandbox.require('strongest')
    with pytest.raises(SandboxError, match="unsafe is 'yes'; it is empty or I_UNDERSTAND"):
        sandbox.require(unsafe='yes')


@pytest.mark.parametrize(
    ('lacks', 'level'),
    [
        (['landlock'], 'medium'),
        (['landlock at boot'], 'medium'),
        (['landlock in a container'], 'medium'),
        (['seccomp'], 'medium'),
        (['capabilities'], 'medium'),
        (['limits'], 'medium'),
        (['landlock', 'seccomp'], 'weak'),
    ],
)
def test_level_without_a_layer(lacks: list[str], level: str) -> None:
    found = answer_without(lacks, LEVEL)
    assert found['level'] == level
    names = {lack.partition(' ')[0] for lack in lacks}
    assert set(found['missing']) == names
    assert set(found['holds']) == set(NEEDED) - names


@pytest.mark.parametrize(
    ('lacks', 'reason'),
    [
        (['landlock'], 'landlock (ENOSYS: '),
        (['landlock at boot'], 'landlock (ENOTSUP: '),
        (['seccomp'], 'seccomp (EINVAL: '),
    ],
)
def test_refusal_is_one_line_with_the_ways_out(lacks: list[str], reason: str) -> None:
    line = answer_without(lacks, REFUSAL)
    assert '\n' not in line
    for part in (reason, 'wants level strong, this machine has medium', 'Linux 5.13', 'UNDERSTAND'):
        assert part in line


def test_programs_are_judged_where_the_user_takes_the_risk() -> None:
    for lacks in (['landlock'], ['landlock', 'seccomp', 'capabilities']):
        assert answer_without(lacks, TRIAL, SQUARE)[0] == 'passed'
        assert answer_without(lacks, TRIAL, 'def f(x): return x')[0] == 'failed'


def test_each_layer_stops_what_it_is_for() -> None:
    """One layer lost: what it alone stops happens, and the other still stops its own."""
    reads = 'def f(x): return 9 if open("/etc/passwd").read(1) else 0'
    forks = 'import os\ndef f(x): return 9 if os.fork() or os._exit(0) else 0'
    assert answer_without(['landlock'], TRIAL, reads)[0] == 'passed'
    assert 'PermissionError' in answer_without(['landlock'], TRIAL, forks)[1]
    assert answer_without(['seccomp'], TRIAL, forks)[0] == 'passed'
    assert 'PermissionError' in answer_without(['seccomp'], TRIAL, reads)[1]


def test_children_die_where_they_can_be_started() -> None:
    code = textwrap.dedent("""
        import os, time
        def f(x):
            reads, writes = os.pipe()
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.write(writes, str(os.getpid()).encode())
                    time.sleep(60)
                os._exit(0)
            raise ValueError(os.read(reads, 9).decode())
    """)
    reason, detail = answer_without(['landlock', 'seccomp'], TRIAL, code)
    assert reason == 'error'
    number = int(detail.split()[1])
    assert not psutil.pid_exists(number)


def test_layer_that_was_promised_is_not_given_up() -> None:
    """A probe that found more than a program's process gets: nothing is run."""
    code = """
import dataclasses
found = sandbox.probe()
more = dataclasses.replace(found, holds=found.holds | {'landlock': 'version 7'})
job = sandbox.Job(code='def f(x): return x * x', tests='assert f(3) == 9', names=('f',))
try:
    sandbox.run_tests(job, more)
except sandbox.SandboxError as error:
    print(json.dumps(str(error)))
"""
    assert 'ENOSYS' in answer_without(['landlock'], code)


ELSEWHERE = """
import os, select, signal, socket, sys
for name in ('resource', 'fcntl'):
    sys.modules[name] = None
for owner, names in ((os, 'fork O_PATH sched_getaffinity waitid'), (select, 'poll'),
                     (signal, 'SIGXCPU SIGSYS'), (socket, 'send_fds recv_fds AF_UNIX')):
    for name in names.split():
        delattr(owner, name)
sys.platform = 'elsewhere'
from phijax import sandbox
print(sandbox.probe().level.name)
for act in (sandbox.require, lambda: sandbox.open('', isolation=sandbox.probe()).__enter__()):
    try:
        act()
    except sandbox.SandboxError as error:
        print(error)
"""


def test_system_without_forks_can_import_and_is_refused() -> None:
    command = [sys.executable, '-c', ELSEWHERE]
    printed = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    assert printed[0] == 'WEAK'
    assert 'this machine has weak: fork (the system has none)' in printed[1]
    assert 'this system has no fork' in printed[2]


@pytest.mark.parametrize('machine', seccomp.ARCHITECTURES)
def test_filter_of_every_architecture(machine: str) -> None:
    """Jumps stay inside the program, no number stands twice, and the last word is a refusal."""
    code = seccomp.program(machine, 1234)
    steps = [struct.unpack_from('=HBBI', code, place) for place in range(0, len(code), 8)]
    for place, (kind, yes, no, _) in enumerate(steps):
        if kind in (0x15, 0x35):
            assert place + 1 + max(yes, no) < len(steps)
    assert steps[-1] == (0x06, 0, 0, 0x00050001)
    numbers = seccomp.numbers(machine)
    assert len(set(numbers.values())) == len(numbers)
    assert set(seccomp.conditions(1)) - {'open'} <= set(numbers)
    dangerous = 'execve ptrace socket connect bind mount bpf unshare setns keyctl chmod mkdir'
    assert not set(dangerous.split()) & set(numbers)
