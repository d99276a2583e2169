"""Web text by educational level, in two phases: what is fair, then the best of it.

    python -m phijax.data.filtering --config=configs/filter/web.py --workdir=runs/web

The default pile is the prose that the installed packages have with them (read-mes, manuals,
licences), so that it runs without an account; `:hub` takes a part of Falcon RefinedWeb, online.
`--config.select.num_params=100_000_000` bounds what the pages ask such a model to remember.

Expected: 4 MB of prose in three minutes on two busy cores; phase 2 is a third of phase 1.
Source: arXiv:2404.14219, sec. 2 (web text by educational level, two phases, less to remember for
small models); levels and amounts are our choice.
"""

import sysconfig

import ml_collections

REFINED_WEB = {'kind': 'hub', 'dataset': 'tiiuae/falcon-refinedweb', 'column': 'content'}


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    small, hub = {'full': (False, False), 'smoke': (True, False), 'hub': (False, True)}[variant]
    root = sysconfig.get_paths()['purelib']
    packages = {
        'kind': 'files',
        'paths': tuple(f'{root}/**/*.{suffix}' for suffix in ('md', 'rst', 'txt')),
    }
    config = ml_collections.ConfigDict()
    config.sources = {'web': REFINED_WEB if hub else packages}
    config.ingest = {
        'shards': 4 if small else 16,
        'language': 'text',
        'max_bytes': 1_000_000 if small else 2_000_000_000 if hub else 0,
    }
    asked = {'model': '', 'temperature': 0.3, 'max_tokens': 200, 'max_characters': 6000}
    config.annotate = asked | {
        'grader': 'heuristic',
        'rubric': 'web',
        'sample': 200 if small else 4000,
        'cut': 3,
        'max_bad_fraction': 0.02,
        'double_fraction': 0.05,
    }
    limits = {'requests_per_minute': 0, 'tokens_per_minute': 0, 'max_concurrency': 64}
    config.endpoint = {'url': 'http://127.0.0.1:8080/v1', 'key_variable': '', **limits}
    prices = {'dollars_per_million_input': 0.0, 'dollars_per_million_output': 0.0}
    config.budget = {'max_tokens': 0, 'max_dollars': 0.0, **prices}
    config.embed = {'kind': 'ngrams', 'model': '', 'pooling': 'mean', 'max_tokens': 1024}
    config.forest = {
        'labels': 'grades',
        'n_trees': 200,
        'min_samples_leaf': 5,
        'held_out': 0.2,
    }
    bounds = {'max_topic_share': 1.0, 'num_params': 0}
    config.select = {'rule': 'fraction', 'amounts': (0.6, 0.2), **bounds}
    config.deduplicate = {'threshold': 0.85, 'ngram': 5}
    config.decontaminate = {'ngram': 13, 'tau': 0.95, 'own_items': ''}
    config.tokenize = {'tokenizer': '', 'vocab_size': 1024 if small else 8192}
    return config
