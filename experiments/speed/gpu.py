"""Speed on one GPU: `python experiments/speed/gpu.py [ROW ...]`, each row in a process of its own.

Rows: `train:MODEL:REMAT:ROWS:UNROLL:CHUNK` is a whole update in bfloat16 at length 2048, with its
share of the chip's peak (MFU; causal attention counted half); `decode:MODEL:ROWS` greedy decoding
of 128 tokens after prompts of 128; `attention:KIND:LENGTH` one layer of phi-3-small's attention,
forward and with gradients; `walk:UNROLL` an update of a 12-layer float32 model;
`likelihood:MODEL:SHARED` 512 items of four answers, after SHARED tokens that all have.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics
import subprocess
import sys
import time

ROWS = (
    'train:phi1:none:8:1:512', 'train:phi1:none:8:4:512', 'train:phi1:none:8:24:2048',
    'train:phi1:none:12:24:2048', 'train:phi2:full:8:1:512', 'train:phi2:full:8:4:512',
    'train:phi2:none:4:32:2048', 'train:phi2:dots:6:32:2048',
    'decode:phi2:1', 'decode:phi2:8', 'decode:phi3_mini:1', 'decode:phi3_mini:8',
    'attention:sparse:8192', 'attention:dense:8192', 'attention:cudnn:8192',
    'attention:sparse:32768', 'attention:dense:32768', 'attention:cudnn:32768',
    'walk:1', 'walk:12', 'likelihood:phi2:0', 'likelihood:phi2:512',
)  # fmt: skip
LENGTH = 2048
PROMPT, NEW = 128, 128
ITEMS = 512


def train(model: str, remat: str, rows: str, unroll: str = '1', chunk: str = '512') -> dict:
    """Seconds of an update, and the share of the chip's peak."""
    import jax

    from phijax import models
    from phijax.models import arithmetic
    from phijax.train import metrics

    config = models.config(
        model, dtype='bfloat16', remat=remat, unroll=int(unroll), residual_dropout=0.0
    )
    config = dataclasses.replace(config, attention='cudnn')
    seconds, memory = _update(config, int(rows), LENGTH, int(chunk))
    flops = arithmetic.flops(config, int(rows), LENGTH)
    peak = metrics.peak_flops(jax.devices()[0].device_kind, 'bfloat16')
    return {
        'seconds': seconds,
        'tokens_per_second': int(rows) * LENGTH / seconds,
        'mfu': flops / seconds / peak,
        'gigabytes': memory,
    }


def walk(unroll: str) -> dict:
    """Seconds of an update of a small float32 model."""
    from phijax import models

    config = models.config(
        'phi1', vocab_size=51200, embed_dim=1024, num_layers=12, num_heads=16, num_kv_heads=16,
        mlp_dim=4096, unroll=int(unroll),
    )  # fmt: skip
    seconds, memory = _update(config, 8, 1024, chunk=0)
    return {'seconds': seconds, 'gigabytes': memory}


def decode(model: str, rows: str) -> dict:
    """Tokens per second of greedy decoding, prefill included, and of the loop alone."""
    import jax
    import numpy as np

    from phijax import generate, models

    config = models.config(model, dtype='bfloat16')
    make = jax.jit(
        lambda key: jax.tree.map(lambda x: x.astype('bfloat16'), models.init(config, key))
    )
    params = make(jax.random.key(0))
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, (int(rows), PROMPT))
    prompts = tokens.tolist()
    seconds = _seconds(
        lambda: generate.generate(config, params, prompts, max_new_tokens=NEW), rounds=5
    )
    short = _seconds(lambda: generate.generate(config, params, prompts, max_new_tokens=1), rounds=5)
    num_bytes = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(params))
    step = (seconds - short) / (NEW - 1)
    return {
        'seconds': seconds,
        'tokens_per_second': int(rows) * NEW / seconds,
        'tokens_per_second_of_the_loop': int(rows) / step,
        'gigabytes_per_second_of_weights': num_bytes / step / 1e9,
    }


