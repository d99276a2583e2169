"""Whether a model knows GSM8K and HumanEval by heart: every detector, and one report.

    python -m phijax.evaluate.overfitting --config=configs/eval/overfitting.py --checkpoint=…

Expected: for a model of 2M parameters ten minutes on 2 cores; `:smoke` is a minute, of few items.
Accuracies are taken from `--config.answers.gsm8k=…/samples/gsm8k.jsonl` and
`--config.twin_answers.gsm8k=…`; canaries from `--config.canaries=…/canaries.json`.
Source: the order test of arXiv:2310.17623 takes 50 shards of 25 or more items; 20 is our choice.
"""

import ml_collections


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    config.sets = ('gsm8k', 'humaneval')
    config.limit = 16 if smoke else 0
    config.update(tokens='', canaries='')
    config.answers = {'gsm8k': '', 'humaneval': ''}
    config.twin_answers = {'gsm8k': '', 'humaneval': ''}
    config.update(shards=4 if smoke else 20, permutations=2 if smoke else 10)
    config.update(references=31 if smoke else 1000, seed=0, rows_at_once=16)
    return config
