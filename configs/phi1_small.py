"""phi-1-small: 350M, trained as phi-1-base is.

    python -m phijax.train --config=configs/phi1_small.py --workdir=runs/phi1_small

Expected: a day of eight A100 to step 24,000 of 36,000 (by its FLOPs, at 40 % of their peak);
HumanEval 45 % once it is finetuned as phi-1 is. `:smoke` is a minute on a CPU.
Source: arXiv:2306.11644, sec. 2.3. Open: that steps, batch and rates are phi-1's too; the paper
says "the same pipeline".
"""

import pathlib
import runpy

import ml_collections

from phijax import models

# By its path, so that it is found from every directory.
_PHI1 = runpy.run_path(str(pathlib.Path(__file__).with_name('phi1.py')))


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    config = _PHI1['get_config'](variant)
    config.name = 'phi1_small'
    # Source: sec. 2.3: 20 layers of width 1024, 16 heads of 64; the rest as phi-1.
    if variant == 'full':
        config.model = models.to_dict(
            models.config(
                'phi1_small',
                attention_dropout=0.1,
                residual_dropout=0.1,
                dtype='float16',
                remat='full',
            )
        )
        config.loss_chunk = 256
    else:
        config.model.update(embed_dim=64, num_layers=2, num_heads=4, num_kv_heads=4, mlp_dim=256)
    config.mesh.rows_per_device = 8  # docs/design/0006-plan.md
    return config