def attention(kind: str, length: str) -> dict:
    """Milliseconds of one layer's attention at phi-3-small's sizes."""
    import jax
    import jax.numpy as jnp

    from phijax.models import blocked
    from phijax.models.configs import Reach, Sparsity

    keys = jax.random.split(jax.random.key(0), 4)
    query, key, value, along = (
        jax.random.normal(k, (1, int(length), n, 128), jnp.bfloat16)
        for k, n in zip(keys, (32, 8, 8, 32), strict=True)
    )
    if kind == 'cudnn':
        attend = lambda q, k, v: jax.nn.dot_product_attention(  # noqa: E731
            q, k, v, is_causal=True, implementation='cudnn'
        )
    else:
        reach = Reach(sparsity=Sparsity() if kind == 'sparse' else None)
        attend = lambda q, k, v: blocked.attend(q, k, v, blocked.Mask(reach=reach))  # noqa: E731

    def loss(query, key, value):
        return (attend(query, key, value).astype(jnp.float32) * along).sum()

    forward = jax.jit(attend).lower(query, key, value).compile()
    gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(query, key, value).compile()
    result = {}
    for name, program in (('forward', forward), ('gradient', gradient)):
        seconds = _seconds(lambda: jax.block_until_ready(program(query, key, value)), rounds=10)  # noqa: B023
        result[f'{name}_milliseconds'] = 1e3 * seconds
        result[f'{name}_gigabytes'] = program.memory_analysis().temp_size_in_bytes / 1e9
    return result


def _update(config, rows: int, length: int, chunk: int) -> tuple[float, float]:
    import jax
    import numpy as np

    from phijax import partitioning
    from phijax.train import recipe, step

    run = recipe.Recipe(
        name='speed', num_steps=10**6, batch_size=rows, seed=0, init_from='', loss_chunk=chunk,
        evaluate_every=0, evaluate_rows=0, log_every=1, max_skips=8, prompts=(), model=config,
        data=recipe.Data(
            directory='', made_by='', weights={}, length=length, attention='packed', prepare={}
        ),
        optimizer=recipe.Optimizer(
            schedule='constant', peak_rate=1e-4, final_rate=0.0, warmup_steps=0, decay_steps=0,
            b1=0.9, b2=0.95, eps=1e-8, weight_decay=0.1, clip_norm=1.0,
        ),
        mesh=recipe.Mesh(data=1, fsdp=1, tensor=1, layout='zero3', rows_per_device=rows),
        checkpoints=recipe.Checkpoints(every=1, keep=1, keep_every=0, select='last'),
    )  # fmt: skip
    program = step.make(run, partitioning.make_mesh((1, 1, 1)))
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, (rows, length + 1), np.int32)
    batch = {name: np.ones_like(tokens) for name in ('segments', 'positions')}
    batch |= {'tokens': tokens, 'stop': np.zeros(rows, np.int32)}
    batch = jax.device_put(batch)
    state = program.init()

    def once() -> None:
        nonlocal state
        for _ in range(5):
            state, values = program.update(state, batch)
        float(values['loss'])

    seconds = _seconds(once, rounds=4) / 5
    return seconds, jax.devices()[0].memory_stats()['peak_bytes_in_use'] / 1e9


def likelihood(model: str, shared: str) -> dict:
    """Items of four answers a second, after so many tokens that all share, and with compilation."""
    import jax
    import numpy as np

    from phijax import models
    from phijax.evaluate.likelihood import Request, score

    config = models.config(model, dtype='bfloat16')
    make = jax.jit(
        lambda key: jax.tree.map(lambda x: x.astype('bfloat16'), models.init(config, key))
    )
    params = make(jax.random.key(0))
    draw = np.random.default_rng(0)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(draw.integers(1, config.vocab_size, count).tolist())

    before, requests = ids(int(shared)), []
    for _ in range(ITEMS):
        context = (*before, *ids(int(draw.integers(20, 60))))
        requests += [Request(context, ids(int(draw.integers(2, 20)))) for _ in range(4)]
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        score(config, params, requests)
        seconds.append(time.perf_counter() - began)
    tokens = sum(len(context) + len(continuation) for context, continuation in requests)
    return {
        'items_per_second': ITEMS / seconds[1],
        'tokens_per_second_without_sharing': tokens / seconds[1],
        'items_per_second_with_compilation': ITEMS / seconds[0],
    }


def _seconds(run, rounds: int) -> float:
    run()
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def main() -> None:
    """Measures one row in this process, or each row in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument('rows', nargs='*', default=ROWS)
    parser.add_argument('--target', type=pathlib.Path, default=pathlib.Path('gpu.jsonl'))
    parser.add_argument('--own', action='store_true', help='measure in this process')
    flags = parser.parse_args()
    if flags.own:
        work, *rest = flags.rows[0].split(':')
        print(json.dumps({'row': flags.rows[0]} | globals()[work](*rest)))
        return
    for row in flags.rows:
        began = time.perf_counter()
        made = subprocess.run(
            [sys.executable, __file__, '--own', row], capture_output=True, text=True, check=False
        )
        lines = made.stdout.strip().splitlines()
        failed = json.dumps({'row': row, 'failed': made.stderr.strip().splitlines()[-3:]})
        line = lines[-1] if made.returncode == 0 and lines else failed
        print(line, f'({time.perf_counter() - began:.0f} s)', flush=True)
        with flags.target.open('a') as file:
            file.write(line + '\n')


if __name__ == '__main__':
    main()
