"""The process around a run: checks first, then the platform, then the loop. Heavy imports wait."""

import ctypes
import os
import pathlib
import socket

from phijax.errors import InputError
from phijax.train import door
from phijax.train.metrics import trackers
from phijax.train.recipe import Recipe

# glibc's mallopt: one arena, never mmap, never give memory back, grow by 64 MiB.
_MALLOPT = ((-8, 1), (-4, 0), (-1, -1), (-2, 64 << 20))


def train(
    recipe: Recipe,
    workdir: pathlib.Path,
    *,
    profile: bool = False,
    wandb: str = '',
    coordinator: str = '',
    num_processes: int | None = None,
    process_id: int | None = None,
) -> int:
    """Trains in this process; the exit code of `loop.train`.

    Args:
        profile, wandb: as in `loop.train`.
        coordinator: HOST:PORT of the first of several processes; `auto` where a cluster (Cloud
            TPU, Slurm, Open MPI) says so itself; empty for one process.

    Raises:
        InputError: something that the run needs is missing or does not fit.
    """
    door.check(recipe, workdir)
    if wandb:
        trackers.check_wandb()
    keep_memory()
    connect(coordinator, num_processes, process_id)
    import jax

    _check_rows(recipe, recipe.mesh.shape(len(jax.devices())), jax.process_count())
    _cache_compilations()
    from phijax.train import loop

    return loop.train(recipe, workdir, profile=profile, wandb=wandb)


def plan(recipe: Recipe, target: str) -> int:
    """Prints what the run would need on hardware that need not be here; 0 if it fits, else 1.

    Raises:
        InputError: no such target, or one that cannot be compiled for here.
    """
    from phijax.train import plan as planning

    planning.prepare(target)
    report = planning.plan(recipe, target)
    print(planning.describe(report))
    return int(not report.fits)


def keep_memory() -> None:
    """Keeps freed memory in the process, which must not have made a JAX array yet.

    XLA's CPU backend takes and frees its scratch memory at every step, and glibc gives it back to
    the system each time: a fifth of a small model's step went to page faults. Other C libraries
    have no such setting and need none.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, 'mallopt') and os.environ.get('JAX_PLATFORMS', 'cpu').startswith('cpu'):
        for option, value in _MALLOPT:
            libc.mallopt(option, value)


def connect(coordinator: str, num_processes: int | None, process_id: int | None) -> None:
    """Joins the other processes of a run, if there are any.

    Raises:
        InputError: one of the three is missing or cannot be, or the port is taken.
    """
    if not coordinator:
        if (num_processes, process_id) != (None, None):
            raise InputError('--num_processes and --process_id also need --coordinator=HOST:PORT')
        return
    if coordinator != 'auto':
        _check_processes(coordinator, num_processes, process_id)
    import jax

    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    if coordinator == 'auto':
        jax.distributed.initialize(heartbeat_timeout_seconds=30)
        return
    jax.distributed.initialize(coordinator, num_processes, process_id, heartbeat_timeout_seconds=30)


def _check_processes(coordinator: str, num_processes: int | None, process_id: int | None) -> None:
    if num_processes is None or process_id is None:
        raise InputError('--coordinator=HOST:PORT also needs --num_processes and --process_id')
    host, _, port = coordinator.rpartition(':')
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise InputError(f'--coordinator must be HOST:PORT or auto, got {coordinator!r}')
    if not 0 <= process_id < num_processes:
        raise InputError(
            f'--process_id must be from 0 to {num_processes - 1} (--num_processes less 1), '
            f'got {process_id}'
        )
    if process_id == 0:
        _check_free(int(port))


def _check_free(port: int) -> None:
    """Returns when the first process can listen here: jax's own server would end in a crash."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        socket.create_server(('', port), family=family, dualstack_ipv6=both).close()
    except OSError as error:
        raise InputError(
            f'--coordinator: this process cannot listen on port {port} ({error.strerror}); stop '
            'what does, or give another port to all processes'
        ) from error


def _check_rows(recipe: Recipe, mesh_shape: tuple[int, int, int], process_count: int) -> None:
    recipe.num_microbatches(mesh_shape)
    parts = mesh_shape[0] * mesh_shape[1]
    if parts % process_count:
        raise InputError(
            f'data x fsdp of the mesh ({parts}) must be a multiple of the {process_count} '
            'processes, so that each has rows of its own'
        )


def _cache_compilations() -> None:
    """Compiles each program once per machine, unless the environment says where or not at all."""
    import jax

    if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
        home = pathlib.Path(os.environ.get('XDG_CACHE_HOME', pathlib.Path.home() / '.cache'))
        jax.config.update('jax_compilation_cache_dir', str(home / 'phijax' / 'xla'))
