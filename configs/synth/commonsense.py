"""phi-1.5's texts on common sense and the world: half name a topic, half only show an extract.

    python -m phijax.data.synthesis --config=configs/synth/commonsense.py --workdir=runs/sense

The full recipe divides our 67 subjects into 20,000 topics first. The teacher is named as for
`textbooks.py`. The default extracts are prose of the installed packages; `:hub` takes them from
Falcon RefinedWeb, online; `:smoke` asks for 40 texts.

Expected: not measured yet with a real teacher; 3,000 texts of a made-up one take 20 seconds.
Source: arXiv:2309.05463, sec. 2.2 (20K topics, samples of web data in the prompts, about 20B
tokens); the halves and all else are our choice.
"""

import pathlib
import runpy

import ml_collections

# By its path, so that it is found from every directory.
_TEXTBOOKS = runpy.run_path(str(pathlib.Path(__file__).with_name('textbooks.py')))

REFINED_WEB = {
    'kind': 'hub',
    'dataset': 'tiiuae/falcon-refinedweb',
    'column': 'content',
    'max_bytes': 200_000_000,
}


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    base, hub = {'full': ('full', False), 'smoke': ('smoke', False), 'hub': ('full', True)}[variant]
    config = _TEXTBOOKS['get_config'](base)
    if hub:
        config.sources = {'web': REFINED_WEB}
    small = base == 'smoke'
    config.topics = {'taxonomy': 'commonsense', 'leaves': 400 if small else 20_000}
    config.texts.kind = 'commonsense'
    config.texts.samples = 40 if small else 100_000
    return config
