"""phi-1's exercises: functions to be written from their docstrings, whose examples were run.

    python -m phijax.data.synthesis --config=configs/synth/exercises.py --workdir=runs/exercises

The teacher is named as for `textbooks.py`. `:completed` is for a weak teacher: it is given the
signature and docstring of functions that are mined from the installed packages, and writes bodies;
`:smoke` asks for 40 exercises. Each program runs in the sandbox; `exercises.unsafe` says what else
there is. The documents are in `texts-*/documents-*.parquet` below the workdir.

Expected: not measured yet with a strong teacher.
Source: arXiv:2306.11644, sec. 2.3 (docstring and solution, names constrained, under 180M tokens);
prompts, names and the run of the examples are our choice.
"""

import ml_collections


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    mode, samples, small = {
        'full': ('written', 880_000, False),
        'smoke': ('written', 40, True),
        'completed': ('completed', 2000, True),
    }[variant]
    config = ml_collections.ConfigDict()
    config.sources = {'library': {'kind': 'installed'}}
    config.seeds = {'max_extracts': 200 if small else 10_000}
    config.texts = {'kind': 'exercises', 'samples': samples, 'seed': 0}
    config.exercises = {
        'mode': mode,
        'files': 1500 if variant == 'smoke' else 0,
        'attempts': 4,
        'is_permissive': True,
        'unsafe': '',
    }
    config.teacher = {
        'model': 'teacher',
        'temperature': 1.0,
        'max_rejected': 1.0 if small else 0.5,
    }
    factors = ('attempt',) if mode == 'completed' else ('form', 'technique')
    window = {'window': 20, 'least': 10} if small else {'window': 1000, 'least': 200}
    config.diversity = {**window, 'factors': factors}
    config.plain = {'samples': 0 if mode == 'completed' else 20 if small else 1000}
    config.endpoint = {'url': 'http://127.0.0.1:8080/v1', 'key_variable': ''}
    config.budget = {'max_tokens': 1_000_000 if small else 1_000_000_000, 'max_dollars': 0.0}
    return config
