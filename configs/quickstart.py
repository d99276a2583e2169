"""A small phi on real code: the standard library of the Python that runs it.

    python -m phijax.train --config=configs/quickstart.py --workdir=runs/quickstart

Expected: under four minutes on 2 cores; held-out bits per byte below 1.7.
Variants: full, smoke (40 steps).
Source: our choice, by measurement: experiments/quickstart.
"""

import ml_collections

from phijax import models

PROMPTS = (
    'def is_prime(number):\n    """Return True if number is prime."""\n',
    'class Stack:\n    """A last-in, first-out list."""\n\n    def __init__(self):\n',
    'import os\n\ndef list_files(path):\n',
)


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    config.name = 'quickstart'
    config.num_steps = 40 if smoke else 600
    config.batch_size = 8
    config.seed = 0
    config.init_from = ''
    config.loss_chunk = 0
    config.evaluate_every = 0 if smoke else 200
    config.evaluate_rows = 0
    config.log_every = 50
    config.max_skips = 8
    config.prompts = PROMPTS
    sizes = {'vocab_size': 2048, 'embed_dim': 160, 'num_layers': 4, 'mlp_dim': 640}
    heads = {'num_heads': 5, 'num_kv_heads': 5, 'head_dim': 32, 'rotary_dim': 16}
    model = models.config('phi1_small', max_length=256, **sizes, **heads)
    config.model = models.to_dict(model)
    config.data = {
        'directory': '',
        'made_by': 'configs/tokenize/stdlib.py',
        'weights': {},
        'length': 256,
        'attention': 'packed',
        'prepare': {
            'sources': {'stdlib': {'kind': 'stdlib', 'max_bytes': 500_000 if smoke else 0}},
            'vocab_size': 2048,
            'heldout_fraction': 0.05,
        },
    }
    rates = {'schedule': 'linear', 'peak_rate': 6e-3, 'final_rate': 0.0, 'weight_decay': 0.1}
    steps = {'warmup_steps': config.get_ref('num_steps') // 10, 'decay_steps': 0}
    adam = {'b1': 0.9, 'b2': 0.95, 'eps': 1e-8, 'clip_norm': 1.0}
    config.optimizer = rates | steps | adam
    config.mesh = {'data': -1, 'fsdp': 1, 'tensor': 1, 'layout': 'zero3', 'rows_per_device': 64}
    config.benchmarks = {'tasks': (), 'every': 0, 'limit': 100, 'style': 'completion'}
    config.checkpoints = {'every': 300, 'keep': 2, 'keep_every': 0, 'select': 'last'}
    return config
