"""phi-3-small: 7.4B with blocksparse attention, on 4.8T tokens in two phases.

    python -m phijax.train --config=configs/phi3_small.py --workdir=runs/phi3_small_phase1
    python -m phijax.train --config=configs/phi3_small.py:phase2 --workdir=runs/phi3_small

Expected: 18 days of 1024 H100; after tuning on dialogues MMLU 75.7 %, GSM8K 89.6 %.
`--plan=v5p:2x2x2` tells what it needs; `:smoke` is a minute on a CPU. Its 128k relative has factors
of LongRoPE that were not found; `python -m phijax.longrope` searches for some.
Source: arXiv:2404.14219 (latest version), sec. 2 to 4, and the config.json of
microsoft/Phi-3-small-8k-instruct.
"""

import pathlib
import runpy

import ml_collections

from phijax import models

# By its path, so that it is found from every directory.
_MINI = runpy.run_path(str(pathlib.Path(__file__).with_name('phi3_mini.py')))
VARIANTS = ('full', 'phase2', 'smoke')


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    config = _MINI['get_config']({name: name for name in VARIANTS}[variant])
    config.name = 'phi3_small'
    config.init_from = config.init_from.replace('mini', 'small')
    config.model = models.to_dict(models.config('phi3_small', dtype='bfloat16', remat='full'))
    # The vocabulary is another one, and so are the tokens.
    config.data.directory = config.data.directory.replace('phi3', 'phi3_small')
    phase = '_phase2' if variant == 'phase2' else ''
    config.data.made_by = f'configs/tokenize/phi3.py:small{phase}'
    if variant == 'smoke':
        config.model.update(vocab_size=1024, embed_dim=128, num_layers=4, num_heads=8)
        config.model.update(num_kv_heads=2, head_dim=16, mlp_dim=256, rotary_dim=16, max_length=128)
        config.model.update(block=8, local_blocks=3, stride=4, dummy_tokens=())
        return config
    # Source: 4.8T tokens, a tenth more of them multilingual, in rows of 8192. Open: rows per batch.
    config.update(num_steps=4_800_000_000_000 // (512 * 8192) // 2, batch_size=512)
    config.data.length = 8192
    return config
