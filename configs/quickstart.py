"""A small phi on real code: the standard library of the Python that runs it.

    python -m phijax.train --config=configs/quickstart.py --workdir=runs/quickstart
"""

import ml_collections

from phijax import models


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    """The run; `smoke` is one of a few steps."""
    config = ml_collections.ConfigDict()
    config.name = 'quickstart'
    config.num_steps = 600
    config.batch_size = 16
    config.seed = 0
    config.init_from = ''
    config.loss_chunk = 0
    config.evaluate_every = 0
    config.evaluate_rows = 0
    config.log_every = 10
    config.max_skips = 8
    config.prompts = ('def fibonacci(n):\n', 'class Stack:\n    """A last-in first-out list."""\n')
    config.model = models.to_dict(
        models.config(
            'phi1_small', vocab_size=4096, embed_dim=192, num_layers=4, num_heads=6,
            num_kv_heads=6, head_dim=32, mlp_dim=768, rotary_dim=16, max_length=256,
        )
    )
    config.data = {
        'directory': '', 'made_by': 'configs/tokenize/stdlib.py', 'weights': {}, 'length': 256,
        'attention': 'packed',
        'prepare': {'sources': {'stdlib': {'kind': 'stdlib'}}, 'vocab_size': 4096, 'heldout_fraction': 0.05},
    }
    config.optimizer = {
        'schedule': 'linear', 'peak_rate': 3e-3, 'final_rate': 0.0, 'warmup_steps': 60, 'decay_steps': 0,
        'b1': 0.9, 'b2': 0.95, 'eps': 1e-8, 'weight_decay': 0.1, 'clip_norm': 1.0,
    }
    config.mesh = {'data': -1, 'fsdp': 1, 'tensor': 1, 'layout': 'zero3', 'rows_per_device': 64}
    config.checkpoints = {'every': 300, 'keep': 2, 'keep_every': 0, 'select': 'last'}
    return config
