"""The small models that are grown: one of each geometry for each seed.

    python -m phijax.train --sweep=experiments/upscaling/small.py --workdir=runs/upscaling/small

Variants: full, smoke (20 steps, one seed).
"""

import pathlib
import runpy
from typing import Any

_METHODS = runpy.run_path(str(pathlib.Path(__file__).with_name('methods.py')))


def get_sweep(variant: str = 'full') -> dict[str, Any]:
    return {
        'config': 'configs/quickstart.py',
        'base': _METHODS['base'](variant),
        'runs': {name: _METHODS['model'](sizes) for name, sizes in _METHODS['SMALL'].items()},
        'seeds': _METHODS['seeds'](variant),
    }
