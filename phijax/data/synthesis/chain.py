"""The chain: which stage reads which, and running them one after the other.

topics ──┐
seeds ───┼──> texts ──> pairs      plain
mine ────┘
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phijax.data import stage
from phijax.data.engines import Engine
from phijax.data.stage import Stage, Step
from phijax.data.synthesis import seeds, texts, writing
from phijax.data.synthesis.config import Config, wording
from phijax.data.synthesis.exercises import mining

log = logging.getLogger(__name__)

STAGES = (
    Stage('topics', writing.find_topics, groups=('topics', 'teacher'), is_single=True),
    Stage('seeds', seeds.work, groups=('sources', 'seeds'), is_single=True),
    Stage('mine', mining.work, groups=('sources', 'exercises'), is_single=True),
    Stage(
        'texts',
        writing.write_texts,
        ('topics', 'seeds', 'mine'),
        ('texts', 'exercises', 'teacher', 'diversity'),
        is_single=True,
    ),
    Stage(
        'pairs',
        writing.write_pairs,
        ('texts',),
        ('pairs', 'texts', 'teacher', 'diversity'),
        is_single=True,
    ),
    Stage(
        'plain',
        writing.write_plain,
        groups=('plain', 'texts', 'teacher', 'diversity'),
        is_single=True,
    ),
)
NAMES = tuple(each.name for each in STAGES)


def run(config: Config, workdir: Path, engine: Engine, only: str = '') -> dict[str, Step]:
    """The steps by name, after those that are missing are made; `only` makes no other stage.

    Raises:
        InputError: if a stage cannot be made; what was answered stays, and the same command goes
            on.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    done: dict[str, Step] = {}
    for each in STAGES:
        step = make_step(each, config, workdir, done)
        if (not only or each.name == only) and not stage.is_finished(step):
            account = stage.run(each, step, engine)['account']
            log.info(
                '%s: %d given, %d kept, dropped %s',
                *(each.name, account['given'], account['kept'], account['dropped'] or 'none'),
            )
        done[each.name] = step
        if each.name == only:
            break
    return done


def make_step(each: Stage, config: Config, workdir: Path, done: Mapping[str, Step]) -> Step:
    """The step of a stage under a config, whose inputs are done."""
    settings: dict[str, Any] = {name: config.group(name) for name in each.groups}
    if 'texts' in each.groups:
        settings['wording'] = texts.identity(wording(config.texts.kind), config.texts)
    plain = json.loads(json.dumps(settings))
    runtime = {'endpoint': dict(config.endpoint), 'budget': dict(config.budget)}
    return stage.make_step(each, workdir, 1, plain, done, runtime)
