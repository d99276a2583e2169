"""phi-1-base: 1.3B on CodeTextbook (6B tokens of filtered code, 1B of textbooks), 8 epochs.

    python -m phijax.train --config=configs/phi1.py --workdir=runs/phi1

Expected: 4 days of eight A100 to step 24,000 (50B tokens) of 36,000, which is the one taken;
HumanEval 29 %. configs/phi1_finetune.py makes phi-1 of it. `:smoke` is a minute on a CPU.
Source: arXiv:2306.11644.
"""

import ml_collections

from phijax import models


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    # Source: sec. 2.3: 36,000 steps of 1024 rows, warmup 750, step 24,000 taken.
    config.update(name='phi1', num_steps=36_000, batch_size=1024, seed=0, init_from='')
    # Open: our choice.
    config.update(log_every=10, evaluate_every=1000, evaluate_rows=1024, max_skips=8)
    config.prompts = ('def count_vowels(text: str) -> int:\n    """The number of vowels."""\n',)
    # Source: sec. 2.3: float16, dropout 0.1. Loss chunk, remat and mesh: docs/design/0006-plan.md.
    config.model = models.to_dict(
        models.config(
            'phi1', attention_dropout=0.1, residual_dropout=0.1, dtype='float16', remat='full'
        )
    )
    config.loss_chunk = 512
    config.mesh = {'data': 1, 'fsdp': -1, 'tensor': 1, 'layout': 'zero3', 'rows_per_device': 4}
    # Source: sec. 2.3: files in one array, sliced; attention over all of a slice.
    config.data = {'directory': 'data/phi1', 'prepare': {}}
    config.data.update(length=2048, attention='packed', made_by='configs/tokenize/made.py:phi1')
    # Source: sec. 2: about 6B tokens of filtered code, less than 1B of textbooks.
    config.data.weights = {'code': 6.0, 'textbooks': 1.0}
    steps = config.get_ref('num_steps')
    config.optimizer = {'schedule': 'linear', 'peak_rate': 1e-3, 'warmup_steps': steps // 48}
    config.optimizer.update(weight_decay=0.1, final_rate=0.0, decay_steps=0)
    # Open: our choice, as is how often a checkpoint is written.
    config.optimizer.update(b1=0.9, b2=0.95, eps=1e-8, clip_norm=1.0)
    config.benchmarks = {'tasks': (), 'every': 0, 'limit': 100, 'style': 'completion'}
    config.checkpoints = {'every': 1000, 'keep': 2, 'keep_every': 12_000}
    config.checkpoints.select = (steps * 2 // 3).to_str()
    if smoke:
        config.update(num_steps=60, batch_size=16, loss_chunk=0)
        config.model.update(vocab_size=1024, embed_dim=128, num_layers=3, num_heads=8)
        config.model.update(num_kv_heads=8, head_dim=16, mlp_dim=512, rotary_dim=8, max_length=128)
        config.data.update(directory='', length=128)
        config.data.prepare = {'vocab_size': 1024, 'heldout_fraction': 0.2, 'sources': {}}
        for source in ('code', 'textbooks'):
            config.data.prepare.sources[source] = {'kind': 'stdlib', 'max_bytes': 1_000_000}
        config.checkpoints.update(every=20, keep_every=20)
    return config
