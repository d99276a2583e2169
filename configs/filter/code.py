"""phi-1's filter on real code: grade a sample, learn the grades, keep the best, drop what leaks.

    python -m phijax.data.filtering --config=configs/filter/code.py --workdir=runs/filter

The pile is what the running interpreter has: its library and every installed package, tests and
generated files among them; `:smoke` takes 8 MB of it. `:files` takes your own instead:
`--config.sources.pile.paths="('src/**/*.py', 'rows/*.parquet')"`.
`--config.annotate.grader=endpoint` asks a language model (fill in `endpoint`, `budget` and
`annotate.model`); `--config.embed.kind=model --config.embed.model=DIRECTORY` embeds with
CodeGen-350M or another checkpoint.

Expected: 180 MB of Python in eight minutes on two busy cores; a sixth of the files is kept.
Source: arXiv:2306.11644, sec. 2.1 and 5; what the paper leaves open is marked in the code.
"""

import ml_collections

# The evaluation texts of experiments/filtering, by name: they are not to be learned from.
HELD_BACK = ('algorithms/*',)


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    small, own = {'full': (False, False), 'smoke': (True, False), 'files': (False, True)}[variant]
    config = ml_collections.ConfigDict()
    installed = {'kind': 'installed', 'exclude': HELD_BACK}
    files = {'kind': 'files', 'paths': ('code/**/*.py',), 'column': 'text'}
    config.sources = {'pile': files if own else installed}
    config.ingest = {
        'shards': 4 if small else 16,
        'language': 'python',
        'max_bytes': 8_000_000 if small else 0 if own else 200_000_000,
    }
    asked = {'model': '', 'temperature': 0.3, 'max_tokens': 200, 'max_characters': 6000}
    config.annotate = asked | {
        'grader': 'heuristic',
        'rubric': 'code',
        'sample': 600 if small else 4000,
        'double_fraction': 0.05,
        'max_bad_fraction': 0.02,
        'cut': 3,
    }
    limits = {'requests_per_minute': 0, 'tokens_per_minute': 0, 'max_concurrency': 64}
    config.endpoint = {'url': 'http://127.0.0.1:8080/v1', 'key_variable': '', **limits}
    prices = {'dollars_per_million_input': 0.0, 'dollars_per_million_output': 0.0}
    config.budget = {'max_tokens': 0, 'max_dollars': 0.0, **prices}
    config.embed = {'kind': 'ngrams', 'model': '', 'pooling': 'mean', 'max_tokens': 1024}
    config.forest = {
        'labels': 'valuable',
        'n_trees': 200,
        'min_samples_leaf': 5,
        'held_out': 0.2,
    }
    amounts = (0.17,)
    bounds = {'max_topic_share': 1.0, 'num_params': 0}
    config.select = {'rule': 'fraction', 'amounts': amounts, **bounds}
    config.deduplicate = {'threshold': 0.85, 'ngram': 5}
    config.decontaminate = {'ngram': 13, 'tau': 0.95, 'own_items': ''}
    config.tokenize = {'tokenizer': '', 'vocab_size': 1024 if small else 8192}
    return config
