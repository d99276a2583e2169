"""Synthesis: documents that a language model writes, told apart by what it is asked.

`run` is the whole of it; `python -m phijax.data.synthesis` calls it. `chain` has the stages.
"""

from __future__ import annotations

import os
from pathlib import Path

from phijax.data.engines import Engine
from phijax.data.settings import check
from phijax.data.synthesis import chain, pages
from phijax.data.synthesis.config import Config, from_dict

__all__ = ['Config', 'from_dict', 'run']


def run(config: Config, workdir: str | os.PathLike[str], engine: Engine, only: str = '') -> str:
    """A few lines on what came of it, after every stage that is missing is made, and the report.

    A run that was killed is taken up again by the same call: what was answered is not asked again.

    Args:
        only: the one stage to make, of inputs that are there; `report` is the last.

    Raises:
        InputError: if a stage cannot be made; its `exit_code` says what kind of reason it was.
    """
    names = (*chain.NAMES, 'report')
    check(not only or only in names, 'stage', only, f'one of {", ".join(names)}')
    done = chain.run(config, Path(workdir), engine, only if only in chain.NAMES else '')
    if only in chain.NAMES:
        return f'{done[only].directory}'
    return pages.write(config, Path(workdir), done)
