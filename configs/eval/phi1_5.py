"""The table of phi-1.5: common sense, language and code, zero-shot as there, MMLU with two shots.

    python -m phijax.evaluate --config=configs/eval/phi1_5.py --checkpoint=phi-1_5

Expected: 39,444 items; `:smoke` is 20 items of six tasks, two minutes for 135M parameters on two
cores. Programs that the model writes run in the sandbox, on Linux only.
Source: arXiv:2309.05463, tables 2 to 4. Open: its prompts; these are lm-evaluation-harness's.
"""

import ml_collections

SMOKE = ('arc_easy', 'piqa', 'winogrande', 'mmlu', 'gsm8k_program', 'humaneval')


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.tasks = {'full': ('common_sense', 'language', 'gsm8k_program', 'code'), 'smoke': SMOKE}[
        variant
    ]
    config.limit = {'full': 0, 'smoke': 20}[variant]
    config.shots = {'mmlu': 2}
    config.style = 'completion'
    config.update(dtype='float32', bits=0)
    config.update(num_samples=1, temperature=0.0, top_p=1.0, ks=(1,), seed=0)
    config.max_new_tokens = {'full': 0, 'smoke': 64}[variant]
    config.update(rows_at_once=16, tokens_at_once=0)
    config.beside = ('phi1_5', 'phi1_5_web')
    config.sandbox = {'workers': 0, 'cpu_seconds': 15.0, 'memory_megabytes': 512, 'unsafe': ''}
    return config
