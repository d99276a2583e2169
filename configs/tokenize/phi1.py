"""phi-1's web part before its filter: Python of The Stack, and StackOverflow, from the hub.

    pip install 'phijax[hf]' && hf auth login
    python -m phijax.data.tokenize --config=configs/tokenize/phi1.py --workdir=data/stack

The Stack is gated: accept its terms at https://huggingface.co/datasets/bigcode/the-stack-dedup
first.

Expected: more than 35M documents and 35B tokens; at 0.5M tokens/s a core, 20 core-hours, and
300 GB of disk. Variant `smoke` streams 10 MB of each.
Source: arXiv:2306.11644, sec. 2.1. The hub's copy of StackOverflow is our choice.
"""

import ml_collections


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    max_bytes = {'full': 0, 'smoke': 10_000_000}[variant]
    config = ml_collections.ConfigDict()
    config.sources = {
        'the_stack': {
            'kind': 'hub',
            'dataset': 'bigcode/the-stack-dedup',
            'data_dir': 'data/python',
            'column': 'content',
            'max_bytes': max_bytes,
        },
        'stackoverflow': {
            'kind': 'hub',
            'dataset': 'mikex86/stackoverflow-posts',
            'column': 'Body',
            'max_bytes': max_bytes,
        },
    }
    config.tokenizer = 'microsoft/phi-1'
    config.heldout_fraction = 0.001
    return config
