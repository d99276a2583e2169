"""The chain: which stage reads which, and running them one after the other.

ingest -> exact -> annotate ─┐
             └──> embed ─────┴> forest -> score -> select -> sketch -> near
                                documents <- decontaminate <- phrases <─┘
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phijax.data import progress, stage, tokenize
from phijax.data.engines import Engine
from phijax.data.filtering import (
    annotate,
    curriculum,
    embed,
    exact,
    fit,
    ingest,
    leaks,
    near,
    score,
    select,
    verdicts,
)
from phijax.data.filtering.config import Config
from phijax.data.stage import Account, Stage, Step

log = logging.getLogger(__name__)

STAGES = (
    Stage('ingest', ingest.work, groups=('sources', 'ingest')),
    Stage('exact', exact.work, ('ingest',), is_single=True),
    Stage('annotate', annotate.work, ('ingest', 'exact'), ('annotate',), is_single=True),
    Stage('embed', embed.work, ('ingest', 'exact'), ('embed',)),
    Stage(
        'forest',
        fit.work,
        ('exact', 'annotate', 'embed'),
        ('annotate', 'forest'),
        is_single=True,
    ),
    Stage('score', score.work, ('embed', 'forest'), on_device=True),
    Stage(
        'select',
        select.work,
        ('ingest', 'exact', 'annotate', 'forest', 'score'),
        ('select', 'annotate'),
        is_single=True,
    ),
    Stage('sketch', near.sketch, ('ingest', 'exact', 'select'), ('deduplicate',)),
    Stage(
        'near',
        near.join,
        ('ingest', 'exact', 'select', 'score', 'sketch'),
        ('deduplicate',),
        is_single=True,
    ),
    Stage('phrases', leaks.count, ('ingest', 'exact', 'select', 'near'), ('decontaminate',)),
    Stage(
        'decontaminate',
        leaks.work,
        ('ingest', 'exact', 'select', 'near', 'phrases'),
        ('decontaminate',),
    ),
    Stage(
        'documents',
        curriculum.work,
        ('ingest', 'exact', 'select', 'near', 'decontaminate'),
        ('select',),
    ),
)
NAMES = tuple(each.name for each in STAGES)
# What is left out where everything is kept that is no copy and no leak.
_GRADING = ('annotate', 'forest', 'score', 'select')
GROUPS = tuple(dict.fromkeys(name for each in STAGES for name in each.groups if name != 'sources'))
TOKENS = 'tokens'


def run(config: Config, workdir: Path, engine: Engine, only: str = '') -> dict[str, Step]:
    """The steps by name, after those that are missing are made; `only` makes no other stage.

    Raises:
        InputError: if a stage cannot be made; what is done stays, and the same command goes on.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    done: dict[str, Step] = {}
    for each in stages(config):
        step = make_step(each, config, workdir, done)
        if not only or each.name == only:
            on_device = each.on_device or (each.name == 'embed' and config.embed.kind == 'model')
            _make(dataclasses.replace(each, on_device=on_device), step, engine)
        done[each.name] = step
        if each.name == only:
            break
    return done


def stages(config: Config) -> tuple[Stage, ...]:
    """The stages of a config, in order."""
    if config.select.rule != 'all':
        return STAGES
    return tuple(
        dataclasses.replace(each, needs=tuple(name for name in each.needs if name not in _GRADING))
        for each in STAGES
        if each.name not in _GRADING
    )


def make_step(each: Stage, config: Config, workdir: Path, done: Mapping[str, Step]) -> Step:
    """The step of a stage under a config, whose inputs are done."""
    settings: dict[str, Any] = {name: config.group(name) for name in each.groups}
    if each.name == 'embed':
        settings['embedder'] = embed.identity(config.embed)
    if 'decontaminate' in each.groups:
        settings['items'] = leaks.identity(config.decontaminate)
    plain = json.loads(json.dumps(settings))
    runtime = {'endpoint': dict(config.endpoint), 'budget': dict(config.budget)}
    return stage.make_step(each, workdir, config.ingest.shards, plain, done, runtime)


def _make(each: Stage, step: Step, engine: Engine) -> None:
    if stage.is_finished(step):
        return
    with progress.bar(each.name, step.num_shards, 'shards') as advance:
        manifest = stage.run(each, step, engine, lambda index: advance(1))
    account = manifest['account']
    log.info(
        '%s: %d given, %d kept, dropped %s',
        *(each.name, account['given'], account['kept'], account['dropped'] or 'none'),
    )


def ledger(done: Mapping[str, Step]) -> list[tuple[str, Account]]:
    """The accounts of the stages that drop documents, each beginning where the last one ended.

    Raises:
        AssertionError: if documents were lost between two of them.
    """
    names = [name for name in ('ingest', *verdicts.DROPPING) if name in done]
    rows = [(name, Account(**stage.manifest(done[name])['account'])) for name in names]
    for (before, first), (after, second) in itertools.pairwise(rows):
        if first.kept != second.given:
            raise AssertionError(f'{before} kept {first.kept}, {after} was given {second.given}')
    return rows


def tokens(config: Config, workdir: Path, documents: Step) -> tuple[Path, dict[str, Any]]:
    """The directory of token shards of what is kept, a source for each phase, and its manifest."""
    digest = stage.manifest(documents)['digest'][:8]
    count = len(config.select.amounts)
    sources = {
        f'phase_{number}': {
            'kind': 'files',
            'paths': (f'{documents.directory}/phase-{number}-*.parquet',),
        }
        for number in range(1, count + 1)
    }
    directory = workdir / f'{TOKENS}-{digest}'
    settings = tokenize.from_dict({'sources': sources, **config.group('tokenize')})
    return directory, tokenize.run(settings, directory)
