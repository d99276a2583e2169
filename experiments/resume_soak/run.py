"""Kills a run with SIGKILL at random steps, and compares its end with a run that nothing disturbed.

    python experiments/resume_soak/run.py --kills=100

Each session is a process of its own, killed when its records reach a random step. What must be
equal to the bit: the arrays of the last checkpoint, and the numbers of metrics.jsonl but timings.
"""

import argparse
import hashlib
import json
import pathlib
import random
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
SMALL = {
    'model.embed_dim': 32, 'model.num_layers': 2, 'model.num_heads': 2, 'model.num_kv_heads': 2,
    'model.head_dim': 16, 'model.rotary_dim': 8, 'model.mlp_dim': 64, 'model.residual_dropout': 0.1,
    'data.length': 64, 'checkpoints.every': 5, 'evaluate_every': 50, 'evaluate_rows': 16,
    'prompts': '()',
}  # fmt: skip


def session(workdir: pathlib.Path, num_steps: int, kill_after: int | None) -> int:
    """One process of the run; killed once it has recorded `kill_after` steps of its own."""
    overrides = SMALL | {'num_steps': num_steps}
    command = [sys.executable, '-m', 'phijax.train', '--config=configs/quickstart.py:smoke']
    command += [f'--workdir={workdir}', *(f'--config.{k}={v}' for k, v in overrides.items())]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    path = workdir / 'metrics.jsonl'
    before = None
    while kill_after is not None and process.poll() is None:
        time.sleep(0.002)
        lines = path.read_bytes().count(b'\n') if path.exists() else 0
        before = min(lines, before) if before is not None else lines
        if lines >= before + kill_after:
            process.kill()
    return process.wait()


def numbers(workdir: pathlib.Path) -> list[dict]:
    """What was measured, without what belongs to the moment."""
    lines = (workdir / 'metrics.jsonl').read_text().splitlines()
    kept = [record for record in map(json.loads, lines) if record['kind'] in ('train', 'evaluate')]
    return [{k: v for k, v in record.items() if k != 'timing'} for record in kept]


def bits(workdir: pathlib.Path) -> str:
    """A digest of every array of the newest checkpoint."""
    import numpy as np

    from phijax import checkpoint
    from phijax.train import recipe, step

    run = recipe.from_dict(json.loads((workdir / 'config.json').read_text()))
    with checkpoint.Checkpointer(workdir / 'checkpoints') as checkpointer:
        state, _ = checkpointer.restore(step.abstract_state(run))
    import jax

    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(state):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def main() -> None:
    """Runs both, compares, writes results.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--num_steps', type=int, default=600)
    parser.add_argument('--root', type=pathlib.Path, default=pathlib.Path('runs/resume_soak'))
    chosen = parser.parse_args()
    shutil.rmtree(chosen.root, ignore_errors=True)
    whole, killed = chosen.root / 'whole', chosen.root / 'killed'
    if code := session(whole, chosen.num_steps, None):
        sys.exit(f'the undisturbed run ended with {code}')
    draw = random.Random(0)
    kills = 0
    while kills < chosen.kills:
        code = session(killed, chosen.num_steps, draw.randint(1, 12))
        if code == 0:
            break
        if code != -9:
            sys.exit(f'a session ended with {code} by itself')
        kills += 1
    if code := session(killed, chosen.num_steps, None):
        sys.exit(f'the last session ended with {code}')
    result = {
        'kills': kills,
        'steps': chosen.num_steps,
        'state_equal': bits(whole) == bits(killed),
        'records_equal': numbers(whole) == numbers(killed),
    }
    (HERE / 'results.json').write_text(json.dumps(result, indent=1) + '\n')
    print(json.dumps(result))
    sys.exit(not (result['state_equal'] and result['records_equal']))


if __name__ == '__main__':
    main()
