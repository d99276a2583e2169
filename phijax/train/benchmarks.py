"""Which benchmarks a run is measured on while it goes on."""

import dataclasses

from phijax.errors import InputError
from phijax.evaluate import encoding
from phijax.evaluate import tasks as every
from phijax.evaluate.tasks import Execution, Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmarks:
    """What is asked of the model at some of its evaluations.

    Attributes:
        tasks: names of `phijax.evaluate`, or of groups of them; empty for none.
        every: steps between them; 0 is only at the end.
        limit: the first so many items of each; 0 is all.
        style: how the model is asked: `completion`, or a chat format.
    """

    tasks: tuple[str, ...]
    every: int
    limit: int
    style: str

    def chosen(self) -> list[Task]:
        """The tasks, each once."""
        return [every.task(name) for name in every.expand(self.tasks)]

    def are_due(self, step: int, num_steps: int) -> bool:
        """Whether they are asked after this step."""
        due = step == num_steps or (self.every and step % self.every == 0)
        return bool(self.tasks and due)

    def check(self, evaluate_every: int) -> None:
        """Returns when they can be asked in a run that is evaluated every so many steps.

        Raises:
            InputError: an unknown task or style, a negative number, or steps that are none of an
                evaluation.
            ValueError: a task runs what the model writes, and the system cannot contain it.
        """
        for name in ('every', 'limit'):
            if getattr(self, name) < 0:
                raise InputError(f'benchmarks.{name} must be at least 0, got {getattr(self, name)}')
        if self.every and (not evaluate_every or self.every % evaluate_every):
            raise InputError(
                f'benchmarks.every must be a multiple of evaluate_every ({evaluate_every}), '
                f'got {self.every}'
            )
        encoding.check_style(self.style)
        if any(task.writing and task.writing.runs_code for task in self.chosen()):
            Execution().check()


NONE = Benchmarks(tasks=(), every=0, limit=100, style=encoding.COMPLETION)
