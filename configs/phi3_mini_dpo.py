"""phi-3-mini, the second half of its post-training: DPO on pairs of answers.

    python -m phijax.train --config=configs/phi3_mini_dpo.py --workdir=runs/phi3_mini_dpo

Expected: not run at this size; `--plan=v5p:2x2x2` finds 40 of a device's 96 GiB used. `:smoke` is a
minute on a CPU: from fresh parameters it learns to prefer words to code about functions of the
standard library, in more than 9 of 10 held-out pairs.
Source: arXiv:2404.14219, which names the two halves, SFT and DPO; arXiv:2305.18290 for the loss.
"""

import ml_collections

from phijax import models


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    # Open: all numbers are our choice but beta and the rate, which are those of DPO's authors.
    config.update(name='phi3_mini_dpo', num_steps=2000, batch_size=64, seed=0)
    config.init_from = 'runs/phi3_mini_sft'
    # Source: arXiv:2305.18290, appendix B: beta 0.1, rate 1e-6 after a linear warmup of 150 steps.
    config.objective = {'kind': 'preference', 'beta': 0.1}
    config.update(log_every=10, evaluate_every=200, evaluate_rows=256, max_skips=8)
    config.prompts = ('What does random.shuffle do?', 'What does json.loads do?')
    config.model = models.to_dict(models.config('phi3_mini', dtype='bfloat16', remat='full'))
    config.loss_chunk = 512
    config.mesh = {'data': 1, 'fsdp': -1, 'tensor': 1, 'layout': 'zero3', 'rows_per_device': 4}
    config.data = {'directory': 'data/preferences', 'prepare': {}, 'weights': {}, 'length': 4096}
    config.data.update(made_by='configs/tokenize/chats.py:preferences', attention='document')
    config.optimizer = {'schedule': 'constant', 'peak_rate': 1e-6, 'final_rate': 1e-6}
    steps = config.get_ref('num_steps')
    config.optimizer.update(warmup_steps=steps * 3 // 40, decay_steps=0, b1=0.9, b2=0.95, eps=1e-8)
    config.optimizer.update(weight_decay=0.0, clip_norm=1.0)
    config.benchmarks = {'tasks': (), 'every': 0, 'limit': 100, 'style': 'completion'}
    config.checkpoints = {'every': 1000, 'keep': 2, 'keep_every': 0, 'select': 'last'}
    if smoke:
        config.update(num_steps=60, batch_size=16, loss_chunk=0, init_from='', evaluate_every=30)
        config.model.update(vocab_size=1024, embed_dim=96, num_layers=3, num_heads=4, window=48)
        config.model.update(num_kv_heads=2, head_dim=24, mlp_dim=256, rotary_dim=24, max_length=128)
        # The rate is for parameters that are fresh.
        config.optimizer.update(peak_rate=1e-3)
        config.data.update(directory='', length=128)
        config.data.prepare = {'vocab_size': 1024, 'heldout_fraction': 0.1, 'sources': {}}
        config.data.prepare.sources.preferences = {'kind': 'stdlib_preference', 'format': 'phi3'}
        config.checkpoints.update(every=30)
    return config
