"""Your own files: Python, Markdown and text below `code/`, and rows of JSONL and Parquet.

    python -m phijax.data.tokenize --config=configs/tokenize/code.py --workdir=data/code \
        --config.sources.code.paths="('src/**/*.py', 'notes/*.md', 'rows/*.parquet')"

Expected: 2 to 3 MB of text a second on 2 cores. `--config.tokenizer=microsoft/phi-2` (online), or
the path of a tokenizer, takes that one instead of training one.
Source: our choice.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.sources = {
        'code': {
            'kind': 'files',
            'paths': ('code/**/*.py', 'code/**/*.md', 'code/**/*.txt', 'code/**/*.jsonl'),
            'column': 'text',
            'max_bytes': 0,
        }
    }
    config.tokenizer = ''
    config.vocab_size = 8192
    config.sample_bytes = 20_000_000
    config.heldout_fraction = 0.01
    return config
