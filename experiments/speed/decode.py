"""Greedy decoding of a real model beside llama.cpp and transformers, in turns: one run.

`python experiments/speed/decode.py` needs the extra `hf` and xllamacpp==2026.10.11549.
SmolLM2-135M: 128 tokens after a prompt of 64, one row, prefill included; two threads everywhere.
llama.cpp reads the shipped Q4_1 file; phijax the same numbers as float32 and in 8 and 4 bits,
transformers as float32. Prints tokens per second, and writes decode.json beside this file.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from phijax import assets

HERE = pathlib.Path(__file__).parent
FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf'
VARIANTS = ('llama.cpp', 'transformers', 'float32', 'int8', 'int4')
PROMPT, NEW, THREADS = 64, 128, 2


def prompt(vocab_size: int) -> list[int]:
    """The same ids for every variant."""
    return [(17 * i * i + 3 * i) % vocab_size for i in range(1, PROMPT + 1)]


def llama_cpp(path: pathlib.Path) -> Callable[[], None]:
    """The server of llama.cpp in this process; it does not keep the prompt between turns."""
    import xllamacpp

    options = xllamacpp.CommonParams()
    options.model.path = str(path)
    options.n_ctx, options.n_parallel, options.verbosity = 512, 1, 0
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = THREADS
    server = xllamacpp.Server(options)
    request = {'prompt': prompt(49152), 'n_predict': NEW, 'temperature': 0, 'ignore_eos': True}
    return lambda: server.handle_completions(request | {'cache_prompt': False})


def transformers(directory: str) -> Callable[[], None]:
    """`generate` of transformers on the directory that phijax wrote."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(THREADS)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    ids = torch.tensor([prompt(49152)])
    options = {'max_new_tokens': NEW, 'min_new_tokens': NEW, 'do_sample': False}
    mask = torch.ones_like(ids)
    return lambda: model.generate(ids, attention_mask=mask, pad_token_id=0, **options)


def phijax(path: pathlib.Path, bits: int | None) -> Callable[[], None]:
    """The project's own generation."""
    from phijax.train import start

    start.keep_memory()
    import jax

    from phijax import generate, interop, models

    config, params, _ = interop.open(path)
    params = jax.device_put(models.quantise(config, params, bits) if bits else params)
    ids = [prompt(config.vocab_size)]
    return lambda: generate.generate(config, params, ids, max_new_tokens=NEW)


def work(variant: str, directory: str) -> None:
    """Answers each line on the standard input with the seconds of one turn."""
    path = assets.fetch('smollm2-135m') / FILE
    if variant == 'llama.cpp':
        run = llama_cpp(path)
    elif variant == 'transformers':
        run = transformers(directory)
    else:
        run = phijax(path, {'float32': None, 'int8': 8, 'int4': 4}[variant])
    run()
    print('ready', flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        run()
        print(time.perf_counter() - began, flush=True)


def main() -> None:
    """Times all variants in turns, or is one of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--worker', nargs=2, metavar=('VARIANT', 'DIRECTORY'))
    flags = parser.parse_args()
    if flags.worker:
        work(*flags.worker)
        return
    from phijax.interop import convert

    with tempfile.TemporaryDirectory() as scratch:
        directory = f'{scratch}/exported'
        convert.export_model(assets.fetch('smollm2-135m') / FILE, directory)
        seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        workers = {variant: _start(variant, directory) for variant in VARIANTS}
        for number in range(flags.rounds):
            for variant in VARIANTS if number % 2 else VARIANTS[::-1]:
                worker = workers[variant]
                worker.stdin.write('\n')
                worker.stdin.flush()
                seconds[variant].append(float(worker.stdout.readline()))
        for worker in workers.values():
            worker.stdin.close()
            worker.wait()
    rows = [
        {'variant': name, 'tokens_per_second': NEW / statistics.median(each)}
        | {f'over_{other}': _ratio(seconds[other], each) for other in VARIANTS[:2]}
        for name, each in seconds.items()
    ]
    (HERE / 'decode.json').write_text(json.dumps({'rounds': flags.rounds, 'rows': rows}, indent=1))
    for row in rows:
        print(json.dumps(row))


def _start(variant: str, directory: str) -> subprocess.Popen:
    worker = subprocess.Popen(
        [sys.executable, __file__, '--worker', variant, directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while (line := worker.stdout.readline()) and line.strip() != 'ready':
        pass
    return worker


def _ratio(theirs: list[float], ours: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(theirs, ours, strict=True))


if __name__ == '__main__':
    main()
