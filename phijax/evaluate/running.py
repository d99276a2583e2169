"""A whole evaluation: a model in files, its answers item by item, and the report."""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from phijax import interop, models, partitioning, report
from phijax.data import files
from phijax.errors import InputError
from phijax.evaluate import results, tasks
from phijax.evaluate.measuring import Model, first, measure
from phijax.evaluate.plan import Plan
from phijax.evaluate.samples import Samples
from phijax.evaluate.summary import summarise
from phijax.evaluate.tasks import Execution, Task

RESULTS = 'results.json'
_SECONDS_BETWEEN_LINES = 10.0

log = logging.getLogger(__name__)


def run(plan: Plan, checkpoint: str | os.PathLike[str], workdir: str | os.PathLike[str]) -> str:
    """Evaluates the model at `checkpoint` and returns the table of what came of it.

    The workdir gets samples/TASK.jsonl, a line for each item as soon as it is answered;
    results.json; report.md and report.html. An evaluation that was interrupted goes on with the
    items that lack; one of another model or other questions is refused.

    Raises:
        FileNotFoundError: there is no model at `checkpoint`.
        InputError: the model, the tasks or what is in the workdir do not fit the plan.
        SandboxError: a task runs what the model writes, and the system cannot contain it.
    """
    execution = _execution(plan, Path(workdir))
    model, identity = load(checkpoint, plan.dtype, plan.bits)
    into = Path(workdir)
    with files.lock(into), _spread():
        before = files.read_json(into / RESULTS)
        summaries = {}
        for task in plan.chosen():
            summaries[task.name] = _evaluate(plan, model, task, identity, execution, into)
            found = {
                'checkpoint': str(checkpoint),
                'identity': identity,
                'settings': dataclasses.asdict(plan),
                'sandbox': execution.described() if execution else None,
                'environment': report.environment() | {'device': _device()},
                'tasks': _ordered((before or {}).get('tasks', {}) | summaries),
            }
            files.write_json(into / RESULTS, found)
        return results.write(found, plan, into)


def _ordered(summaries: dict[str, Any]) -> dict[str, Any]:
    """In the order of the table, whatever was evaluated first."""
    return {name: summaries[name] for name in tasks.TASKS if name in summaries}


def load(
    checkpoint: str | os.PathLike[str], dtype: str, bits: int = 0
) -> tuple[Model, dict[str, Any]]:
    """The model on its devices, and what tells it from every other.

    Raises:
        FileNotFoundError: there is no model.
        InputError: it has no tokenizer, or cannot be read.
    """
    config, params, tokenizer = interop.open(checkpoint)
    if tokenizer is None:
        raise InputError(f'{checkpoint} has no tokenizer, so it cannot be asked')
    identity = {
        'model': models.to_dict(config),
        'parameters': digest(params),
        'tokenizer': tokenizer.digest,
    }
    config = dataclasses.replace(config, dtype=dtype)
    placed = models.quantise(config, params, bits) if bits else params
    placed = jax.device_put(placed) if bits else _placed(config, placed)
    return Model(config, placed, tokenizer), identity


def digest(params: models.Params) -> str:
    """A hash of all parameters and their names."""
    state = hashlib.blake2b(digest_size=16)
    for path, leaf in sorted(jax.tree_util.tree_flatten_with_path(params)[0], key=str):
        array = np.ascontiguousarray(leaf)
        state.update(f'{jax.tree_util.keystr(path)} {array.dtype} {array.shape}'.encode())
        state.update(array.data)
    return state.hexdigest()


def _evaluate(
    plan: Plan,
    model: Model,
    task: Task,
    identity: dict[str, Any],
    execution: Execution | None,
    into: Path,
) -> dict[str, Any]:
    """The summary of a task, after the items that lack were answered."""
    shots = plan.num_shots(task)
    items = first(task.items(shots), plan.limit)
    asked = {
        'task': task.name,
        'shots': shots,
        'prompts': tasks.digest(task, shots, plan.style),
        **identity,
        **plan.deciding(),
    }
    samples = Samples(into / 'samples' / f'{task.name}.jsonl', _plain(asked))
    missing = [item for item in items if item.id not in samples.records]
    began = time.perf_counter()
    settings = plan.settings(**({'execution': execution} if execution else {}))
    answered = samples.add(measure(model, task, missing, settings))
    for _ in _told(answered, task, len(items) - len(missing), len(items)):
        pass
    seconds = time.perf_counter() - began
    summary = summarise(task, [samples.records[item.id] for item in items], plan.ks)
    rate = len(missing) / seconds if missing else None
    return summary | {
        'shots': shots,
        'style': plan.style,
        'prompts': asked['prompts'],
        'items': tasks.data_digest(items),
        'samples': str(Path('samples', f'{task.name}.jsonl')),
        'seconds': seconds,
        'items_per_second': rate,
    }


def _told(records: Iterator[Any], task: Task, done: int, total: int) -> Iterator[Any]:
    """The records, with a line now and then on how far they are."""
    began = last = time.perf_counter()
    for count, record in enumerate(records, 1):
        now = time.perf_counter()
        if now - last > _SECONDS_BETWEEN_LINES:
            rate, last = count / (now - began), now
            left = (total - done - count) / rate
            log.info(
                '%s %d/%d items, %.3g/s, %.0f s left', task.name, done + count, total, rate, left
            )
        yield record


def _execution(plan: Plan, workdir: Path) -> Execution | None:
    """How programs are run, if any task does; refused at once where they cannot be contained."""
    if not any(task.writing and task.writing.runs_code for task in plan.chosen()):
        return None
    execution = Execution(
        workers=plan.sandbox.workers or os.cpu_count() or 1,
        cpu_seconds=plan.sandbox.cpu_seconds,
        memory_megabytes=plan.sandbox.memory_megabytes,
        unsafe=plan.sandbox.unsafe,
        cache=str(workdir / 'verdicts'),
    )
    execution.check()
    return execution


def _placed(config: models.Config, params: models.Params) -> models.Params:
    """The parameters on the device, or cut over all that there are."""
    if len(jax.devices()) == 1:
        return jax.device_put(params)
    cut = partitioning.layout(_mesh(), models.axes(config), config.sizes)
    return jax.device_put(params, cut)


def _spread() -> contextlib.AbstractContextManager:
    """Within it the work is spread over all devices."""
    alone = len(jax.devices()) == 1
    return contextlib.nullcontext() if alone else partitioning.activations(_mesh())


def _mesh() -> jax.sharding.Mesh:
    return partitioning.make_mesh((1, len(jax.devices()), 1))


def _device() -> str:
    return f'{jax.device_count()} x {jax.devices()[0].device_kind}'


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
