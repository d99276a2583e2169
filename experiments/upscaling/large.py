"""The large models, from scratch and from what grew: every arm of each geometry for each seed.

    python -m phijax.train --sweep=experiments/upscaling/large.py --workdir=runs/upscaling/large

run.py grows their starts first. Variants: full, smoke (20 steps, one seed).
"""

import pathlib
import runpy
from typing import Any

_METHODS = runpy.run_path(str(pathlib.Path(__file__).with_name('methods.py')))


def get_sweep(variant: str = 'full') -> dict[str, Any]:
    runs = {}
    for geometry, arms in _METHODS['ARMS'].items():
        for arm in arms:
            start = '' if arm == 'scratch' else f'{_METHODS["start"](variant, geometry, arm)}'
            sizes = _METHODS['model'](_METHODS['LARGE'][geometry])
            runs[f'{geometry}-{arm}'] = sizes | {'init_from': start}
    return {
        'config': 'configs/quickstart.py',
        'base': _METHODS['base'](variant),
        'runs': runs,
        'seeds': _METHODS['seeds'](variant),
    }
