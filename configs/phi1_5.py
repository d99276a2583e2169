"""phi-1.5: phi-1's architecture on 20B tokens of synthetic textbooks and phi-1's data.

    python -m phijax.train --config=configs/phi1_5.py --workdir=runs/phi1_5

Expected: 1,500 hours of one A100; WinoGrande 73.4 %, ARC-challenge 44.4 %, HumanEval 34.1 %.
`:smoke` is a minute on a CPU.
Source: arXiv:2309.05463.
"""

import ml_collections

from phijax import models


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    # Source: sec. 2.3: 150B tokens in batches of 2048 rows.
    config.update(name='phi1_5', num_steps=150_000_000_000 // (2048 * 2048), batch_size=2048)
    # Open: our choice.
    config.update(seed=0, log_every=10, evaluate_every=1000, evaluate_rows=1024, max_skips=8)
    config.prompts = ('The sky is blue because', 'def is_prime(n: int) -> bool:\n')
    config.init_from = ''
    # Source: sec. 2.3: float16; config.json of microsoft/phi-1_5: no dropout.
    config.model = models.to_dict(models.config('phi1_5', dtype='float16', remat='full'))
    # Loss chunk, remat and mesh: docs/design/0006-plan.md.
    config.loss_chunk = 256
    config.mesh = {'data': 1, 'fsdp': -1, 'tensor': 1, 'layout': 'zero3', 'rows_per_device': 8}
    config.data = {'directory': 'data/phi1_5', 'made_by': 'configs/tokenize/made.py:phi1_5'}
    config.data.update(prepare={}, length=2048, attention='packed')
    # Source: sec. 2.3: 80 % new synthetic text, 20 % phi-1's data.
    config.data.weights = {'textbooks': 0.8, 'code': 0.2}
    # Source: sec. 2.3: constant rate, no warmup, Adam 0.9, 0.98, 1e-7, weight decay 0.1.
    config.optimizer = {'schedule': 'constant', 'peak_rate': 2e-4, 'final_rate': 2e-4}
    config.optimizer.update(warmup_steps=0, decay_steps=0, b1=0.9, b2=0.98, eps=1e-7)
    config.optimizer.weight_decay = 0.1
    # Open: our choice.
    config.optimizer.clip_norm = 1.0
    config.benchmarks = {'tasks': (), 'every': 0, 'limit': 100, 'style': 'completion'}
    config.checkpoints = {'every': 1000, 'keep': 2, 'keep_every': 0, 'select': 'last'}
    if smoke:
        config.update(num_steps=60, batch_size=16, loss_chunk=0)
        config.model.update(vocab_size=1024, embed_dim=64, num_layers=2, num_heads=4)
        config.model.update(num_kv_heads=4, head_dim=16, mlp_dim=256, rotary_dim=8, max_length=128)
        config.data.update(directory='', length=128)
        config.data.prepare = {'vocab_size': 1024, 'heldout_fraction': 0.2, 'sources': {}}
        for source in ('textbooks', 'code'):
            config.data.prepare.sources[source] = {'kind': 'stdlib', 'max_bytes': 1_000_000}
        config.checkpoints.update(every=20)
    return config
