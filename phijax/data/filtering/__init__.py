"""Filtering: from a pile of raw files to documents worth learning from, and their tokens.

`run` is the whole of it; `python -m phijax.data.filtering` calls it. `chain` has the stages.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phijax.data.engines import Engine
from phijax.data.settings import check

if TYPE_CHECKING:
    from phijax.data.filtering.config import Config

__all__ = ['from_dict', 'run']

# The stages are imported when they are asked for: a worker that reads files needs no jax, which
# the forest does.


def from_dict(values: Mapping[str, Any]) -> Config:
    """The config of nested plain values.

    Raises:
        InputError: if a group or field is unknown, or a value cannot be used.
    """
    from phijax.data.filtering import config

    return config.from_dict(values)


def run(config: Config, workdir: str | os.PathLike[str], engine: Engine, only: str = '') -> str:
    """A few lines on what came of it, after every stage that is missing is made, and the report.

    A run that was killed is taken up again by the same call: shards that are done stay.

    Args:
        only: the one stage to make, of inputs that are there; `tokens` and `report` are the last.

    Raises:
        InputError: if a stage cannot be made; its `exit_code` says what kind of reason it was.
    """
    from phijax.data.filtering import chain, curriculum, pages

    workdir = Path(workdir)
    names = (*(each.name for each in chain.stages(config)), 'tokens', 'report')
    check(not only or only in names, 'stage', only, f'one of {", ".join(names)}')
    try:
        done = chain.run(config, workdir, engine, only)
    finally:
        engine.close()
    if only in chain.NAMES:
        return f'{done[only].directory}'
    if engine.rank:
        return f'rank {engine.rank} has done its part'
    curriculum.check_nested(done['documents'], len(config.select.amounts))
    directory, manifest = chain.tokens(config, workdir, done['documents'])
    return str(directory) if only == 'tokens' else pages.write(config, workdir, done, manifest)
