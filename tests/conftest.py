"""Environment and fixtures of the whole suite: eight CPU devices, checked shapes, pinned assets."""

import contextlib
import importlib.metadata
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
DEVICES = '--xla_force_host_platform_device_count={}'
# Tests compile far more than they compute: code that is made in half the time will do.
QUICKLY = ['--xla_backend_optimization_level=0', '--xla_llvm_disable_expensive_passes=true']
# jaxlib 0.11 knows this one no more, and does not start with what it does not know.
if importlib.metadata.version('jaxlib') < '0.11':
    QUICKLY.append('--xla_cpu_use_fusion_emitters=false')

# Everything below must be in place before jax is imported; a caller's own choice is kept.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ['XLA_FLAGS'] = ' '.join([DEVICES.format(8), *QUICKLY, os.environ.get('XLA_FLAGS', '')])
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(ROOT / '.pytest_cache' / 'compiled'))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.2')

import hypothesis
import jaxtyping

from phijax import assets

# The shapes on signatures are checked at every call, in tests only; an int serves as a float.
CHECKER = 'beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))'
jaxtyping.install_import_hook('phijax.models', CHECKER)

hypothesis.settings.register_profile('phijax', deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile('phijax')


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker for each core that this process may use, at most four: jax fills cores itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return min(4, cores or 1)


@pytest.fixture(scope='session')
def asset() -> Callable[[str], pathlib.Path]:
    """`asset(name)`: the directory of a pinned asset.

    Without it the test is skipped, with the reason; where `CI` is set it fails.
    """

    def directory(name: str) -> pathlib.Path:
        try:
            return assets.fetch(name)
        except assets.AssetError as error:
            required = os.environ.get('CI', 'false') not in ('', '0', 'false')
            (pytest.fail if required else pytest.skip)(str(error))

    return directory


@pytest.fixture(scope='session')
def tokens(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory of a few thousand tokens of two sources."""
    from tests.train import tiny

    return tiny.tokenise(tmp_path_factory.mktemp('data'))


@pytest.fixture
def start_command() -> Iterator[Callable[..., subprocess.Popen]]:
    """`start_command('phijax.train', '--config=…')`: a running `python -m` from the checkout.

    Keyword arguments: `devices` (CPU devices) and `environment` (added variables). Output is text,
    `stdout` and `stderr` apart, each a pipe. What still runs when the test ends is killed with all
    its children.
    """
    started: list[subprocess.Popen] = []

    def start(
        module: str, *arguments: object, devices: int = 1, environment: dict[str, str] | None = None
    ) -> subprocess.Popen:
        flags = f'{os.environ["XLA_FLAGS"]} {DEVICES.format(devices)}'  # the last one counts
        process = subprocess.Popen(
            [sys.executable, '-m', module, *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | {'XLA_FLAGS': flags} | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def run_command(start_command: Callable) -> Callable[..., subprocess.CompletedProcess]:
    """`run_command('phijax.train', '--config=…')`: as `start_command`, but waits for the end.

    Its keyword argument `timeout_seconds` limits the wait.
    """

    def run(
        module: str, *arguments: object, timeout_seconds: float = 200.0, **options: object
    ) -> subprocess.CompletedProcess:
        process = start_command(module, *arguments, **options)
        out, err = process.communicate(timeout=timeout_seconds)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run
