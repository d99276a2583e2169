"""Whether a model knows GSM8K and HumanEval: twins, likelihoods, order, training text, canaries.

    python -m phijax.evaluate.overfitting --config=configs/eval/overfitting.py --checkpoint=phi-1

Expected: not timed; `:smoke` is 60 items of HumanEval, four minutes for 135M parameters on two
cores.
With `--config.evaluation=runs/evaluation` the gain due to items in the training text is estimated,
and with `--config.answered=200` items and their twins are answered.
Source: arXiv:2405.00332 (twins), 2404.02936 (Min-K%++), 2310.17623 (order), 2411.03923 (n-grams),
1802.08232 (canaries).
"""

import ml_collections


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    config.sets = ('humaneval',) if smoke else ('gsm8k', 'humaneval')
    config.limit = 60 if smoke else 0
    config.update(answered=0, max_new_tokens=0)
    config.update(shards=10 if smoke else 40, permutations=4 if smoke else 10)
    config.update(tokens='', canaries='', references=255 if smoke else 1023, evaluation='')
    config.update(dtype='float32', seed=0, rows_at_once=8)
    return config
