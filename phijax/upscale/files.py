"""From a model in files to a larger one in a workdir, with a report of what came from where."""

import json
import os
import pathlib
from typing import Any

import jax

from phijax import interop, models, report
from phijax.errors import InputError
from phijax.interop import directory, workdir
from phijax.models import arithmetic
from phijax.upscale import plan as planning
from phijax.upscale.plan import Plan

LIMITS = (
    'A grown model is a start, not a result: how much training it saves, only training shows '
    '(experiments/upscaling).',
    'How Microsoft grew phi-1.5 into phi-2 is not published in detail. The rules here are those '
    'that the talk compares, as others describe them.',
)


def run(plan: Plan, source: str | os.PathLike[str], target: str | os.PathLike[str]) -> str:
    """Makes the workdir `target`, with one checkpoint at step 0; returns a summary to print.

    `target/report.md` and `target/origins.json` say where every array and layer comes from.

    Args:
        source: a workdir, one of its checkpoints, a Hugging Face directory or a GGUF file.

    Raises:
        FileNotFoundError: there is no model at `source`.
        InputError: it cannot grow as planned, or there is something at `target`.
        ValueError: the model at `source` cannot be used.
    """
    with directory.appearing(pathlib.Path(target)) as made:
        config, grown, kept, tokenizer = _grown(plan, source)
        moments = _moments(plan, config, source)
        workdir.write(made, plan.model, grown, tokenizer, source=str(source), moments=moments)
        facts = _facts(plan, config, kept) | {'source': str(source)}
        (made / 'origins.json').write_text(json.dumps(_origins(plan, config), indent=1) + '\n')
        (made / 'report.md').write_text(_page(plan, config, facts, str(target)), 'utf-8')
    return '\n'.join(
        [*(f'{name}: {value}' for name, value in facts.items()), *_next_commands(str(target))]
    )


def _grown(plan: Plan, source: Any) -> tuple[models.Config, Any, float | None, Any]:
    """The source's config, the grown parameters, how well they keep the function, the tokenizer.

    The source's own parameters end here: writing takes memory for the target twice.
    """
    config, params, tokenizer = interop.open(source)
    planning.check(plan, config)
    grown = planning.grow(plan, config, params)
    if not planning.preserves(plan, config):
        return config, grown, None, tokenizer
    return config, grown, planning.difference(plan, config, params, grown), tokenizer


def _moments(plan: Plan, config: models.Config, source: Any) -> dict[str, Any] | None:
    if not plan.moments:
        return None
    moments = interop.moments(source)
    if moments is None:
        raise InputError(f'moments=true, but {source} has none: only the workdir of a run has them')
    return planning.grow_moments(plan, config, moments)


def _facts(plan: Plan, source: models.Config, kept: float | None) -> dict[str, Any]:
    before, after = (arithmetic.count_parameters(config) for config in (source, plan.model))
    facts: dict[str, Any] = {
        'parameters': f'{before:,} -> {after:,} ({after / before:.2f} times)',
        'depth': _rule(plan.depth),
        'width': _rule(plan.width),
        'moments': 'grown too' if plan.moments else 'none: training starts with fresh ones',
    }
    if kept is not None:
        facts['function kept'] = f'logits differ by {kept:.1e} of the largest'
    return facts


def _origins(plan: Plan, source: models.Config) -> dict[str, Any]:
    layers = planning.layers(plan, source).tolist()
    return {'layers': layers, 'arrays': planning.origins(plan, source)}


def _page(plan: Plan, source: models.Config, facts: dict[str, Any], target: str) -> str:
    origins = _origins(plan, source)
    layers = ', '.join(f'{new} <- {old}' for new, old in enumerate(origins['layers']))
    environment = report.environment() | {'device': jax.devices()[0].device_kind}
    return report.page(
        f'Growth of {facts["source"]}',
        [
            ('', report.pairs(facts)),
            ('Layers', f'Each layer and the old layer that it starts as: {layers}.'),
            ('Arrays', report.table(origins['arrays'])),
            ('Next', report.fenced('\n'.join(_next_commands(target)), 'bash')),
            ('What this does not show', '\n'.join(f'- {limit}' for limit in LIMITS)),
            ('Environment', report.pairs(environment)),
        ],
    )


def _rule(rule: Any) -> str:
    return ', '.join(f'{name} {value}' for name, value in vars(rule).items())


def _next_commands(target: str) -> list[str]:
    return [
        f"python -m phijax.generate --checkpoint={target} --prompt='def '",
        f'python -m phijax.train --config=configs/RECIPE.py --config.init_from={target}',
    ]
