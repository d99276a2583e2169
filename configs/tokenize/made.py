"""What phijax filtered and a teacher wrote, as tokens by source; each variant for one recipe.

    python -m phijax.data.tokenize --config=configs/tokenize/made.py:phi1 --workdir=data/phi1

reads the documents that `configs/filter/code.py` left in runs/filter, and `synthetic.py` in
runs/textbooks_clean, _commonsense_clean and _exercises_clean; for web text, `web.py` in runs/web.
Then `configs/phi1.py`, `phi1_finetune`, `phi1_5` and `phi1_5_web` train on it, and a run's manifest
names the data by its digest.

Expected: 0.5M tokens/s a core.
Source: arXiv:2306.11644, sec. 2 (filtered code and textbooks, exercises); arXiv:2309.05463,
sec. 2.2 and 2.4. Open: the held-out share, our choice.
"""

import ml_collections

CODE, TEXTBOOKS, EVERYDAY = 'filter', 'textbooks_clean', 'commonsense_clean'
SOURCES = {
    'phi1': {'code': (CODE,), 'textbooks': (TEXTBOOKS,)},
    'phi1_finetune': {'exercises': ('exercises_clean',)},
    'phi1_5': {'code': (CODE, TEXTBOOKS), 'textbooks': (EVERYDAY,)},
    'phi1_5_web': {'web': ('web',), 'code': (CODE, TEXTBOOKS), 'textbooks': (EVERYDAY,)},
}


def get_config(variant: str = 'phi1') -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.sources = {
        name: {
            'kind': 'files',
            'paths': tuple(f'runs/{run}/documents-*/phase-1-*.parquet' for run in runs),
        }
        for name, runs in SOURCES[variant].items()
    }
    config.tokenizer = 'microsoft/phi-1_5' if variant.startswith('phi1_5') else 'microsoft/phi-1'
    config.heldout_fraction = 0.001
    return config
