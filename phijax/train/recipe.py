"""A run as frozen dataclasses, checked before any device work. Pure Python: it answers at once."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from phijax import models
from phijax.errors import InputError, check_keys
from phijax.models.configs import FAMILIES
from phijax.train.benchmarks import NONE, Benchmarks
from phijax.train.objective import PRETRAINING, Objective

SCHEDULES = ('linear', 'constant', 'cosine', 'wsd')
LAYOUTS = ('zero3', 'zero2')
ATTENTIONS = ('packed', 'document')
SELECTIONS = ('last', 'best')
LARGEST_SEED = 2**31 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Which tokens a run sees.

    Attributes:
        directory: what `python -m phijax.data.tokenize` wrote; empty means `data` in the workdir.
        made_by: the config file that makes it, for the message when it is missing.
        prepare: a config of `phijax.data.tokenize` that makes the directory when it is not there;
            empty when it must exist.
        weights: source -> share of the rows; empty means every source by its number of tokens.
        length: tokens per row.
        attention: `packed` attends over all of a row, as phi-1 did; `document` within documents.
    """

    directory: str
    made_by: str
    weights: Mapping[str, float]
    length: int
    attention: str
    prepare: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """AdamW and the learning rate of each update.

    Attributes:
        schedule: after a linear warmup: `linear` or `cosine` decay to `final_rate`, `constant`,
            or `wsd`: constant, then linear decay to `final_rate` over the last `decay_steps`.
        clip_norm: largest global norm of the gradient; 0 means no clipping.
    """

    schedule: str
    peak_rate: float
    final_rate: float
    warmup_steps: int
    decay_steps: int
    b1: float
    b2: float
    eps: float
    weight_decay: float
    clip_norm: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mesh:
    """How the run is spread over devices.

    Attributes:
        data, fsdp, tensor: sizes of the mesh axes; one may be -1, which takes the rest.
        layout: `zero3` cuts parameters, gradients and moments along `fsdp`; `zero2` keeps
            parameters whole.
        rows_per_device: rows that a device works on at once; a larger batch is accumulated.
    """

    data: int
    fsdp: int
    tensor: int
    layout: str
    rows_per_device: int

    def shape(self, num_devices: int) -> tuple[int, int, int]:
        """The sizes of the axes on so many devices, with the -1 replaced by what is left.

        Raises:
            InputError: the sizes do not multiply to the number of devices.
        """
        sizes = (self.data, self.fsdp, self.tensor)
        fixed = math.prod(size for size in sizes if size != -1)
        data, fsdp, tensor = (num_devices // fixed if size == -1 else size for size in sizes)
        if data * fsdp * tensor != num_devices:
            raise InputError(
                f'mesh data={self.data}, fsdp={self.fsdp}, tensor={self.tensor} does not cover '
                f'{num_devices} device(s): the sizes must multiply to {num_devices}, or one be -1'
            )
        return data, fsdp, tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """What is kept of a run, in steps.

    Attributes:
        every: a checkpoint after so many steps, and after the last.
        keep: how many of the newest are kept.
        keep_every: those of these steps are kept for good; 0 keeps none so.
        select: the one that other commands open: `last`, `best` (lowest held-out loss among
            those kept), or a step, such as phi-1's 24000 of 36000.
    """

    every: int
    keep: int
    keep_every: int
    select: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run.

    Attributes:
        num_steps: updates; `batch_size`: rows per update, or pairs of them for a preference.
        init_from: checkpoint to start from (a workdir or a Hugging Face directory); empty starts
            fresh.
        loss_chunk: positions whose logits exist at once; 0 means all of a row.
        evaluate_every: steps between evaluations on held-out rows; 0 means only at the end.
        evaluate_rows: held-out rows per source and evaluation; 0 means all.
        max_skips: consecutive updates skipped for non-finite gradients before the run aborts.
        prompts: texts that the trained model completes for the report, or answers where it learned
            from conversations.
        objective: a config without it is one of pretraining.
        benchmarks: a config without it has none.
    """

    name: str
    num_steps: int
    batch_size: int
    seed: int
    init_from: str
    loss_chunk: int
    evaluate_every: int
    evaluate_rows: int
    log_every: int
    max_skips: int
    prompts: tuple[str, ...]
    model: models.Config
    data: Data
    optimizer: Optimizer
    mesh: Mesh
    checkpoints: Checkpoints
    objective: Objective
    benchmarks: Benchmarks

    @property
    def rows_per_step(self) -> int:
        """Rows of tokens of one update; a pair has two."""
        return self.batch_size * (2 if self.objective.has_pairs else 1)

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one update reads."""
        return self.rows_per_step * self.data.length

    @property
    def terms_per_step(self) -> int:
        """The most terms that the loss of one update is a mean of: its tokens or its pairs."""
        return self.batch_size if self.objective.has_pairs else self.tokens_per_step

    def num_microbatches(self, mesh_shape: tuple[int, int, int]) -> int:
        """How many parts a batch is worked on in, on a mesh of this shape.

        Raises:
            InputError: the batch does not divide over the mesh, or into microbatches.
        """
        shards = mesh_shape[0] * mesh_shape[1]
        if self.batch_size % shards:
            raise InputError(
                f'batch_size must be a multiple of {shards} (data x fsdp of the mesh), '
                f'got {self.batch_size}'
            )
        rows = self.batch_size // shards
        at_once = min(rows, self.mesh.rows_per_device)
        if rows % at_once:
            raise InputError(
                f'mesh.rows_per_device must divide the {rows} rows of each device, got {at_once}'
            )
        return rows // at_once


_NOT_NEGATIVE = ('final_rate', 'warmup_steps', 'decay_steps', 'eps', 'weight_decay', 'clip_norm')
_GROUPS = {
    'data': Data,
    'optimizer': Optimizer,
    'mesh': Mesh,
    'checkpoints': Checkpoints,
    'objective': Objective,
    'benchmarks': Benchmarks,
}

# What a config means that has not these groups.
_USUAL: dict[str, Any] = {'objective': PRETRAINING, 'benchmarks': NONE}


def from_dict(fields: Mapping[str, Any]) -> Recipe:
    """The run that a config describes, checked.

    Raises:
        InputError: an unknown or missing key, a wrong type, or values that do not fit together;
            the message names the key, the value met and the values allowed.
    """
    _check_group('the config', fields)
    plain = {name: dataclasses.asdict(usual) for name, usual in _USUAL.items()} | dict(fields)
    if 'model' in plain:
        plain['model'] = _build_model(plain['model'])
    for name, group in _GROUPS.items():
        if name in plain:
            plain[name] = _build(group, plain[name], f'{name}.')
    recipe = _build(Recipe, plain, '')
    _validate(recipe)
    return recipe


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """Every field as plain values, ready for JSON, without the groups that are as usual."""
    usual = [name for name, value in _USUAL.items() if getattr(recipe, name) == value]
    return {name: value for name, value in dataclasses.asdict(recipe).items() if name not in usual}


def _build_model(fields: Mapping[str, Any]) -> models.Config:
    _check_group('model', fields)
    family = FAMILIES.get(str(fields.get('family')), models.Config)
    for field in dataclasses.fields(family):
        if field.name in fields:
            _check_type(f'model.{field.name}', fields[field.name], field.type)
    try:
        return models.from_dict(fields)
    except ValueError as error:
        raise InputError(f'model: {error}') from error


def _build(group: type, fields: Mapping[str, Any], prefix: str) -> Any:
    _check_group(prefix.rstrip('.'), fields)
    known = {field.name: field.type for field in dataclasses.fields(group)}
    check_keys(prefix, fields, known)
    for key, value in fields.items():
        _check_type(prefix + key, value, known[key])
    return group(**{key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()})


def _check_group(key: str, value: Any) -> None:
    _check_type(key, value, Mapping[str, Any])


def _check_type(key: str, value: Any, expected: Any) -> None:
    if expected in _KINDS:
        what, fits = _KINDS[expected]
        if not fits(value):
            raise InputError(f'{key} must be {what}, got {value!r}')


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_group(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value))


