"""Several processes of one run save and restore together on a directory that they share."""

import json
import os
import pathlib
import socket
import subprocess
import sys

SCRIPT = """
import json, pathlib, sys
import jax
from phijax import checkpoint
from phijax.checkpoint import manifest

address, index, directory = sys.argv[1:]
jax.config.update('jax_cpu_collectives_implementation', 'gloo')
jax.distributed.initialize(address, 2, int(index))
import jax.numpy as jnp
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

def place(x, shape, spec):
    kinds = (jax.sharding.AxisType.Auto,) * 2
    mesh = jax.make_mesh(shape, ('data', 'fsdp'), axis_types=kinds)
    return jax.jit(lambda: x, out_shardings=NamedSharding(mesh, PartitionSpec(*spec)))()

def state(step, shape=(2, 4)):
    return {
        'params': {'x': place(jnp.arange(64.0).reshape(8, 8) + step, shape, ('data', 'fsdp'))},
        'opt_state': {'count': place(jnp.int32(step), shape, ())},
    }

def value(tree):
    whole = multihost_utils.process_allgather(tree, tiled=True)
    return float(whole['params']['x'].sum()), int(whole['opt_state']['count'])

told, seen = [], {}
with checkpoint.Checkpointer(directory, warn=told.append) as keeper:
    for step in (1, 2):
        keeper.save(step, state(step), {'step': step})
    keeper.wait()
    seen['steps'] = keeper.steps()
    seen['restored'] = value(keeper.restore(state(0, (4, 2)))[0])
    multihost_utils.sync_global_devices('restored')
    if jax.process_index() == 0:
        (pathlib.Path(directory) / '00000002' / manifest.FILE).unlink()
    restored, metadata = keeper.restore(state(0, (8, 1)))
    seen['back'] = [*value(restored), metadata['step']]
    seal = manifest.seal
    if jax.process_index() == 0:
        manifest.seal = lambda *_: pathlib.Path('/nowhere/at/all').touch()
    keeper.save(3, state(3), {'step': 3})
    try:
        keeper.wait()
    except checkpoint.SaveFailed as error:
        seen['failure'] = 'step 3' in str(error) or 'another process' in str(error)
    manifest.seal = seal
    keeper.save(4, state(4), {'step': 4})
    keeper.wait()
    seen['end'] = keeper.steps()
    seen['told'] = len(told)
print(json.dumps(seen))
"""


def test_two_processes_save_fail_and_restore_as_one(tmp_path: pathlib.Path) -> None:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{listener.getsockname()[1]}'
    flags = f'{os.environ["XLA_FLAGS"]} --xla_force_host_platform_device_count=4'
    environment = os.environ | {'XLA_FLAGS': flags}
    command = [sys.executable, '-c', SCRIPT, address]
    processes = [
        subprocess.Popen(
            [*command, str(index), str(tmp_path / 'checkpoints')],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    first, second = (json.loads(out.splitlines()[-1]) for out, _ in outputs)
    expected = {
        'steps': [1, 2],
        'restored': [63 * 32 + 2 * 64, 2],
        'back': [63 * 32 + 64, 1, 1],
        'failure': True,
        'end': [1, 4],
    }
    assert first == expected | {'told': 2}
    assert second == expected | {'told': 0}
