"""Quickstart's model with the factors of a search, trained on longer rows.

    python -m phijax.train --config=configs/longrope/finetune.py --workdir=runs/longer \
        --config.init_from=runs/longrope/model --config.model.long_factors='(1.0, 1.2, …)'

Expected: after configs/longrope/quickstart.py, which prints the whole command for its factors;
two minutes on 2 cores, at the rate of experiments/longrope. As it stands the factors are those of
linear interpolation, the start is quickstart's model. `:smoke` is half a minute and starts afresh.
Source: arXiv:2402.13753, sec. 4.1 (2e-5, linear decay; 400 steps of 32 rows, for LLaMA2-7B). Rate,
steps and rows are our choice, for a model that was trained at 6e-3.
"""

import ml_collections

from phijax import models

PAIRS = 8
STRETCH = 4


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    config.update(name='longrope_finetune', num_steps=60, batch_size=8, seed=0)
    config.init_from = 'runs/quickstart'
    config.update(loss_chunk=0, log_every=10, evaluate_every=30, evaluate_rows=32, max_skips=8)
    config.prompts = ('import os\n\ndef list_files(path):\n',)
    sizes = {'vocab_size': 2048, 'embed_dim': 160, 'num_layers': 4, 'mlp_dim': 640}
    heads = {'num_heads': 5, 'num_kv_heads': 5, 'head_dim': 32, 'rotary_dim': 2 * PAIRS}
    factors = {'short_factors': (1.0,) * PAIRS, 'long_factors': (float(STRETCH),) * PAIRS}
    lengths = {'original_length': 256, 'max_length': STRETCH * 256}
    magnitudes = {'short_magnitude': 1.0, 'long_magnitude': 1.0}
    model = models.config('phi1_small', **sizes, **heads, **factors, **lengths, **magnitudes)
    config.model = models.to_dict(model)
    config.data = {'directory': 'runs/quickstart/data', 'made_by': 'configs/tokenize/stdlib.py'}
    config.data.update(weights={}, length=STRETCH * 256, attention='packed', prepare={})
    config.optimizer = {'schedule': 'linear', 'peak_rate': 1e-3, 'final_rate': 0.0}
    config.optimizer.update(warmup_steps=config.get_ref('num_steps') // 10, decay_steps=0)
    config.optimizer.update(weight_decay=0.1, b1=0.9, b2=0.95, eps=1e-8, clip_norm=1.0)
    config.mesh = {'data': -1, 'fsdp': 1, 'tensor': 1, 'layout': 'zero3', 'rows_per_device': 64}
    config.checkpoints = {'every': 30, 'keep': 2, 'keep_every': 0, 'select': 'last'}
    if smoke:
        config.update(num_steps=60, init_from='', evaluate_every=20)
        config.model.update(vocab_size=1024, embed_dim=128, num_layers=3, num_heads=8)
        config.model.update(num_kv_heads=8, head_dim=2 * PAIRS, mlp_dim=512)
        config.model.update(original_length=32, max_length=STRETCH * 32)
        config.data.update(length=STRETCH * 32)
        config.data.directory = ''
        config.data.prepare = {'vocab_size': 1024, 'heldout_fraction': 0.05, 'sources': {}}
        config.data.prepare.sources.stdlib = {'kind': 'stdlib', 'max_bytes': 500_000}
        config.checkpoints.every = 20
    return config