# What a field of each type takes, in words and as a check.
_KINDS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    bool: ('true or false', lambda value: isinstance(value, bool)),
    int: ('a whole number', _is_whole),
    float: ('a finite number', _is_number),
    str: ('a text', _is_text),
    tuple[str, ...]: (
        'a list of texts',
        lambda value: isinstance(value, list | tuple) and all(map(_is_text, value)),
    ),
    Mapping[str, float]: (
        'numbers by name',
        lambda value: _is_group(value) and all(map(_is_number, value.values())),
    ),
    Mapping[str, Any]: ('a group of fields', _is_group),
}


def _validate(recipe: Recipe) -> None:
    data, optimizer, mesh = recipe.data, recipe.optimizer, recipe.mesh
    for key, value, allowed in (
        ('data.attention', data.attention, ATTENTIONS),
        ('optimizer.schedule', optimizer.schedule, SCHEDULES),
        ('mesh.layout', mesh.layout, LAYOUTS),
    ):
        if value not in allowed:
            raise InputError(f'{key} must be one of {", ".join(allowed)}, got {value!r}')
    _check_at_least(
        1,
        num_steps=recipe.num_steps,
        batch_size=recipe.batch_size,
        log_every=recipe.log_every,
        max_skips=recipe.max_skips,
        **{
            'data.length': data.length,
            'mesh.rows_per_device': mesh.rows_per_device,
            'checkpoints.every': recipe.checkpoints.every,
            'checkpoints.keep': recipe.checkpoints.keep,
        },
    )
    _check_at_least(
        0,
        seed=recipe.seed,
        loss_chunk=recipe.loss_chunk,
        evaluate_every=recipe.evaluate_every,
        evaluate_rows=recipe.evaluate_rows,
        **{f'optimizer.{field}': getattr(optimizer, field) for field in _NOT_NEGATIVE},
        **{'checkpoints.keep_every': recipe.checkpoints.keep_every},
    )
    if recipe.seed > LARGEST_SEED:
        raise InputError(f'seed must be at most {LARGEST_SEED}, got {recipe.seed}')
    _validate_optimizer(optimizer, recipe.num_steps)
    if data.length > recipe.model.max_length:
        raise InputError(
            f'data.length must be at most model.max_length ({recipe.model.max_length}), '
            f'got {data.length}'
        )
    if recipe.loss_chunk and data.length % recipe.loss_chunk:
        raise InputError(
            f'loss_chunk must be 0 or divide data.length ({data.length}), got {recipe.loss_chunk}'
        )
    sizes = (mesh.data, mesh.fsdp, mesh.tensor)
    if any(size < 1 and size != -1 for size in sizes) or sizes.count(-1) > 1:
        raise InputError(
            'mesh.data, mesh.fsdp and mesh.tensor must be positive, at most one of them -1, '
            f'got {sizes}'
        )
    if any(not weight > 0 for weight in data.weights.values()):
        raise InputError(f'data.weights must be positive, got {dict(data.weights)}')
    recipe.objective.check()
    recipe.benchmarks.check(recipe.evaluate_every)
    _validate_selection(recipe)


