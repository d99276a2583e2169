"""Peak rates around quickstart's own, at a small size: is the difference more than the seeds'?

    python -m phijax.train --sweep=experiments/quickstart/sweep.py --workdir=runs/rates

Expected: six runs of 40 steps, three to five minutes on 2 cores. Variants: full, brief (two rates).
"""

from typing import Any


def get_sweep(variant: str = 'full') -> dict[str, Any]:
    rates = {'full': [3e-3, 6e-3, 1.2e-2], 'brief': [3e-3, 6e-3]}[variant]
    return {
        'config': 'configs/quickstart.py:smoke',
        'base': {
            'evaluate_every': 10,
            'prompts': [],
            # The smallest variant has too little text for any to be held out.
            'data.prepare.sources.stdlib.max_bytes': 2_000_000,
        },
        'grid': {'optimizer.peak_rate': rates},
        'seeds': [0, 1],
    }
