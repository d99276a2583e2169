"""phi-1's start: phi-1-small grown from 20 to 24 layers and from 16 to 32 heads.

    python -m phijax.upscale --config=configs/upscale/phi1_small_to_phi1.py \
        --source=runs/phi1_small --target=runs/phi1_start

Expected: 40 seconds on 2 cores, 12 GB of memory. Twice the width is a whole factor, so
`--config.width.method=clone` with `--config.depth.method=identity` keeps the function. `:smoke`
grows the smoke run of phi1_small.
Source: Microsoft's talk on phi-2 at NeurIPS 2023 as the press reported it, which compares scaling
methods on 350M -> 1.3B; arXiv:2412.13663, app. A (tiling from the centre).
"""

import ml_collections

from phijax import models


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    rates = {'attention_dropout': 0.1, 'residual_dropout': 0.1}
    config.model = models.to_dict(models.config('phi1', dtype='float16', remat='full', **rates))
    # Open: the rounding of halves; this one repeats every fifth layer.
    config.depth = {'method': 'gopher', 'rounding': 'half_up'}
    # Open: whether Microsoft divided by the counts.
    config.width = {'method': 'tile', 'place': 'centre', 'divide': False, 'noise': 0.0}
    config.update(seed=0, moments=False)
    if smoke:
        config.model.update(vocab_size=1024, embed_dim=128, num_layers=3, num_heads=8)
        config.model.update(num_kv_heads=8, head_dim=16, mlp_dim=512, rotary_dim=8, max_length=128)
    return config
