"""The data of phi-3: web text chosen for its educational value, and synthetic text.

    python -m phijax.data.tokenize --config=configs/tokenize/phi3.py --workdir=data/phi3_phase1

Variant `phase2` makes data/phi3_phase2; `small` and `small_phase2` make data/phi3_small_phase1 and
_phase2, the same in phi-3-small's vocabulary.
Expected: terabytes; at 0.5M tokens/s a core, 560 core-hours for a trillion tokens. None of it was
released: put Parquet or JSONL files with a column `text` below corpora/web for phase 1, and below
corpora/best_web and corpora/synthetic for phase 2.
Source: arXiv:2404.14219, sec. 2. Open: the held-out share, our choice.
"""

import ml_collections

SOURCES = {'phase1': ('web',), 'phase2': ('best_web', 'synthetic')}
TOKENIZERS = {'mini': 'Phi-3-mini-4k-instruct', 'small': 'Phi-3-small-8k-instruct'}
VARIANTS = {
    'full': ('mini', 'phase1'),
    'phase2': ('mini', 'phase2'),
    'small': ('small', 'phase1'),
    'small_phase2': ('small', 'phase2'),
}


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    size, phase = VARIANTS[variant]
    config = ml_collections.ConfigDict()
    config.sources = {
        name: {'kind': 'files', 'paths': (f'corpora/{name}/**/*',), 'column': 'text'}
        for name in SOURCES[phase]
    }
    config.tokenizer = f'microsoft/{TOKENIZERS[size]}'
    config.heldout_fraction = 0.001
    return config
