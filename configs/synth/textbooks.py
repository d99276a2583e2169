"""phi-1's textbooks: prose with programs, told apart by topic, audience, form and five more.

    python -m phijax.data.synthesis --config=configs/synth/textbooks.py --workdir=runs/textbooks

`--config.endpoint.url=…` and `--config.teacher.model=…` name the teacher: any OpenAI-compatible
endpoint. `budget.max_tokens` is never exceeded; `:smoke` asks for 40 texts. Extracts are of the
manuals of installed packages; `--config.texts.kind=knowledge --config.topics.taxonomy=commonsense`
writes on general knowledge instead. The documents are in `texts-*/documents-*.parquet` below the
workdir, for `phijax.data.filtering` and `phijax.data.tokenize`.

Expected: not measured yet with a real teacher.
Source: arXiv:2306.11644, sec. 2.2 (under 1B tokens; topic and audience are varied); what the paper
leaves open is marked in the code.
"""

import sysconfig

import ml_collections

SUFFIXES = ('md', 'rst', 'txt')


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    small = {'full': False, 'smoke': True}[variant]
    root = sysconfig.get_paths()['purelib']
    manuals = tuple(f'{root}/**/*.{suffix}' for suffix in SUFFIXES)
    config = ml_collections.ConfigDict()
    config.sources = {'manuals': {'kind': 'files', 'paths': manuals}}
    config.topics = {'taxonomy': 'code', 'leaves': 300 if small else 5000}
    config.seeds = {'max_extracts': 200 if small else 10_000}
    config.texts = {'kind': 'code', 'samples': 40 if small else 20_000, 'seed': 0}
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