def _validate_optimizer(optimizer: Optimizer, num_steps: int) -> None:
    if not optimizer.peak_rate > 0:
        raise InputError(f'optimizer.peak_rate must be positive, got {optimizer.peak_rate}')
    for field in ('b1', 'b2'):
        if not 0 <= getattr(optimizer, field) < 1:
            value = getattr(optimizer, field)
            raise InputError(f'optimizer.{field} must be in [0, 1), got {value}')
    used = optimizer.warmup_steps + (optimizer.decay_steps if optimizer.schedule == 'wsd' else 0)
    if used > num_steps:
        raise InputError(
            f'optimizer.warmup_steps and decay_steps must fit into num_steps ({num_steps}), '
            f'got {optimizer.warmup_steps} and {optimizer.decay_steps}'
        )


def _validate_selection(recipe: Recipe) -> None:
    select, kept = recipe.checkpoints.select, recipe.checkpoints
    if select == 'best' and (not recipe.evaluate_every or kept.every % recipe.evaluate_every):
        raise InputError(
            'checkpoints.select=best needs an evaluation at every checkpoint: evaluate_every must '
            f'divide checkpoints.every ({kept.every}), got {recipe.evaluate_every}'
        )
    if select in SELECTIONS:
        return
    if not select.isdecimal() or not 1 <= int(select) <= recipe.num_steps:
        raise InputError(
            f'checkpoints.select must be last, best, or a step from 1 to {recipe.num_steps}, '
            f'got {select!r}'
        )
    step = int(select)
    saved = step == recipe.num_steps or step % kept.every == 0
    lasting = step == recipe.num_steps or (kept.keep_every and step % kept.keep_every == 0)
    if not saved or not lasting:
        raise InputError(
            f'checkpoints.select={select} needs a checkpoint that is saved and kept: a multiple of '
            f'checkpoints.every ({kept.every}) and of checkpoints.keep_every ({kept.keep_every})'
        )


def _check_at_least(minimum: int, **values: float) -> None:
    for key, value in values.items():
        if not value >= minimum:
            raise InputError(f'{key} must be at least {minimum}, got {value}')
