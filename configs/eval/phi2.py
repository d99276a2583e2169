"""The benchmarks that phi-2 was announced with, for a base model that goes on from a text.

    python -m phijax.evaluate --config=configs/eval/phi2.py --checkpoint=phi-2

`:instruct` asks as `Instruct: … Output:`, one of the formats of its card; `:smoke` is 20 items of
four tasks. Programs that the model writes run in the sandbox, on Linux only.

Expected: 39,444 items; not timed.
Source: Microsoft Research blog, "Phi-2: The surprising power of small language models", 2023:
grouped means, GSM8K with 8 shots, MBPP with 3; MMLU with 5 in arXiv:2404.14219, table of sec. 3.
"""

import ml_collections


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.tasks = ('common_sense', 'language', 'gsm8k', 'code')
    config.update(shots={'mmlu': 5, 'gsm8k': 8, 'mbpp': 3}, limit=0)
    config.style = {'full': 'completion', 'smoke': 'completion', 'instruct': 'phi2'}[variant]
    config.update(num_samples=1, temperature=0.0, top_p=1.0, ks=(1,), max_new_tokens=0)
    if variant == 'smoke':
        config.update(tasks=('arc_easy', 'hellaswag', 'mmlu', 'gsm8k'), limit=20)
        config.update(max_new_tokens=64)
    if variant == 'instruct':
        config.shots = {'gsm8k': 0, 'mbpp': 0}
    config.update(dtype='float32', bits=0, seed=0, rows_at_once=16, tokens_at_once=0)
    config.beside = ('phi2', 'phi1_5')
    config.sandbox = {'workers': 0, 'cpu_seconds': 15.0, 'memory_megabytes': 512, 'unsafe': ''}
    return config
