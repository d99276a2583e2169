"""Untrusted Python programs: run shut in, judged from outside.

`require` says what this machine can hold a program with; `open` loads a program to call its
functions; `run_tests` and `run_many` judge programs by trusted tests. Standard library only.
"""

from phijax.sandbox.channel import Proxy, Unsendable
from phijax.sandbox.isolation import Isolation, Level, probe, require
from phijax.sandbox.layers import Limits, SandboxError
from phijax.sandbox.pool import run_many
from phijax.sandbox.program import Failure, Program, open  # noqa: A004
from phijax.sandbox.verdicts import REASONS, Job, Verdict, run_tests, wanted_names

__all__ = [
    'REASONS',
    'Failure',
    'Isolation',
    'Job',
    'Level',
    'Limits',
    'Program',
    'Proxy',
    'SandboxError',
    'Unsendable',
    'Verdict',
    'open',
    'probe',
    'require',
    'run_many',
    'run_tests',
    'wanted_names',
]
