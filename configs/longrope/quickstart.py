"""Factors that take quickstart's model from 256 tokens to 1024, by the search of LongRoPE.

    python -m phijax.longrope --config=configs/longrope/quickstart.py --workdir=runs/longrope

Expected: after configs/quickstart.py; four minutes on 2 cores, at the rate of experiments/longrope.
`:smoke` is a minute, with the model of
    python -m phijax.train --config=configs/quickstart.py:smoke \
        --config.data.prepare.sources.stdlib.max_bytes=2_000_000 \
        --config.data.prepare.heldout_fraction=0.4 --workdir=runs/smoke
Source: arXiv:2402.13753, sec. 3.2: half of a population are parents, as many mutations as
crossovers, probability 0.3, ceiling 1.25; there with a population of 64 and 40 rounds.
"""

import ml_collections


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    smoke = {'full': False, 'smoke': True}[variant]
    config = ml_collections.ConfigDict()
    config.source = 'runs/smoke' if smoke else 'runs/quickstart'
    config.target_length = 512 if smoke else 1024
    # Source: no magnitude in the paper; sqrt is phi-3's, yarn that of YaRN.
    config.magnitude = 'none'
    config.update(seed=0, rows_at_once=8)
    config.texts = {'directory': '', 'search': 6, 'selection': 4, 'report': 8}
    config.search = {'population': 32, 'parents': 16, 'mutations': 8, 'crossovers': 8}
    config.search.update(probability=0.3, ceiling=1.25, rounds=12, budget=200, finalists=8)
    if smoke:
        config.texts.update(search=2, selection=2, report=4)
        config.search.update(population=8, parents=4, mutations=4, crossovers=4, rounds=2)
    return config
