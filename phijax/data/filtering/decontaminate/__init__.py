"""Leaks of benchmarks: documents with words of their questions, or functions like their solutions.

A stage builds one `Index` and calls `inspect` with the texts of a shard; `sweep` counts what was
found over all shards, `distances` looks at the pairs once more by their embeddings.
Source: docs/design/0017-decontamination.md, after arXiv:2306.11644, sec. 5.
"""

from phijax.data.filtering.decontaminate import distances, sweep
from phijax.data.filtering.decontaminate.index import Finding, Index, Pair
from phijax.data.filtering.decontaminate.items import LOADERS, Item, digest, load
from phijax.data.filtering.decontaminate.ngrams import Quote, common_grams
from phijax.data.filtering.decontaminate.rules import Settings

__all__ = [
    'LOADERS',
    'Finding',
    'Index',
    'Item',
    'Pair',
    'Quote',
    'Settings',
    'common_grams',
    'digest',
    'distances',
    'load',
    'sweep',
]
