"""phi-3-mini: 3.8B on 3.3T tokens in two phases, then a context of 128k.

    python -m phijax.train --config=configs/phi3_mini.py --workdir=runs/phi3_mini_phase1
    python -m phijax.train --config=configs/phi3_mini.py:phase2 --workdir=runs/phi3_mini
    python -m phijax.train --config=configs/phi3_mini.py:long --workdir=runs/phi3_mini_128k

Expected: 512 H100; after tuning on dialogues (configs/phi3_mini_sft.py) MMLU 68.8 %, GSM8K 82.5 %.
`--plan=v5p:2x2x2` tells what it needs; `:smoke` is a minute on a CPU.
Source: arXiv:2404.14219 (latest version), sec. 2 to 4, and the config.json of
microsoft/Phi-3-mini-4k-instruct. Cards of June 2024 tell of 4.9T tokens.
"""

import ml_collections

from phijax import models

NAMES = {'full': 'phi3_mini', 'phase2': 'phi3_mini', 'long': 'phi3_mini_128k', 'smoke': 'phi3_mini'}


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    name = NAMES[variant]
    config = ml_collections.ConfigDict()
    # Source: 3.3T tokens in rows of 4096. Open: rows per batch and each phase's share: a half.
    config.update(name='phi3_mini', num_steps=3_300_000_000_000 // (1024 * 4096) // 2)
    # Open: our choice.
    config.update(batch_size=1024, seed=0, log_every=10, evaluate_every=1000, evaluate_rows=1024)
    config.update(max_skips=8, init_from='')
    config.prompts = ('The sky is blue because', 'def is_prime(n: int) -> bool:\n')
    config.model = models.to_dict(models.config(name, dtype='bfloat16', remat='full'))
    # Loss chunk, remat and mesh: docs/design/0006-plan.md.
    config.loss_chunk = 512
    config.mesh = {'data': 1, 'fsdp': -1, 'tensor': 1, 'layout': 'zero3', 'rows_per_device': 1}
    # Source: sec. 2: phase 1 is mostly web text, phase 2 a stricter choice of it and synthetic text
    config.data = {'directory': 'data/phi3_phase1', 'made_by': 'configs/tokenize/phi3.py'}
    config.data.update(prepare={}, weights={}, length=4096, attention='packed')
    # Open: all of it. The rate is held in phase 1 and comes down in phase 2.
    config.optimizer = {'schedule': 'constant', 'peak_rate': 3e-4, 'final_rate': 3e-4}
    config.optimizer.update(warmup_steps=2000, decay_steps=0, b1=0.9, b2=0.95, eps=1e-8)
    config.optimizer.update(weight_decay=0.1, clip_norm=1.0)
    config.benchmarks = {'tasks': (), 'every': 0, 'limit': 100, 'style': 'completion'}
    config.checkpoints = {'every': 1000, 'keep': 2, 'keep_every': 0, 'select': 'last'}
    if variant in {'phase2', 'long'}:
        config.init_from = 'runs/phi3_mini_phase1' if variant == 'phase2' else 'runs/phi3_mini'
        config.data.update(directory='data/phi3_phase2', made_by='configs/tokenize/phi3.py:phase2')
        config.optimizer.update(schedule='linear', final_rate=0.0, warmup_steps=0)
    if variant == 'long':  # Open: how the context was extended; arXiv:2402.13753's 1,000 steps here
        config.update(num_steps=1000, batch_size=64, loss_chunk=512)
        config.data.length = 16384
        config.optimizer.update(peak_rate=2e-5)
    if variant == 'smoke':
        config.update(num_steps=60, batch_size=16, loss_chunk=0)
        config.model.update(vocab_size=1024, embed_dim=96, num_layers=3, num_heads=4, window=48)
        config.model.update(num_kv_heads=2, head_dim=24, mlp_dim=256, rotary_dim=24, max_length=128)
        config.data.update(directory='', length=128)
        config.data.prepare = {'vocab_size': 1024, 'heldout_fraction': 0.2, 'sources': {}}
        config.data.prepare.sources.web = {'kind': 'stdlib', 'max_bytes': 1_000_000}
        config.optimizer.warmup_steps = 2
        config.checkpoints.update(every=20)
    return config
