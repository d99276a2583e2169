"""phi-1.5's texts on common sense and the world: half name a topic, half only show an extract.

    python -m phijax.data.synthesis --config=configs/synth/commonsense.py --workdir=runs/sense

The full recipe divides our 67 subjects into 20,000 topics first. The teacher is named as for
`textbooks.py`. The default extracts are prose of the installed packages; `:hub` takes them from
Falcon RefinedWeb, online; `:smoke` asks for 40 texts.

Expected: PENDING.
Source: arXiv:2309.05463, sec. 2.2 (20K topics, samples of web data in the prompts, about 20B
tokens); the halves and all else are our choice.
"""

import sysconfig

import ml_collections

SUFFIXES = ('md', 'rst', 'txt')
REFINED_WEB = {
    'kind': 'hub',
    'dataset': 'tiiuae/falcon-refinedweb',
    'column': 'content',
    'max_bytes': 200_000_000,
}


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    small, hub = {'full': (False, False), 'smoke': (True, False), 'hub': (False, True)}[variant]
    root = sysconfig.get_paths()['purelib']
    prose = {'kind': 'files', 'paths': tuple(f'{root}/**/*.{suffix}' for suffix in SUFFIXES)}
    config = ml_collections.ConfigDict()
    config.sources = {'web': REFINED_WEB if hub else prose}
    config.topics = {'taxonomy': 'commonsense', 'leaves': 400 if small else 20_000}
    config.seeds = {'max_extracts': 200 if small else 10_000}
    config.texts = {'kind': 'commonsense', 'samples': 40 if small else 100_000, 'seed': 0}
    config.teacher = {
        'model': 'teacher',
        'temperature': 1.0,
        'max_rejected': 1.0 if small else 0.5,
    }
    config.diversity = {'window': 20, 'least': 10} if small else {'window': 1000, 'least': 200}
    config.plain = {'samples': 20 if small else 1000}
    config.endpoint = {'url': 'http://127.0.0.1:8080/v1', 'key_variable': ''}
    config.budget = {'max_tokens': 1_000_000 if small else 100_000_000, 'max_dollars': 0.0}
    return config
