"""CodeExercises, phi-1's data for finetuning: documents of one exercise and its solution each.

    python -m phijax.data.tokenize --config=configs/tokenize/exercises.py --workdir=data/exercises

Expected: 180M tokens of 880K exercises, in 6 core-minutes; 0.5 GB of disk. Microsoft's own
were not released: put Parquet or JSONL files with a column `text` below corpora/exercises.
Source: arXiv:2306.11644, sec. 2.2. Open: the held-out share, our choice.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.sources = {
        'exercises': {'kind': 'files', 'paths': ('corpora/exercises/**/*',), 'column': 'text'}
    }
    config.tokenizer = 'microsoft/phi-1'
    config.heldout_fraction = 0.01
    return config
