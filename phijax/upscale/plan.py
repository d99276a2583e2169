"""A growth as frozen values: what the wide, deep model is, by which rules, and what came of each.

The values are checked against the source before anything is computed.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phijax import models
from phijax.errors import InputError, check_keys
from phijax.interop import layout
from phijax.upscale import depth, width

Params = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Depth:
    """Which old layer each new one starts as; see `depth.layer_map`."""

    method: str
    rounding: str = 'half_up'

    def __post_init__(self) -> None:
        """Checks the values."""
        depth.layer_map(1, 1, self.method, self.rounding)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """One growth.

    Attributes:
        model: what the result is.
        seed: of fresh values, of orders and of noise.
        moments: grow Adam's moments too, for the run that starts from the result. Its learning
            rate warms up anew, as its recipe says.
    """

    model: models.Config
    depth: Depth
    width: width.Rule
    seed: int = 0
    moments: bool = False


_GROUPS = {'depth': Depth, 'width': width.Rule}


def from_dict(fields: Mapping[str, Any]) -> Plan:
    """The growth that a config describes, checked.

    Raises:
        InputError: an unknown or missing key, or a value of another type or outside its range.
    """
    check_keys('', fields, _names(Plan))
    try:
        groups = {name: _group(name, group, fields[name]) for name, group in _GROUPS.items()}
        model = models.from_dict(fields['model'])
        _check_type('seed', fields['seed'], int)
        _check_type('moments', fields['moments'], bool)
        return Plan(model=model, seed=fields['seed'], moments=fields['moments'], **groups)
    except ValueError as error:
        raise InputError(str(error)) from error


def check(plan: Plan, source: models.Config) -> None:
    """Returns when `source` can grow as planned.

    Raises:
        InputError: it is of another family or structure, it would shrink, or a rule cannot do it.
    """
    if models.axes(source) != models.axes(plan.model):
        raise InputError(
            f'the source is a {source.family} model with other arrays than the target, a '
            f'{plan.model.family} model: growth keeps the family and its options'
        )
    if source.pattern != plan.model.pattern:
        raise InputError(
            f'attention must reach as far after growth as before: {plan.model.pattern} is not '
            f'{source.pattern}'
        )
    try:
        abstract = jax.eval_shape(lambda: models.init(source, jax.random.key(0)))
        jax.eval_shape(lambda params: grow(plan, source, params), abstract)
    except ValueError as error:
        raise InputError(str(error)) from error


def layers(plan: Plan, source: models.Config) -> np.ndarray:
    """The layer of the source that each layer of the target starts as.

    Where layers of several kinds take turns, the map is one of whole turns, so that each layer
    stays of its kind.
    """
    turn = len(plan.model.pattern)
    old, new = source.num_layers // turn, plan.model.num_layers // turn
    turns = depth.layer_map(old, new, plan.depth.method, plan.depth.rounding)
    return (turns[:, None] * turn + np.arange(turn)).ravel()


def grow(plan: Plan, source: models.Config, params: Params) -> Params:
    """The parameters of `plan.model` out of those of `source`: first deeper, then wider.

    Arrays of NumPy give arrays of NumPy, one at a time. Arrays of JAX may be sharded, and are then
    best grown under `jax.jit` with the `out_shardings` of the target, so that the model is never
    whole on one device.

    Raises:
        ValueError: a rule cannot do it.
    """
    axes, fan_in = models.axes(source), models.fan_in(source)
    index = layers(plan, source)
    silent = depth.copies(index) if plan.depth.method == 'identity' else None
    return width.widen(
        params,
        axes,
        fan_in,
        source.sizes,
        plan.model.sizes,
        plan.width,
        fresh=initial(plan),
        seed=plan.seed,
        before=depth.restacker(axes, index, fan_in=fan_in, silent=silent),
    )


def grow_moments(plan: Plan, source: models.Config, moments: Mapping[str, Any]) -> dict[str, Any]:
    """Adam's `mu`, `nu` and `count` of the source as those of the target."""
    axes, fan_in = models.axes(source), models.fan_in(source)
    sizes = source.sizes, plan.model.sizes
    restack = depth.restacker(axes, layers(plan, source))

    def grown(name: str, power: int) -> Params:
        return width.widen_moments(
            moments[name],
            axes,
            fan_in,
            *sizes,
            plan.width,
            power=power,
            seed=plan.seed,
            before=restack,
        )

    return {'mu': grown('mu', 1), 'nu': grown('nu', 2), 'count': moments['count']}


def initial(plan: Plan) -> Callable[[str], jax.Array]:
    """From a path, such as `blocks.mlp.up.kernel`, to the target's initial array there.

    Only that array is computed, so the initial model never exists as a whole.
    """

    def array(path: str) -> jax.Array:
        def pick(key: jax.Array) -> jax.Array:
            return layout.flatten(models.init(plan.model, key))[path]

        return jax.jit(pick)(jax.random.key(plan.seed))

    return array


def preserves(plan: Plan, source: models.Config) -> bool:
    """Whether the target computes what the source did."""
    deeper = plan.model.num_layers != source.num_layers
    wider = any(plan.model.sizes[axis] != source.sizes[axis] for axis in 'dnkhf')
    return (plan.depth.method == 'identity' or not deeper) and (plan.width.preserves or not wider)


def difference(
    plan: Plan, source: models.Config, params: Params, grown: Params, length: int = 32
) -> float:
    """The largest difference of the logits of both models, over the largest logit, in float32."""
    tokens = jax.random.randint(jax.random.key(0), (1, length), 0, source.vocab_size)

    def logits(config: models.Config, params: Params) -> jax.Array:
        exact = dataclasses.replace(config, dtype='float32', attention='blocked', remat='none')
        return models.apply(exact, params, tokens)[0][..., : source.vocab_size]

    compiled = jax.jit(logits, static_argnums=0)
    old, new = compiled(source, params), compiled(plan.model, grown)
    return float(jnp.abs(new - old).max() / jnp.abs(old).max())


def origins(plan: Plan, source: models.Config) -> list[dict[str, Any]]:
    """Where the values of each array of the target come from, one row an array."""
    places = width.maps(source.sizes, plan.model.sizes, plan.width, plan.seed)
    shapes = layout.shapes(source), layout.shapes(plan.model)
    rows = []
    for path, names in layout.flatten(models.axes(source)).items():
        before, after = ('x'.join(map(str, shape[path])) for shape in shapes)
        share = width.copied(names, places)
        rows.append(
            {
                'array': path,
                'axes': names,
                'before': before,
                'after': after,
                'from the source': f'{share:.1%}',
                'fresh': f'{1 - share:.1%}',
            }
        )
    return rows


def _group(name: str, group: Callable[..., Any], value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise InputError(f'{name} must be a group of fields, got {value!r}')
    check_keys(f'{name}.', value, _names(group))
    for field in dataclasses.fields(group):  # type: ignore[arg-type]
        _check_type(f'{name}.{field.name}', value[field.name], field.type)
    return group(**value)


def _names(group: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(group)]


def _check_type(key: str, value: Any, kind: Any) -> None:
    fits = type(value) in ((int, float) if kind is float else (kind,))
    if not fits:
        raise InputError(f'{key} must be of type {kind.__name__}, got {value!r}')
