"""The data of phi-2: synthetic text and web text, both chosen for their educational value.

    python -m phijax.data.tokenize --config=configs/tokenize/phi2.py --workdir=data/phi2

Expected: 250B tokens; at 0.5M tokens/s a core, 140 core-hours, and 500 GB of disk. None of it was
released: put Parquet or JSONL files with a column `text` below corpora/textbooks and corpora/web
(RefinedWeb and SlimPajama were its sources; configs/tokenize/web.py fetches the first unfiltered).
Source: the model card of microsoft/phi-2. Open: the held-out share, our choice.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.sources = {
        name: {'kind': 'files', 'paths': (f'corpora/{name}/**/*',), 'column': 'text'}
        for name in ('textbooks', 'web')
    }
    config.tokenizer = 'microsoft/phi-2'
    config.heldout_fraction = 0.001
    return config
