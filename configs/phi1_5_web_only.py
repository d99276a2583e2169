"""phi-1.5-web-only: phi-1.5 on filtered web text and code, without synthetic text.

    python -m phijax.train --config=configs/phi1_5_web_only.py --workdir=runs/phi1_5_web_only

Expected: 3,000 hours of one A100, as phi-1.5-web; WinoGrande 60.4 %, ARC-challenge 32.9 %,
HumanEval 17.2 %.
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
    config.name = 'phi1_5_web_only'
    # Source: sec. 2.4: about 80 % web and 20 % code.
    config.data.weights = {'web': 0.8, 'code': 0.2}
    config.data.made_by = 'configs/tokenize/phi1_5.py:web_only'
    if variant == 'full':
        # Open: as many tokens as phi-1.5-web sees.
        config.num_steps = 300_000_000_000 // (2048 * 2048)
        config.data.update(
            directory='data/phi1_5_web_only', made_by='configs/tokenize/phi1_5.py:web_only'
        )
    else:
        stdlib = {'kind': 'stdlib', 'max_bytes': 1_000_000}
        config.data.prepare.sources = dict.fromkeys(config.data.weights, stdlib)
    return config
