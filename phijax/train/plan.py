"""What a run would need on hardware that is absent: its update, compiled ahead of time."""

import collections
import contextlib
import dataclasses
import importlib.util
import math
import os
import re
import time

import jax
from jax.experimental import topologies

from phijax import partitioning
from phijax.errors import InputError
from phijax.models import arithmetic
from phijax.train import loop, metrics, step
from phijax.train.recipe import Recipe

GIB = 1 << 30

# GiB that XLA gives to one device: 8, 16, 16, 16, 95, 32 and 96 GB less what it keeps. A device of
# v2, v3 and tpu7x is one of a chip's two cores; of v4 too, though a running one may join them.
# Source: what the compiler of libtpu 0.0.42 answers to a program that needs more.
TPU_GIB = {
    'v2': 7.48,
    'v3': 15.48,
    'v4': 15.25,
    'v5e': 15.75,
    'v5p': 95.74,
    'v6e': 31.25,
    'tpu7x': 94.75,
}
FORMS = f'cpu:8, or one of {", ".join(TPU_GIB)} with its topology, such as v5e:2x4 or v5p:2x2x2'
_COLLECTIVES = re.compile(
    r'\b(all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute)(?:-start)?\('
)
# Keeps libtpu from asking a cloud where it runs, from taking a TPU that is here, and from talking.
_LIBTPU = {
    'TPU_SKIP_MDS_QUERY': '1',
    'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
    'TPU_ACCELERATOR_TYPE': 'v5litepod-8',
    'TPU_WORKER_HOSTNAMES': 'localhost',
    'TPU_MIN_LOG_LEVEL': '3',
    'TPU_STDERR_LOG_LEVEL': '3',
}


