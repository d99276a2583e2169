"""The smallest run that has everything: two sources, dropout, a warmup, a decay, checkpoints.

Also a config file: `python -m phijax.train --config=tests/train/tiny.py --config.data.directory=…`,
with the variants `chat` and `preference`.
"""

import argparse
import inspect
import json
import pathlib
import textwrap
from typing import Any

import ml_collections

from phijax import models
from phijax.data import tokenize
from phijax.train import recipe

VOCAB_SIZE = 384
MODEL = {
    'vocab_size': VOCAB_SIZE,
    'embed_dim': 32,
    'num_layers': 2,
    'num_heads': 4,
    'num_kv_heads': 4,
    'head_dim': 8,
    'mlp_dim': 64,
    'rotary_dim': 4,
    'max_length': 32,
    'residual_dropout': 0.1,
}


# What learning from `tokenise_chats` changes, by the kind of the objective.
OBJECTIVES: dict[str, dict[str, Any]] = {
    kind: {
        'objective': {'kind': kind, 'beta': 0.1},
        'data.weights': {kind: 1.0},
        'data.length': 32,
        'data.attention': 'document',
    }
    for kind in ('chat', 'preference')
}


def get_config(kind: str = 'pretraining') -> ml_collections.ConfigDict:
    return ml_collections.ConfigDict(fields(**({'pretraining': {}} | OBJECTIVES)[kind]))


def fields(**changes: Any) -> dict[str, Any]:
    """The config as plain values; a change is `num_steps=3` or `**{'model.remat': 'full'}`."""
    values = {
        'name': 'tiny',
        'num_steps': 20,
        'batch_size': 16,
        'seed': 7,
        'init_from': '',
        'loss_chunk': 0,
        'evaluate_every': 5,
        'evaluate_rows': 16,
        'log_every': 1,
        'max_skips': 3,
        'prompts': (),
        'model': models.to_dict(models.config('phi1_small', **MODEL)),
        'data': {
            'directory': '',
            'made_by': 'configs/tokenize/stdlib.py',
            'weights': {'argparse': 0.75, 'textwrap': 0.25},
            'length': 16,
            'attention': 'packed',
            'prepare': {},
        },
        'optimizer': {
            'schedule': 'linear',
            'peak_rate': 1e-2,
            'final_rate': 0.0,
            'warmup_steps': 4,
            'decay_steps': 0,
            'b1': 0.9,
            'b2': 0.95,
            'eps': 1e-8,
            'weight_decay': 0.1,
            'clip_norm': 1.0,
        },
        'mesh': {'data': -1, 'fsdp': 1, 'tensor': 1, 'layout': 'zero3', 'rows_per_device': 16},
        'checkpoints': {'every': 5, 'keep': 2, 'keep_every': 0, 'select': 'last'},
    }
    for name, value in changes.items():
        group, _, key = name.rpartition('.')
        (values[group] if group else values)[key] = value
    return values


def make(**changes: Any) -> recipe.Recipe:
    """The checked recipe; changes as for `fields`."""
    return recipe.from_dict(fields(**changes))


def tokenise(directory: pathlib.Path) -> pathlib.Path:
    """Two modules of the standard library, cut into many documents; where their tokens are."""
    sources = {}
    for module in (argparse, textwrap):
        path = directory / f'{module.__name__}.jsonl'
        paragraphs = inspect.getsource(module).split('\n\n')
        path.write_text(''.join(json.dumps({'text': text}) + '\n' for text in paragraphs))
        sources[module.__name__] = {'kind': 'files', 'paths': [str(path)]}
    config = {'sources': sources, 'vocab_size': VOCAB_SIZE, 'heldout_fraction': 0.1}
    tokenize.run(tokenize.from_dict(config), directory / 'tokens')
    return directory / 'tokens'


def tokenise_chats(directory: pathlib.Path) -> pathlib.Path:
    """Conversations, and pairs of a polite and a rude answer; where their tokens are."""
    pairs: list[dict[str, Any]] = [
        {'prompt': f'Say {n}', 'chosen': f'yes {n}', 'rejected': f'{n * n} no'} for n in range(160)
    ]
    chats = [
        {'messages': [said('user', pair['prompt']), said('assistant', pair['chosen'])]}
        for pair in pairs
    ]
    sources = {}
    for kind, records in (('chat', chats), ('preference', pairs)):
        path = directory / f'{kind}.jsonl'
        path.write_text(''.join(json.dumps(record) + '\n' for record in records))
        sources[kind] = {'kind': kind, 'paths': [str(path)], 'format': 'phi3'}
    config = {'sources': sources, 'vocab_size': VOCAB_SIZE, 'heldout_fraction': 0.2}
    tokenize.run(tokenize.from_dict(config), directory / 'tokens')
    return directory / 'tokens'


def said(role: str, content: str) -> dict[str, str]:
    """A message."""
    return {'role': role, 'content': content}
