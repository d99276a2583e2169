"""phi-2: 2.7B on 250B tokens of synthetic and web text, 5.6 epochs.

    python -m phijax.train --config=configs/phi2.py --workdir=runs/phi2

Expected: 14 days of 96 A100-80G; BBH 59.2, commonsense 68.8, language 62.0, mathematics 61.1,
coding 53.7. `--plan=v5e:2x4` tells what it needs; `:smoke` is a minute on a CPU.
Source: the model card of microsoft/phi-2 and Microsoft Research's post of 12 December 2023.
"""

import ml_collections

from phijax import models


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    # Source: the card: 1.4T tokens in rows of 2048. Open: rows per batch, which are phi-1.5's.
    config.update(name='phi2', num_steps=1_400_000_000_000 // (2048 * 2048), batch_size=2048)
    # Open: our choice.
    config.update(seed=0, log_every=10, evaluate_every=1000, evaluate_rows=1024, max_skips=8)
    config.prompts = ('The sky is blue because', 'def is_prime(n: int) -> bool:\n')
    # Deviation: Microsoft grew phi-1.5; configs/upscale/phi1_5_to_phi2.py makes such a start.
    config.init_from = ''
    # Source: config.json of microsoft/phi-2: residual dropout 0.1. Open: bfloat16.
    config.model = models.to_dict(models.config('phi2', dtype='bfloat16', remat='full'))
    # Loss chunk, remat and mesh: docs/design/0006-plan.md.
    config.loss_chunk = 512
    config.mesh = {'data': 1, 'fsdp': -1, 'tensor': 1, 'layout': 'zero3', 'rows_per_device': 4}
    # Open: the mixture; each source has the share of its tokens.
    config.data = {'directory': 'data/phi2', 'made_by': 'configs/tokenize/phi2.py', 'prepare': {}}
    config.data.update(weights={}, length=2048, attention='packed')
    # Open: all of it is phi-1.5's (arXiv:2309.05463, sec. 2.3), but for the norm's bound, ours.
    config.optimizer = {'schedule': 'constant', 'peak_rate': 2e-4, 'final_rate': 2e-4}
    config.optimizer.update(warmup_steps=0, decay_steps=0, b1=0.9, b2=0.98, eps=1e-7)
    config.optimizer.update(weight_decay=0.1, clip_norm=1.0)
    config.benchmarks = {'tasks': (), 'every': 0, 'limit': 100, 'style': 'completion'}
    config.checkpoints = {'every': 1000, 'keep': 2, 'keep_every': 0, 'select': 'last'}
    if smoke:
        config.update(num_steps=60, batch_size=16, loss_chunk=0)
        config.model.update(vocab_size=1024, embed_dim=80, num_layers=3, num_heads=4)
        config.model.update(num_kv_heads=4, head_dim=20, mlp_dim=320, rotary_dim=8, max_length=128)
        config.data.update(directory='', length=128)
        config.data.prepare = {'vocab_size': 1024, 'heldout_fraction': 0.2, 'sources': {}}
        for source in ('textbooks', 'web'):
            config.data.prepare.sources[source] = {'kind': 'stdlib', 'max_bytes': 1_000_000}
        config.checkpoints.update(every=20)
    return config
