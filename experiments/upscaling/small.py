"""The small models that are grown: one of each geometry for each seed.

    python -m phijax.train --sweep=experiments/upscaling/small.py --workdir=runs/upscaling/small

Variants: cpu, smoke (20 steps, one seed), full (the published sizes, for accelerators).
"""

import pathlib
import runpy
from typing import Any

_METHODS = runpy.run_path(str(pathlib.Path(__file__).with_name('methods.py')))


def get_sweep(variant: str = 'cpu') -> dict[str, Any]:
    small = _METHODS['sizes'](variant, 'small').items()
    return _METHODS['sweep'](variant, {name: _METHODS['model'](sizes) for name, sizes in small})
