"""An evaluation as frozen values, checked before a model is opened. It answers at once."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from phijax.errors import InputError, check_keys
from phijax.evaluate import encoding, tasks
from phijax.evaluate.measuring import Settings
from phijax.evaluate.tasks import Task

DTYPES = ('float32', 'bfloat16', 'float16')
BITS = (0, 8, 4)

# What a result depends on besides the model and its prompts; the rest only says how fast it comes.
_DECIDES = (
    'style',
    'shots',
    'dtype',
    'bits',
    'num_samples',
    'temperature',
    'top_p',
    'max_new_tokens',
    'seed',
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sandbox:
    """How the programs that a model writes are run.

    Attributes:
        workers: programs at once; 0 is one for each core.
        cpu_seconds: the processor's time that one may take.
        memory_megabytes: the memory that one may take.
        unsafe: empty, or I_UNDERSTAND to run them where the system cannot contain them.
    """

    workers: int
    cpu_seconds: float
    memory_megabytes: int
    unsafe: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """One evaluation.

    Attributes:
        tasks: names of benchmarks or of groups of them.
        style: how the model is asked, one of `encoding.STYLES`.
        shots: solved items in front of each, by task; the task's own number where it is not named.
        limit: the first so many items of each task, of its subjects in turn; 0 is all.
        dtype: what the model computes in.
        bits: 8 or 4 for kernels of so many bits, 0 for those of the dtype.
        num_samples, temperature, top_p, max_new_tokens, seed: as in `measuring.Settings`.
        ks: the k of pass@k, where several answers are written.
        rows_at_once: answers written at once.
        tokens_at_once: tokens scored at once; 0 is the device's measure.
        beside: models of the phi papers whose figures stand beside.
    """

    tasks: tuple[str, ...]
    style: str
    shots: Mapping[str, int]
    limit: int
    dtype: str
    bits: int
    num_samples: int
    temperature: float
    top_p: float
    max_new_tokens: int
    ks: tuple[int, ...]
    seed: int
    rows_at_once: int
    tokens_at_once: int
    beside: tuple[str, ...]
    sandbox: Sandbox

    def chosen(self) -> list[Task]:
        """The tasks, each once."""
        return [tasks.task(name) for name in tasks.expand(self.tasks)]

    def num_shots(self, task: Task) -> int:
        """How many solved items stand in front of each of a task's."""
        return self.shots.get(task.name, task.shots)

    def deciding(self) -> dict[str, Any]:
        """The fields that a result depends on."""
        values = dataclasses.asdict(self)
        limits = {name: values['sandbox'][name] for name in ('cpu_seconds', 'memory_megabytes')}
        return {name: values[name] for name in _DECIDES} | limits

    def settings(self, **more: Any) -> Settings:
        """How the model is asked."""
        names = {field.name for field in dataclasses.fields(Settings)}
        values = {name: value for name, value in vars(self).items() if name in names}
        return Settings(**values | more)


_LEAST = {
    'limit': 0,
    'num_samples': 1,
    'max_new_tokens': 0,
    'seed': 0,
    'rows_at_once': 1,
    'tokens_at_once': 0,
    'temperature': 0,
}


def from_dict(fields: Mapping[str, Any]) -> Plan:
    """The evaluation that a config describes, checked.

    Raises:
        InputError: an unknown or missing key, or a value that is not allowed; the message names
            the value met and those allowed.
    """
    check_keys('', fields, [field.name for field in dataclasses.fields(Plan)])
    check_keys('sandbox.', fields['sandbox'], [f.name for f in dataclasses.fields(Sandbox)])
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    plan = Plan(**values | {'sandbox': Sandbox(**fields['sandbox'])})
    for name, least in _LEAST.items():
        value = getattr(plan, name)
        if not isinstance(value, int | float) or not value >= least:
            raise InputError(f'{name} must be a number of at least {least}, got {value!r}')
    for name, allowed in (('dtype', DTYPES), ('bits', BITS)):
        if getattr(plan, name) not in allowed:
            listed = ', '.join(map(str, allowed))
            raise InputError(f'{name} must be one of {listed}, got {getattr(plan, name)!r}')
    encoding.check_style(plan.style)
    _check_drawing(plan)
    _check_shots(plan)
    return plan


def _check_drawing(plan: Plan) -> None:
    if not 0 < plan.top_p <= 1:
        raise InputError(f'top_p must be in (0, 1], got {plan.top_p}')
    if plan.num_samples > 1 and not plan.temperature:
        raise InputError(
            f'num_samples={plan.num_samples} needs a temperature above 0: all would be the same'
        )
    for k in plan.ks:
        if not 1 <= k <= plan.num_samples:
            raise InputError(f'ks must be from 1 to num_samples ({plan.num_samples}), got {k}')


def _check_shots(plan: Plan) -> None:
    chosen = {task.name: task for task in plan.chosen()}
    if not chosen:
        raise InputError(f'tasks is empty; there are {", ".join(tasks.TASKS)}')
    for name, number in plan.shots.items():
        most = tasks.task(name).most_shots
        if not 0 <= number <= most:
            raise InputError(f'shots.{name} must be from 0 to {most}, got {number}')
