"""Blocksparse attention against dense, on this machine: `python experiments/blocksparse/run.py`.

One layer of phi-3-small's attention (32 query heads, 8 key/value heads of 128 features; `--heads`
takes an eighth or so on a small machine, with the same pattern), in turns, each in a process of its
own. Writes results.json: operations, temporary bytes and seconds of both, and what caches take.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
FEATURES = 128


def measure(kind: str, length: int, heads: int, gradient: bool) -> dict:
    """Median seconds and temporary bytes of one program."""
    import jax
    import jax.numpy as jnp

    from phijax.models import blocked, tiles
    from phijax.models.configs import Reach, Sparsity

    reach = Reach(sparsity=Sparsity()) if kind == 'sparse' else Reach()
    dtype = jnp.bfloat16 if jax.default_backend() == 'gpu' else jnp.float32
    keys = jax.random.split(jax.random.key(0), 3)
    query, key, value = (
        jax.random.normal(k, (1, length, n, FEATURES), dtype)
        for k, n in zip(keys, (heads, heads // 4, heads // 4), strict=True)
    )

    def attend(query, key, value):
        return blocked.attend(query, key, value, blocked.Mask(reach=reach))

    def loss(query, key, value):
        return attend(query, key, value).astype(jnp.float32).sum()

    program = jax.jit(jax.grad(loss, argnums=(0, 1, 2)) if gradient else attend)
    began = time.perf_counter()
    compiled = program.lower(query, key, value).compile()
    compile_seconds = time.perf_counter() - began
    jax.block_until_ready(compiled(query, key, value))
    seconds = []
    for _ in range(3 if length <= 8192 else 1):
        began = time.perf_counter()
        jax.block_until_ready(compiled(query, key, value))
        seconds.append(time.perf_counter() - began)
    products = 7 if gradient else 2
    return {
        'seconds': statistics.median(seconds),
        'compile_seconds': compile_seconds,
        'temporary_bytes': compiled.memory_analysis().temp_size_in_bytes,
        'operations': products * 2 * heads * FEATURES * tiles.computed_pairs(length, reach),
        'operations_needed': products * 2 * heads * FEATURES * tiles.visible_pairs(length, reach),
        'device': jax.devices()[0].device_kind,
    }


def caches() -> list[dict]:
    """Bytes of bfloat16 caches of one row, beside those of a model that is all dense."""
    from phijax import models
    from phijax.models import arithmetic

    rows = []
    for length in (8192, 32768, 131072):
        found = {
            name: arithmetic.cache_bytes(
                models.config('phi3_small', dtype='bfloat16', **fields), 1, length
            )
            for name, fields in {
                'published': {},
                'homogeneous': {'homogeneous': True},
                'dense': {'dense_every': 1},
            }.items()
        }
        rows.append({'length': length} | found)
    return rows


def main() -> None:
    """Measures all, or one program in this process."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--heads', type=int, default=32)
    parser.add_argument('--lengths', type=int, nargs='+', default=[8192, 32768])
    parser.add_argument('--one', nargs=4, metavar=('KIND', 'LENGTH', 'HEADS', 'GRADIENT'))
    flags = parser.parse_args()
    if flags.one:
        kind, length, heads, gradient = flags.one
        print(json.dumps(measure(kind, int(length), int(heads), gradient == '1')))
        return
    rows = []
    for length in flags.lengths:
        for gradient in ('0', '1'):
            pair = {}
            for kind in ('sparse', 'dense'):
                command = [sys.executable, __file__, '--one', kind, str(length), str(flags.heads)]
                made = subprocess.run(
                    [*command, gradient], capture_output=True, text=True, check=False
                )
                pair[kind] = (
                    json.loads(made.stdout.strip().splitlines()[-1])
                    if made.returncode == 0
                    else {'failed': (made.stderr.strip().splitlines() or ['killed'])[-1]}
                )
            rows.append({'length': length, 'gradient': gradient == '1'} | pair)
            print(json.dumps(rows[-1]), flush=True)
    result = {'heads': flags.heads, 'attention': rows, 'caches': caches()}
    (HERE / 'results.json').write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    main()
