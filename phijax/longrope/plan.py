"""A search as frozen values, checked before anything is computed; and the model that it makes."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from phijax import models
from phijax.errors import InputError, check_keys
from phijax.longrope import baselines
from phijax.longrope.baselines import Method
from phijax.longrope.search import GRID, Settings, Vector, to_factors, to_vector


@dataclasses.dataclass(frozen=True, kw_only=True)
class Texts:
    """Held-out documents, a row each: its first tokens, as many as the target length.

    Attributes:
        directory: what `python -m phijax.data.tokenize` wrote with the model's tokenizer; empty
            means `data` in the model's workdir, whose held-out documents it was not trained on.
        search: documents that the fitness is measured on.
        selection: others, which choose among the finalists.
        report: others again, which all figures of the report are of.
    """

    directory: str
    search: int
    selection: int
    report: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """One search.

    Attributes:
        source: the model: a workdir, a checkpoint in it, or a Hugging Face directory.
        target_length: tokens of the rows that the factors are for.
        magnitude: what long rows multiply cosines and sines by; one of `baselines.MAGNITUDES`.
        seed: of the search; the texts do not depend on it.
        rows_at_once: rows that the device works on at once.
    """

    source: str
    target_length: int
    magnitude: str
    seed: int
    rows_at_once: int
    texts: Texts
    search: Settings


_GROUPS: dict[str, Any] = {'texts': Texts, 'search': Settings}
_LEAST = {
    'target_length': 2,
    'seed': 0,
    'rows_at_once': 1,
    'texts.search': 1,
    'texts.selection': 1,
    'texts.report': 2,
    'search.population': 1,
    'search.parents': 1,
    'search.mutations': 0,
    'search.crossovers': 0,
    'search.rounds': 0,
    'search.budget': 1,
    'search.ceiling': 1,
    'search.finalists': 1,
}


def from_dict(fields: Mapping[str, Any]) -> Plan:
    """The search that a config describes, checked.

    Raises:
        InputError: an unknown or missing key, or a value of another type or outside its range.
    """
    check_keys('', fields, [field.name for field in dataclasses.fields(Plan)])
    values = dict(fields) | {
        name: _build(group, f'{name}.', fields[name]) for name, group in _GROUPS.items()
    }
    plan = _build(Plan, '', values)
    for key, least in _LEAST.items():
        group, _, name = key.rpartition('.')
        value = getattr(getattr(plan, group) if group else plan, name)
        if not value >= least:
            raise InputError(f'{key} must be at least {least}, got {value}')
    if not 0 < plan.search.probability <= 1:
        raise InputError(f'search.probability must be in (0, 1], got {plan.search.probability}')
    if plan.magnitude not in baselines.MAGNITUDES:
        allowed = ', '.join(baselines.MAGNITUDES)
        raise InputError(f'magnitude must be one of {allowed}, got {plan.magnitude!r}')
    return plan


def check(plan: Plan, config: models.Config) -> None:
    """Returns when factors can be searched for the model.

    Raises:
        InputError: it has factors already, or the target is not longer than what it was made for.
    """
    if config.original_length:
        raise InputError(
            f'{plan.source} has LongRoPE factors already (from {config.original_length} tokens to '
            f'{config.max_length}): search from the model that it was made of'
        )
    if plan.target_length <= config.max_length:
        raise InputError(
            f'target_length must be more than {config.max_length}, the max_length of '
            f'{plan.source}, got {plan.target_length}'
        )


def ceiling(plan: Plan, config: models.Config) -> int:
    """The largest number of a vector."""
    return round(GRID * plan.search.ceiling * plan.target_length / config.max_length)


def starts(plan: Plan, config: models.Config) -> list[Vector]:
    """The vectors that the search starts from: linear, NTK-aware and YaRN."""
    methods = baselines.every(config, plan.target_length)
    largest = ceiling(plan, config)
    return [to_vector(methods[name].factors, largest) for name in ('linear', 'ntk', 'yarn')]


def method(plan: Plan, config: models.Config, vector: Vector) -> Method:
    """The factors of a vector, with the magnitude that was planned for them."""
    stretch = plan.target_length / config.max_length
    return Method(
        to_factors(vector), baselines.magnitude(plan.magnitude, config.max_length, stretch)
    )


def extended(config: models.Config, found: Method, target_length: int) -> models.Config:
    """The model with the factors in rows beyond its own length; shorter ones are as they were.

    Sliding windows are no more, as they would hide what lies far back.
    Source: config.json of microsoft/Phi-3-mini-128k-instruct, whose window is longer than a row.
    """
    window: Any = {'window': 0} if hasattr(config, 'window') else {}
    return dataclasses.replace(
        config,
        max_length=target_length,
        original_length=config.max_length,
        short_factors=(1.0,) * len(found.factors),
        short_magnitude=1.0,
        long_factors=found.factors,
        long_magnitude=found.magnitude,
        **window,
    )


def _build(group: type, prefix: str, values: Any) -> Any:
    if not isinstance(values, Mapping):
        raise InputError(f'{prefix.rstrip(".")} must be a group of fields, got {values!r}')
    kinds = {field.name: field.type for field in dataclasses.fields(group)}
    check_keys(prefix, values, kinds)
    for key, kind in kinds.items():
        allowed: Any = (int, float) if kind is float else (kind,)
        if type(values[key]) not in allowed:
            name = getattr(kind, '__name__', kind)
            raise InputError(f'{prefix}{key} must be of type {name}, got {values[key]!r}')
    return group(**values)
