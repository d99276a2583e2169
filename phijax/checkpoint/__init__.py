"""Checkpoints of a run: saved in the background, verified before use, kept by rule.

On disk, in the directory `checkpoints` of a workdir:

    00000010/state/params, 00000010/state/rest   orbax: the `params` of the state; all other leaves
    00000010/manifest.json                       leaves, metadata, size and checksum of every file
    00000020.unfinished/                         being written, renamed to 00000020 when complete
    00000005.deleted/                            being deleted

The rename is the commit: what has no suffix was complete, so whatever it lacks, the manifest too,
is damage and is reported. Only what moves arrays loads jax and orbax, and only when it is first
used, so that a wrong start is answered at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

from phijax.checkpoint.directory import lock, preflight
from phijax.checkpoint.errors import CheckpointError, SaveFailed, WorkdirLocked
from phijax.checkpoint.manifest import FORMAT, num_bytes, read_metadata, steps, verify

if TYPE_CHECKING:
    from phijax.checkpoint.checkpointer import Checkpointer, restore_params, restore_rest

__all__ = [
    'FORMAT',
    'CheckpointError',
    'Checkpointer',
    'SaveFailed',
    'WorkdirLocked',
    'lock',
    'num_bytes',
    'preflight',
    'read_metadata',
    'restore_params',
    'restore_rest',
    'steps',
    'verify',
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module('phijax.checkpoint.checkpointer'), name)
