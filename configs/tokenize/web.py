"""The web part of phi-1.5-web before its filter: RefinedWeb, from the hub.

    pip install 'phijax[hf]'
    python -m phijax.data.tokenize --config=configs/tokenize/web.py --workdir=data/web

Expected: streams until 400 GB of text, about 90B tokens: at 0.5M tokens/s a core, 50 core-hours,
and 500 GB of disk. Variant `smoke` streams 10 MB.
Source: arXiv:2309.05463, sec. 2.2. The amount of text before the filter is our choice.
"""

import ml_collections


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    max_bytes = {'full': 400_000_000_000, 'smoke': 10_000_000}[variant]
    config = ml_collections.ConfigDict()
    config.sources = {
        'refinedweb': {
            'kind': 'hub',
            'dataset': 'tiiuae/falcon-refinedweb',
            'column': 'content',
            'max_bytes': max_bytes,
        }
    }
    config.tokenizer = 'microsoft/phi-1_5'
    config.heldout_fraction = 0.001
    return config
