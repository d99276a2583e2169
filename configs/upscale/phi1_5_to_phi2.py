"""phi-2's start: phi-1.5 grown from 24 to 32 layers and from 2048 to 2560 features.

    python -m phijax.upscale --config=configs/upscale/phi1_5_to_phi2.py \
        --source=runs/phi1_5 --target=runs/phi2_start

Expected: minutes on a CPU with 32 GB of memory: the growth takes 19.4 GiB, and writing holds the
target twice, which does not fit 23. `--config.width.method=reuse` is the talk's first method; clone
is refused, as 1.25 is no whole factor. `:smoke` grows the smoke run of phi1_5.
Source: Microsoft's talk on phi-2 at NeurIPS 2023 as the press reported it (layer map, reuse,
tiling); arXiv:2412.13663, app. A (tiling from the centre).
"""

import ml_collections

from phijax import models


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    config.model = models.to_dict(models.config('phi2', dtype='bfloat16', remat='full'))
    # Open: the rounding of halves; this one repeats every third layer.
    config.depth = {'method': 'gopher', 'rounding': 'half_up'}
    # Open: whether Microsoft divided by the counts.
    config.width = {'method': 'tile', 'place': 'centre', 'divide': False, 'noise': 0.0}
    config.update(seed=0, moments=False)
    if smoke:
        config.model.update(vocab_size=1024, embed_dim=80, num_layers=3, num_heads=4)
        config.model.update(num_kv_heads=4, head_dim=20, mlp_dim=320, rotary_dim=8, max_length=128)
    return config
