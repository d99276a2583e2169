"""Benchmarks of phi-3's report for a model that answers in phi-3's turns.

    python -m phijax.evaluate --config=configs/eval/phi3_mini.py --checkpoint=phi-3-mini

`:chatml` asks in ChatML, as SmolLM2 and others are spoken with; `:smoke` is that for 20 items of
four tasks. Programs that the model writes run in the sandbox, on Linux only.

Expected: 27,239 items; not timed.
Source: arXiv:2404.14219, sec. 3: few-shot, temperature 0, Microsoft's own harness, whose prompts
are not published: the figures beside are not comparable item by item.
"""

import ml_collections


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.style = {'full': 'phi3', 'chatml': 'chatml', 'smoke': 'chatml'}[variant]
    config.tasks = ('mmlu', 'hellaswag', 'arc_challenge', 'gsm8k', 'humaneval', 'mbpp')
    config.update(limit=0, max_new_tokens=0, num_samples=1, temperature=0.0, top_p=1.0, ks=(1,))
    if variant == 'smoke':
        config.update(limit=20, tasks=('mmlu', 'arc_challenge', 'gsm8k', 'humaneval'))
        config.max_new_tokens = 64
    config.shots = {'gsm8k': 0, 'mbpp': 0}
    config.update(seed=0, dtype='float32', bits=0, tokens_at_once=0, rows_at_once=16)
    config.beside = ('phi3_mini', 'phi3_small', 'phi3_medium')
    config.sandbox = {'workers': 0, 'cpu_seconds': 15.0, 'memory_megabytes': 512, 'unsafe': ''}
    return config
