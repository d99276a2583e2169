"""phi-1.5-web: phi-1.5 with filtered web text among its data.

    python -m phijax.train --config=configs/phi1_5_web.py --workdir=runs/phi1_5_web

Expected: 3,000 hours of one A100; WinoGrande 74.0 %, ARC-challenge 44.9 %, HumanEval 41.4 %.
`:smoke` is a minute on a CPU.
Source: arXiv:2309.05463, sec. 2.4. Open: that batch, rate and optimizer are phi-1.5's too.
"""

import pathlib
import runpy

import ml_collections

# By its path, so that it is found from every directory.
_PHI1_5 = runpy.run_path(str(pathlib.Path(__file__).with_name('phi1_5.py')))


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    config = _PHI1_5['get_config'](variant)
    config.name = 'phi1_5_web'
    # Source: sec. 2.4: about 40 % web, 20 % code, 40 % synthetic text.
    config.data.weights = {'web': 0.4, 'code': 0.2, 'textbooks': 0.4}
    config.data.made_by = 'configs/tokenize/made.py:phi1_5_web'
    if variant == 'full':
        # Source: table 1: 300B tokens.
        config.num_steps = 300_000_000_000 // (2048 * 2048)
        config.data.directory = 'data/phi1_5_web'
    else:
        stdlib = {'kind': 'stdlib', 'max_bytes': 1_000_000}
        config.data.prepare.sources = dict.fromkeys(config.data.weights, stdlib)
    return config
