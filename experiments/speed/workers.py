"""What is timed: each worker builds one variant, then runs it for as many steps as it is told.

A worker is a process of its own, so that allocators and thread pools of the two sides never meet.
It reads a number of steps per line on the standard input and answers with the seconds they took.
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

SIZES = {
    'tiny': {'layers': 6, 'width': 256, 'heads': 8, 'vocabulary': 8192, 'length': 256, 'rows': 8},
    'small': {
        'layers': 12, 'width': 512, 'heads': 8, 'vocabulary': 51200, 'length': 512, 'rows': 2,
    },
}  # fmt: skip


def tokens(size: dict) -> np.ndarray:
    """The same random rows for every variant, one token longer than the inputs."""
    shape = (size['rows'], size['length'] + 1)
    return np.random.default_rng(0).integers(0, size['vocabulary'], shape, dtype=np.int32)


def phijax(work: str, size: dict, dtype: str) -> Callable[[int], None]:
    """The project's own update, forward pass or greedy decoding."""
    from phijax.train import start

    start.keep_memory()
    import jax

    from phijax import generate, models, partitioning
    from phijax.train import step

    recipe = _recipe(size, dtype)
    rows = tokens(size)
    if work == 'train':
        program = step.make(recipe, partitioning.make_mesh((1, 1, 1)))
        batch = {name: np.ones_like(rows) for name in ('segments', 'positions')}
        batch |= {'tokens': rows, 'stop': np.zeros(len(rows), np.int32)}
        state = program.init()

        def train(steps: int) -> None:
            nonlocal state
            for _ in range(steps):
                state, values = program.update(state, batch)
            float(values['loss'])

        return train
    params = models.init(recipe.model, jax.random.key(0))
    if work == 'forward':
        forward = jax.jit(lambda params, rows: models.apply(recipe.model, params, rows)[0])
        inputs = jax.numpy.asarray(rows[:, :-1])

        def run(steps: int) -> None:
            for _ in range(steps):
                forward(params, inputs).block_until_ready()

        return run
    prompts = [row[:64].tolist() for row in rows[: int(work.removeprefix('decode'))]]

    def decode(steps: int) -> None:
        for _ in range(steps):
            generate.generate(recipe.model, params, prompts, max_new_tokens=64)

    return decode


def transformers(work: str, size: dict, dtype: str) -> Callable[[int], None]:
    """The PhiForCausalLM of transformers as a user runs it: eager, fused AdamW, autocast."""
    import torch
    from transformers import PhiConfig, PhiForCausalLM

    torch.manual_seed(0)
    model = PhiForCausalLM(
        PhiConfig(
            vocab_size=size['vocabulary'],
            hidden_size=size['width'],
            intermediate_size=4 * size['width'],
            num_hidden_layers=size['layers'],
            num_attention_heads=size['heads'],
            max_position_embeddings=2048,
        )
    )
    rows = torch.from_numpy(tokens(size)).long()
    cast = torch.autocast('cpu', torch.bfloat16, enabled=dtype == 'bfloat16')
    if work == 'train':
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.1, fused=True)

        def train(steps: int) -> None:
            for _ in range(steps):
                with cast:
                    logits = model(rows[:, :-1]).logits
                loss = torch.nn.functional.cross_entropy(
                    logits.float().flatten(0, 1), rows[:, 1:].flatten()
                )
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()

        return train
    model.eval()
    if work == 'forward':

        def run(steps: int) -> None:
            with torch.no_grad(), cast:
                for _ in range(steps):
                    model(rows[:, :-1])

        return run
    prompts = rows[: int(work.removeprefix('decode')), :64]
    options = {'max_new_tokens': 64, 'min_new_tokens': 64, 'do_sample': False}

    def decode(steps: int) -> None:
        for _ in range(steps):
            mask = torch.ones_like(prompts)
            model.generate(prompts, attention_mask=mask, pad_token_id=0, **options)

    return decode


def _recipe(size: dict, dtype: str):
    from phijax import models
    from phijax.train import recipe

    heads, width, length = size['heads'], size['width'], size['length']
    model = models.config(
        'phi1',
        vocab_size=size['vocabulary'],
        embed_dim=width,
        num_layers=size['layers'],
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=width // heads,
        mlp_dim=4 * width,
        rotary_dim=width // heads // 2,
        dtype=dtype,
    )
    return recipe.Recipe(
        name='speed', num_steps=10**6, batch_size=size['rows'], seed=0, init_from='', loss_chunk=0,
        evaluate_every=0, evaluate_rows=0, log_every=1, max_skips=8, prompts=(), model=model,
        data=recipe.Data(
            directory='', made_by='', weights={}, length=length, attention='packed', prepare={}
        ),
        optimizer=recipe.Optimizer(
            schedule='constant', peak_rate=1e-3, final_rate=0.0, warmup_steps=0, decay_steps=0,
            b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.1, clip_norm=1.0,
        ),
        mesh=recipe.Mesh(data=1, fsdp=1, tensor=1, layout='zero3', rows_per_device=size['rows']),
        checkpoints=recipe.Checkpoints(every=1, keep=1, keep_every=0, select='last'),
    )  # fmt: skip


def main() -> None:
    """Builds the variant of the command line, warms it up, then serves lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument('library', choices=('phijax', 'transformers'))
    parser.add_argument('work')
    parser.add_argument('size', choices=tuple(SIZES))
    parser.add_argument('dtype')
    chosen = parser.parse_args()
    build = {'phijax': phijax, 'transformers': transformers}[chosen.library]
    run = build(chosen.work, SIZES[chosen.size], chosen.dtype)
    run(2)
    print('ready', flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        run(int(line))
        print(time.perf_counter() - began, flush=True)


if __name__ == '__main__':
    main()
