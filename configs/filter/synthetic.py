"""What a teacher wrote, without near-duplicates and benchmark leaks, as tokens; nothing is graded.

    python -m phijax.data.filtering --config=configs/filter/synthetic.py \
        --workdir=runs/textbooks_clean

The default pile is what `configs/synth/textbooks.py` leaves in runs/textbooks; `:exercises` and
`:commonsense` are those of the other configs, and `--config.sources.texts.paths` names any.
`configs/tokenize/made.py` puts several such piles into one directory to train on.

Expected: not measured yet on a pile of a strong teacher.
Source: arXiv:2306.11644, sec. 5 (word 13-grams, AST match rate from 0.95 to 0.8); near-duplicates
are our choice.
"""

import ml_collections


def get_config(variant: str = 'textbooks') -> ml_collections.ConfigDict:
    language = {'textbooks': 'text', 'commonsense': 'text', 'exercises': 'python'}[variant]
    config = ml_collections.ConfigDict()
    paths = (f'runs/{variant}/texts-*/documents-*.parquet',)
    config.sources = {'texts': {'kind': 'files', 'paths': paths}}
    config.ingest = {'shards': 4, 'language': language, 'max_bytes': 0}
    config.select = {'rule': 'all', 'amounts': (1.0,)}
    config.deduplicate = {'threshold': 0.85, 'ngram': 5}
    config.decontaminate = {'ngram': 13, 'tau': 0.95, 'own_items': ''}
    config.tokenize = {'tokenizer': '', 'vocab_size': 8192}
    return config
