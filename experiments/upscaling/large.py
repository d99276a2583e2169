"""The large models, from scratch and from what grew: every arm of each geometry for each seed.

    python -m phijax.train --sweep=experiments/upscaling/large.py --workdir=runs/upscaling/large

run.py grows their starts first. Variants: cpu, smoke (20 steps, one seed),
full (the published sizes, for accelerators).
"""

import pathlib
import runpy
from typing import Any

_METHODS = runpy.run_path(str(pathlib.Path(__file__).with_name('methods.py')))


def get_sweep(variant: str = 'cpu') -> dict[str, Any]:
    runs = {}
    for geometry, sizes in _METHODS['sizes'](variant, 'large').items():
        for arm in _METHODS['ARMS'][geometry]:
            start = '' if arm == 'scratch' else _METHODS['start'](variant, geometry, arm)
            runs[f'{geometry}-{arm}'] = _METHODS['model'](sizes) | {'init_from': start}
    return _METHODS['sweep'](variant, runs)
