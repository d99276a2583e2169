"""The data of phi-1.5 and, as variants `web` and `web_only`, of its relatives with web text.

    python -m phijax.data.tokenize --config=configs/tokenize/phi1_5.py --workdir=data/phi1_5

Expected: 30B tokens (`full`) or 100B; at 0.5M tokens/s a core, 17 or 56 core-hours, and 60 or 200
GB of disk. Microsoft's synthetic textbooks were not released: put Parquet or JSONL files with a
column `text` below corpora/textbooks, phi-1's data below corpora/code, and filtered web text (88B
tokens of RefinedWeb; configs/tokenize/web.py fetches it unfiltered) below corpora/web.
Source: arXiv:2309.05463, sec. 2.2 and 2.4. Open: the held-out share, our choice.
"""

import ml_collections

SOURCES = {
    'full': ('textbooks', 'code'),
    'web': ('web', 'code', 'textbooks'),
    'web_only': ('web', 'code'),
}


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.sources = {
        name: {'kind': 'files', 'paths': (f'corpora/{name}/**/*',), 'column': 'text'}
        for name in SOURCES[variant]
    }
    config.tokenizer = 'microsoft/phi-1_5'
    config.heldout_fraction = 0.001
    return config
