"""What kernels of 8 and 4 bits cost a real model in nats per token, and what they save.

    python experiments/quantisation/run.py

The model is SmolLM2-135M-Instruct of `python -m phijax.assets fetch smollm2-135m`, or --checkpoint;
the text is docstrings of the standard library. Writes results.json beside this file.
"""

import argparse
import ast
import json
import pathlib
import platform
import statistics
import sysconfig
import time

import jax
import jax.numpy as jnp
import numpy as np

from phijax import assets, generate, interop, models

HERE = pathlib.Path(__file__).parent
MODEL = 'SmolLM2-135M-Instruct.Q4_1.gguf'
ROW = 512
PROMPT = 'The standard library of Python'
NEW = 64
ROUNDS = 3


def docstrings() -> str:
    """Long docstrings of the standard library, in the order of their files."""
    root = pathlib.Path(sysconfig.get_path('stdlib'))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    found = []
    for path in sorted(root.glob('*.py')):
        nodes = ast.walk(ast.parse(path.read_text()))
        texts = [ast.get_docstring(node) for node in nodes if isinstance(node, kinds)]
        found += [text for text in texts if text and len(text) > 400]
    return '\n\n'.join(found)


def rows_of(tokenizer: object, count: int) -> np.ndarray:
    """So many rows of 512 tokens, spread over the docstrings, each after an end of text."""
    ids = tokenizer.encode(docstrings())
    starts = np.linspace(0, len(ids) - ROW, count).astype(int)
    return np.array([[tokenizer.end_of_text, *ids[i : i + ROW - 1]] for i in starts], np.int32)


def nats(config: models.Config, params: models.Params, rows: np.ndarray) -> np.ndarray:
    """Mean loss of each row, in nats per token."""

    @jax.jit
    def loss(params: models.Params, row: jax.Array) -> jax.Array:
        logits, _ = models.apply(config, params, row[None])
        scores = jax.nn.log_softmax(logits[0, :-1])
        return -jnp.take_along_axis(scores, row[1:, None], axis=1).mean()

    return np.array([float(loss(params, row)) for row in rows])


def seconds(config: models.Config, params: models.Params, prompt: list[int], count: int) -> float:
    """Time of one greedy completion of `count` tokens, compiled before."""
    start = time.perf_counter()
    generate.generate(config, params, [prompt], max_new_tokens=count)
    return time.perf_counter() - start


def main() -> None:
    """Measures the three and writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--checkpoint', default=None)
    parser.add_argument('--rows', type=int, default=20)
    asked = parser.parse_args()
    checkpoint = asked.checkpoint or assets.fetch('smollm2-135m') / MODEL
    config, params, tokenizer = interop.open(checkpoint)
    variants = {
        'float32': jax.device_put(params),
        'int8': models.quantise(config, params, 8),
        'int4': models.quantise(config, params, 4),
    }
    rows = rows_of(tokenizer, asked.rows)
    losses = {}
    for name, variant in variants.items():
        losses[name] = nats(config, variant, rows)
        print(name, losses[name].mean(), 'nats per token', flush=True)
    prompt = tokenizer.encode(PROMPT)
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(ROUNDS + 1):
        for name, variant in variants.items():
            # Two lengths, so that the prompt and the start of the loop cancel out.
            taken = seconds(config, variant, prompt, NEW) - seconds(config, variant, prompt, 1)
            if number:
                times[name].append((NEW - 1) / taken)
    results = {
        'model': pathlib.Path(checkpoint).name,
        'tokens': rows.size - len(rows),
        'machine': f'{platform.processor() or platform.machine()}, {jax.devices()}',
        'jax': jax.__version__,
        'variants': {},
    }
    for name, variant in variants.items():
        cost = losses[name] - losses['float32']
        results['variants'][name] = {
            'megabytes': round(models.num_bytes(variant) / 1e6, 1),
            'nats_per_token': round(float(losses[name].mean()), 4),
            'cost_in_nats': round(float(cost.mean()), 4),
            'standard_error_of_cost': round(float(cost.std(ddof=1) / len(rows) ** 0.5), 4),
            'tokens_per_second': [round(x, 1) for x in sorted(times[name])],
            'median_tokens_per_second': round(statistics.median(times[name]), 1),
        }
        print(name, results['variants'][name])
    (HERE / 'results.json').write_text(json.dumps(results, indent=2) + '\n')


if __name__ == '__main__':
    main()
