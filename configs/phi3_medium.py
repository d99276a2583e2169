"""phi-3-medium: 14B on 4.8T tokens in two phases, then a context of 128k.

    python -m phijax.train --config=configs/phi3_medium.py --workdir=runs/phi3_medium_phase1
    python -m phijax.train --config=configs/phi3_medium.py:phase2 --workdir=runs/phi3_medium
    python -m phijax.train --config=configs/phi3_medium.py:long --workdir=runs/phi3_medium_128k

Expected: 42 days of 512 H100; after tuning on dialogues MMLU 78.0 %, GSM8K 91.0 %.
`--plan=v5p:2x2x2` tells what it needs; `:smoke` is a minute on a CPU.
Source: arXiv:2404.14219 (latest version), sec. 2 to 4, and the config.json of
microsoft/Phi-3-medium-4k-instruct: phi-3-mini's data, for slightly more epochs.
"""

import pathlib
import runpy

import ml_collections

from phijax import models

# By its path, so that it is found from every directory.
_MINI = runpy.run_path(str(pathlib.Path(__file__).with_name('phi3_mini.py')))


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    config = _MINI['get_config'](variant)
    config.name = 'phi3_medium'
    config.init_from = config.init_from.replace('mini', 'medium')
    if variant != 'smoke':
        name = _MINI['NAMES'][variant].replace('mini', 'medium')
        config.model = models.to_dict(models.config(name, dtype='bfloat16', remat='full'))
    if variant in {'full', 'phase2'}:
        config.num_steps = 4_800_000_000_000 // (1024 * 4096) // 2
    return config
