"""What a sweep file asks for: every run as a checked recipe, before the first one starts."""

import dataclasses
import difflib
import itertools
import json
import pathlib
import re
import runpy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phijax.errors import InputError
from phijax.train import recipe
from phijax.train.recipe import Recipe

REQUIRED = ('config', 'base', 'seeds')
SHAPES = ('grid', 'runs')
LONGEST_NAME = 200

# Groups whose keys are names of the user's: they may be new.
_OPEN = ('data.weights.', 'data.prepare.')

# What a file that is wrong raises when it is run or called.
_MENDABLE = (
    AttributeError,
    ImportError,
    KeyError,
    NameError,
    SyntaxError,
    TypeError,
    ValueError,
)


@dataclasses.dataclass(frozen=True)
class SweepRun:
    """One training run of a sweep.

    Attributes:
        name: what the runs that differ only in their seed share.
        overrides: dotted field -> value, over the sweep's config; the seed is among them.
    """

    name: str
    seed: int
    recipe: Recipe
    overrides: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """The runs of a sweep file, in the order in which they run.

    That is every name with the first seed, then with the next, so that a sweep that is cut short
    still compares all names.

    Attributes:
        path: the file, with its variant.
        config: the config that the runs change, with its variant.
    """

    path: str
    config: str
    runs: tuple[SweepRun, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the runs, each once."""
        return tuple(dict.fromkeys(run.name for run in self.runs))


def load(path: str) -> Sweep:
    """The sweep of `FILE.py` or `FILE.py:variant`, every run of it checked.

    Raises:
        InputError: the file or its config cannot be used, or a run is none; the message names
            the run, the field, the value met and those allowed.
    """
    fields = dict(_call(path, 'get_sweep'))
    _check_fields(path, fields)
    runs = []
    for seed in fields['seeds']:
        for name, changes in _named(path, fields).items():
            overrides = _with_seed(fields['base'] | changes, seed)
            runs.append(SweepRun(name, seed, _build(name, fields['config'], overrides), overrides))
    return Sweep(path, fields['config'], tuple(runs))


def workdir(root: pathlib.Path, run: SweepRun) -> pathlib.Path:
    """Where a run of the sweep is kept."""
    return root / safe_name(run.name) / f'seed{run.seed}'


def safe_name(name: str) -> str:
    """The name as a directory has it: letters, digits and a few signs, all others `_`."""
    return re.sub(r'[^A-Za-z0-9_.,=+-]+', '_', name).lstrip('.')


def _call(path: str, function: str) -> Any:
    """What a function of a Python file returns for the variant that the path names, if any."""
    file, _, variant = path.partition(':')
    if not pathlib.Path(file).is_file():
        raise InputError(f'no file {file!r}: give FILE.py or FILE.py:VARIANT')
    try:
        made = runpy.run_path(file)[function]
        return made(variant) if variant else made()
    except _MENDABLE as error:
        lacks = {(variant,): f'variant {variant!r}', (function,): f'function {function}(variant)'}
        if isinstance(error, KeyError) and error.args in lacks:
            raise InputError(f'{file} has no {lacks[error.args]}') from error
        raise InputError(f'{path} cannot be used: {type(error).__name__}: {error}') from error


def _check_fields(path: str, fields: Mapping[str, Any]) -> None:
    _check_keys(path, fields)
    if not isinstance(fields['config'], str):
        raise InputError(f'{path}: config must be FILE.py[:VARIANT], got {fields["config"]!r}')
    _check_overrides(path, 'base', fields['base'])
    _check_seeds(path, fields['seeds'])


def _check_keys(path: str, fields: Mapping[str, Any]) -> None:
    allowed = (*REQUIRED, *SHAPES)
    for key in fields:
        if key not in allowed:
            raise InputError(f'{path}: unknown key {key}{_hint(key, allowed)}')
    missing = [key for key in REQUIRED if key not in fields]
    if missing:
        raise InputError(f'{path} lacks {", ".join(missing)}')
    if ('grid' in fields) == ('runs' in fields):
        given = 'both' if 'grid' in fields else 'neither'
        raise InputError(f'{path} must have either grid or runs, it has {given}')


def _check_seeds(path: str, seeds: Any) -> None:
    whole = isinstance(seeds, list | tuple) and all(type(seed) is int for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f'{path}: seeds must be different whole numbers, got {seeds!r}')


def _check_overrides(path: str, what: str, overrides: Any) -> None:
    texts = isinstance(overrides, Mapping) and all(isinstance(key, str) for key in overrides)
    if not texts:
        raise InputError(f'{path}: {what} must be values by dotted field, got {overrides!r}')
    if 'seed' in overrides:
        raise InputError(f'{path}: {what} has seed; the seeds are those of seeds')


def _named(path: str, fields: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The overrides of each run, by its name."""
    pairs = list(_grid(path, fields['grid']) if 'grid' in fields else _runs(path, fields['runs']))
    taken: dict[str, str] = {}
    for name, _ in pairs:
        safe = safe_name(name)
        if not safe or len(safe) > LONGEST_NAME:
            raise InputError(
                f'{path}: {name!r} cannot name a directory: it must have from 1 to {LONGEST_NAME} '
                'letters, digits or -'
            )
        # Some disks do not tell upper case from lower.
        if safe.lower() in taken:
            other = taken[safe.lower()]
            raise InputError(f'{path}: runs {other!r} and {name!r} would share a directory')
        taken[safe.lower()] = name
    return dict(pairs)


def _runs(path: str, runs: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(runs, Mapping) or not runs:
        raise InputError(f'{path}: runs must be overrides by name, at least one, got {runs!r}')
    for name, overrides in runs.items():
        _check_overrides(path, f'runs[{name!r}]', overrides)
        yield str(name), dict(overrides)


def _grid(path: str, grid: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every combination of the values, named by them."""
    _check_grid(path, grid)
    labels = _labels(list(grid))
    for values in itertools.product(*grid.values()):
        name = ','.join(f'{labels[f]}={_text(v)}' for f, v in zip(grid, values, strict=True))
        yield name, dict(zip(grid, values, strict=True))


def _check_grid(path: str, grid: Any) -> None:
    _check_overrides(path, 'grid', grid)
    for field, values in grid.items():
        if not isinstance(values, list | tuple) or not values:
            raise InputError(f'{path}: grid[{field!r}] must be a list of values, got {values!r}')
    if not grid:
        raise InputError(f'{path}: grid is empty; give a list of values for at least one field')


def _labels(fields: Sequence[str]) -> dict[str, str]:
    """The last part of each field's name, or all of it where that is not enough."""
    last = [field.rpartition('.')[2] for field in fields]
    return {f: part if last.count(part) == 1 else f for f, part in zip(fields, last, strict=True)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _with_seed(overrides: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The overrides of one seed; a text may contain `{seed}`."""
    texts = {k: v.replace('{seed}', str(seed)) for k, v in overrides.items() if isinstance(v, str)}
    return {**overrides, **texts, 'seed': seed}


def _build(name: str, path: str, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe with its overrides, as flags would set them: what is derived follows."""
    config = _call(path, 'get_config')
    known = list(_keys(config))
    for field in overrides:
        if field not in known and not field.startswith(_OPEN):
            raise InputError(f'run {name}: unknown field {field}{_hint(field, known)}')
    try:
        config.update_from_flattened_dict(overrides)
        return recipe.from_dict(config.copy_and_resolve_references().to_dict())
    except (InputError, TypeError) as error:
        raise InputError(f'run {name}: {error}') from error


def _keys(config: Any, prefix: str = '') -> Iterator[str]:
    """The dotted names of fields and of groups."""
    for key, value in config.items():
        yield prefix + key
        if hasattr(value, 'items'):
            yield from _keys(value, f'{prefix}{key}.')


def _hint(key: str, known: Sequence[str]) -> str:
    """The nearest of the known keys, in words."""
    last = key.rpartition('.')[2]
    same = [name for name in known if name.rpartition('.')[2] == last]
    near = same or difflib.get_close_matches(key, known, n=1)
    return f'; did you mean {near[0]}?' if near else f'; known: {", ".join(known)}'
