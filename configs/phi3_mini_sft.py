"""phi-3-mini, the first half of its post-training: supervised finetuning on conversations.

    python -m phijax.train --config=configs/phi3_mini_sft.py --workdir=runs/phi3_mini_sft

Expected: not measured at this size. `:smoke` is a minute on a CPU: it starts from fresh parameters
and asks about the standard library's functions.
Source: arXiv:2404.14219, which names the two halves, SFT and DPO, and the kinds of data.
"""

import ml_collections

from phijax import models


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    # Open: all numbers of the post-training but the length are our choice.
    config.update(name='phi3_mini_sft', num_steps=6000, batch_size=64, seed=0)
    config.init_from = 'runs/phi3_mini'
    config.objective = {'kind': 'chat', 'beta': 0.1}
    config.update(log_every=10, evaluate_every=500, evaluate_rows=512, max_skips=8)
    config.prompts = ('What does random.shuffle do?', 'What does json.loads do?')
    config.model = models.to_dict(models.config('phi3_mini', dtype='bfloat16', remat='full'))
    config.loss_chunk = 512
    config.mesh = {'data': 1, 'fsdp': -1, 'tensor': 1, 'layout': 'zero3', 'rows_per_device': 4}
    config.data = {'directory': 'data/chats', 'made_by': 'configs/tokenize/chats.py', 'prepare': {}}
    # Conversations share rows, but none sees another.
    config.data.update(weights={}, length=4096, attention='document')
    steps = config.get_ref('num_steps')
    config.optimizer = {'schedule': 'cosine', 'peak_rate': 1e-5, 'final_rate': 1e-6}
    config.optimizer.update(warmup_steps=steps // 20, decay_steps=0, b1=0.9, b2=0.95, eps=1e-8)
    config.optimizer.update(weight_decay=0.1, clip_norm=1.0)
    config.benchmarks = {'tasks': (), 'every': 0, 'limit': 100, 'style': 'completion'}
    config.checkpoints = {'every': 1000, 'keep': 2, 'keep_every': 0, 'select': 'last'}
    if smoke:
        config.update(num_steps=120, batch_size=16, loss_chunk=0, init_from='', evaluate_every=60)
        config.model.update(vocab_size=1024, embed_dim=96, num_layers=3, num_heads=4, window=48)
        config.model.update(num_kv_heads=2, head_dim=24, mlp_dim=256, rotary_dim=24, max_length=128)
        # The rate is for parameters that are fresh.
        config.optimizer.update(peak_rate=5e-3)
        config.data.update(directory='', length=128)
        config.data.prepare = {'vocab_size': 1024, 'heldout_fraction': 0.1, 'sources': {}}
        config.data.prepare.sources.chats = {'kind': 'stdlib_chat', 'format': 'phi3'}
        config.checkpoints.update(every=60)
    return config