@dataclasses.dataclass(frozen=True)
class Target:
    """Hardware by name: `cpu:8` is eight devices of a host, `v5e:2x4` a topology of TPU chips."""

    kind: str
    sizes: tuple[int, ...]

    def __str__(self) -> str:
        return f'{self.kind}:{"x".join(map(str, self.sizes))}'


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes on each device while an update runs, as the compiler lays them out.

    Attributes:
        arguments: the state and the batch.
        outputs: the state after the update and the metrics; `aliased` of them overwrite arguments.
        program: the code.
    """

    arguments: int
    outputs: int
    aliased: int
    temporaries: int
    program: int

    @property
    def total(self) -> int:
        """All of them, what is overwritten counted once."""
        return self.arguments + self.outputs - self.aliased + self.temporaries + self.program


@dataclasses.dataclass(frozen=True)
class Report:
    """What a plan found.

    Attributes:
        recipe: the run as it would be on this hardware.
        memory: None when the compiler gave up because the program does not fit; `refusal` is then
            what it said.
        collectives: exchanges between devices in the program, by kind; a loop's body counts once.
    """

    recipe: Recipe
    target: Target
    mesh: dict[str, int]
    device_kind: str
    device_bytes: int
    compile_seconds: float
    memory: Memory | None
    collectives: dict[str, int]
    refusal: str = ''

    @property
    def fits(self) -> bool:
        """Whether a device has room for the update."""
        return self.memory is not None and self.memory.total <= self.device_bytes


def plan(recipe: Recipe, target: str) -> Report:
    """Compiles the recipe's real update, with its whole batch, for hardware that need not be here.

    Only shapes are made. For `cpu:N` this process must have N CPU devices (`prepare`).

    Raises:
        InputError: no such target, it cannot be compiled for here, or the recipe's mesh or batch
            does not divide over it.
    """
    wanted = parse(target)
    devices = _devices(wanted)
    mesh = partitioning.make_mesh(recipe.mesh.shape(len(devices)), devices)
    recipe = dataclasses.replace(recipe, model=loop.for_platform(recipe.model, mesh))
    began = time.perf_counter()
    memory, collectives, refusal = _compile(recipe, mesh)
    return Report(
        recipe=recipe,
        target=wanted,
        mesh=dict(mesh.shape),
        device_kind=devices[0].device_kind,
        device_bytes=_device_bytes(wanted),
        compile_seconds=time.perf_counter() - began,
        memory=memory,
        collectives=collectives,
        refusal=refusal,
    )


def prepare(target: str) -> None:
    """Gives this process the CPU devices that a target needs, and leaves accelerators alone.

    JAX must not have started; if it has, the process stays as it is.

    Raises:
        InputError: no such target.
    """
    wanted = parse(target)
    with contextlib.suppress(RuntimeError):  # JAX has started, and takes no more settings
        jax.config.update('jax_num_cpu_devices', wanted.sizes[0] if wanted.kind == 'cpu' else 1)
        jax.config.update('jax_platforms', 'cpu')


def parse(target: str) -> Target:
    """The hardware that a name such as `v5e:2x4` stands for.

    Raises:
        InputError: no such hardware, or one that cannot be compiled for while it is absent.
    """
    kind, _, sizes = target.partition(':')
    known = kind in ('cpu', *TPU_GIB)
    numbers = r'[1-9]\d*' if kind == 'cpu' else r'[1-9]\d*(x[1-9]\d*){1,2}'
    if known and re.fullmatch(numbers, sizes):
        return Target(kind, tuple(int(size) for size in sizes.split('x')))
    absent = '' if known else ' For a GPU, XLA compiles only where there is one.'
    raise InputError(f'--plan={target} is not a target: it can be {FORMS}.{absent}')


def describe(report: Report) -> str:
    """The report as lines for people."""
    recipe, devices = report.recipe, math.prod(report.mesh.values())
    rows = recipe.rows_per_step // recipe.num_microbatches(recipe.mesh.shape(devices))
    cut = ' x '.join(f'{axis} {size}' for axis, size in report.mesh.items())
    needed = loop.flops_per_step(recipe, arithmetic.flops)
    executed = loop.flops_per_step(recipe, arithmetic.executed_flops)
    lines = {
        'devices': f'{devices} {report.device_kind}: {cut}, layout {recipe.mesh.layout}',
        'parameters': f'{arithmetic.count_parameters(recipe.model):,}, computed in '
        f'{recipe.model.dtype}, remat {recipe.model.remat}',
        'tokens per step': f'{recipe.tokens_per_step:,}: {recipe.rows_per_step} rows of '
        f'{recipe.data.length}, {rows} rows at once, logits of {recipe.loss_chunk or "all"} '
        'positions at once',
        'FLOPs per step': f'{needed:.3g} needed, {executed:.3g} executed',
        'shortest time': _shortest(report, needed / devices),
        **_memory_lines(report),
        'collectives': ', '.join(f'{n} {kind}' for kind, n in report.collectives.items()) or '-',
        'compiled in': f'{report.compile_seconds:.0f} s',
    }
    return '\n'.join(
        [f'{recipe.name} on {report.target}'] + [f'  {k:<16} {v}' for k, v in lines.items()]
    )


def _memory_lines(report: Report) -> dict[str, str]:
    """Bytes of one device, or why there are none to tell."""
    available = f'{_size(report.device_bytes)} of a device'
    if report.memory is None:
        return {'memory': f'does not fit into the {available}: {report.refusal}'}
    memory = report.memory
    parts = {field.name: getattr(memory, field.name) for field in dataclasses.fields(memory)}
    spare = report.device_bytes - memory.total
    verdict = (
        f'fits, {_size(spare)} to spare' if report.fits else f'does not fit, {_size(-spare)} over'
    )
    return {
        'memory': ', '.join(f'{name} {_size(part)}' for name, part in parts.items()),
        'in all': f'{_size(memory.total)} of the {available}: {verdict}',
    }


def _size(count: int) -> str:
    return f'{count / GIB:.2f} GiB' if count >= GIB / 10 else f'{count / (1 << 20):.2f} MiB'


def _shortest(report: Report, flops_per_device: float) -> str:
    peak = metrics.peak_flops(report.device_kind, report.recipe.model.dtype)
    if peak is None:
        return f'not known for {report.device_kind}'
    seconds = flops_per_device / peak
    days = seconds * report.recipe.num_steps / 86_400
    return f'{seconds:.3g} s a step, {days:.3g} days in all, at {peak / 1e12:.0f} TFLOP/s a device'


def _compile(recipe: Recipe, mesh: jax.sharding.Mesh) -> tuple[Memory | None, dict[str, int], str]:
    lowered = step.make(recipe, mesh).update.lower(*step.abstract_update(recipe))
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if 'RESOURCE_EXHAUSTED' not in str(error):
            raise
        return None, {}, str(error).partition('RESOURCE_EXHAUSTED: ')[2].split('\n')[0]
    found = compiled.memory_analysis()
    memory = Memory(
        arguments=found.argument_size_in_bytes,
        outputs=found.output_size_in_bytes,
        aliased=found.alias_size_in_bytes,
        temporaries=found.temp_size_in_bytes,
        program=found.generated_code_size_in_bytes,
    )
    collectives = collections.Counter(_COLLECTIVES.findall(compiled.as_text()))
    return memory, dict(sorted(collectives.items())), ''


def _devices(target: Target) -> list[jax.Device]:
    return _host_devices(target.sizes[0]) if target.kind == 'cpu' else _tpu_devices(target)


def _host_devices(number: int) -> list[jax.Device]:
    devices = jax.devices('cpu')
    if len(devices) < number:
        raise InputError(
            f'--plan=cpu:{number}: JAX already runs here with {len(devices)} CPU device(s); '
            'plan in a new process'
        )
    return devices[:number]


def _tpu_devices(target: Target) -> list[jax.Device]:
    if importlib.util.find_spec('libtpu') is None:
        raise InputError(
            f"--plan={target} needs TPU's compiler, which runs without a TPU: "
            "pip install 'phijax[tpu]'"
        )
    for name, value in _LIBTPU.items():
        os.environ.setdefault(name, value)
    hosts = [min(size, most) for size, most in zip(target.sizes, (2, 2, 1), strict=False)]
    bounds = (*hosts, 1)[:3]
    try:
        topology = topologies.get_topology_desc(str(target), 'tpu', chips_per_host_bounds=bounds)
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).partition(': ')[2].split('\n')[0]
        raise InputError(f'--plan={target} is no topology of TPU chips: {reason}') from error
    return list(topology.devices)


def _device_bytes(target: Target) -> int:
    """Memory of one device; CPU devices share what the machine has."""
    if target.kind == 'cpu':
        pages = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
        return pages // target.sizes[0]
    return int(TPU_GIB[target.kind] * GIB)
