"""How programs that a model wrote are run and judged."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from phijax import sandbox


class Oracle(NamedTuple):
    """What decides on a program.

    Attributes:
        tests: trusted text; the program passes when it runs to its end.
        names: what the tests call of the program.
        setup: trusted text that runs before the tests.
    """

    tests: str
    names: tuple[str, ...]
    setup: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution:
    """The sandbox's settings.

    Attributes:
        workers: programs at once.
        cpu_seconds: the processor's time that one may take; a solution of MBPP's own takes 5.
        memory_megabytes: the memory that one may take.
        unsafe: empty, or I_UNDERSTAND to run them where the system cannot contain them.
        cache: a file of verdicts that are known, which is made or added to; empty for none.
    """

    workers: int = 1
    cpu_seconds: float = 15.0
    memory_megabytes: int = 512
    unsafe: str = ''
    cache: str = ''

    def check(self) -> None:
        """Returns when the system can contain programs, or need not.

        Raises:
            SandboxError: it cannot; the message says what is missing.
        """
        sandbox.require(unsafe=self.unsafe)

    def described(self) -> dict[str, Any]:
        """What holds a program here, and its limits, ready for JSON.

        Raises:
            SandboxError: as `check`.
        """
        isolation = sandbox.require(unsafe=self.unsafe).as_json()
        return {'isolation': isolation, 'limits': dataclasses.asdict(self._limits())}

    def judge(self, programs: Sequence[tuple[str, Oracle]]) -> list[sandbox.Verdict]:
        """The verdict on each program.

        Raises:
            SandboxError: as `check`, or the sandbox failed.
        """
        jobs = [
            sandbox.Job(code=program, limits=self._limits(), **oracle._asdict())
            for program, oracle in programs
        ]
        verdicts = sandbox.run_many(
            jobs,
            workers=self.workers,
            cache=self.cache or None,
            isolation=sandbox.require(unsafe=self.unsafe),
        )
        return [verdict for _, verdict in sorted(verdicts, key=lambda found: found[0])]

    def _limits(self) -> sandbox.Limits:
        return sandbox.Limits(cpu_seconds=self.cpu_seconds, memory_megabytes=self.memory_megabytes)
