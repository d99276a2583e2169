"""One update: gradients of a batch in microbatches, and the state after it."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from phijax import models, partitioning
from phijax.data import conversations, packing
from phijax.train import losses, optimizer
from phijax.train.recipe import Recipe

# Source: torch.amp.GradScaler's and DeepSpeed's defaults; phi's own settings are not published.
INITIAL_LOSS_SCALE = 2.0**16
LOSS_SCALE_GROWTH_STEPS = 1000
SMALLEST_LOSS_SCALE = 1.0


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """All that an update reads and writes, and all that a checkpoint holds.

    Attributes:
        step: batches seen.
        loss_scale: what the loss is multiplied by before the backward pass (1 but for float16).
        good_steps: finite updates since the scale last changed.
        skipped: updates skipped for non-finite gradients, in all.
        skipped_in_a_row: those since the last good update, not counting those that only lowered
            the loss scale.
        reference: the parameters that a preference is learned against, which are those of the
            run's start; else None.
    """

    step: jax.Array
    params: Any
    opt_state: Any
    loss_scale: jax.Array
    good_steps: jax.Array
    skipped: jax.Array
    skipped_in_a_row: jax.Array
    reference: Any = None


class Layout(NamedTuple):
    """Where the arrays of a run live."""

    mesh: jax.sharding.Mesh
    state: State
    gradients: Any


class Program(NamedTuple):
    """The jitted functions of a run, and where their arrays live.

    Attributes:
        init: `() -> state`.
        update: `(state, batch) -> (state, metrics)`; the state that it is given is gone.
        evaluate: `(weights(state), batch) -> (loss, count, …)`, sums over tokens or pairs, and
            those of the objective's `losses.MEASURES`.
    """

    layout: Layout
    init: Any
    update: Any
    evaluate: Any


def abstract_state(recipe: Recipe) -> State:
    """Shapes and dtypes of the state; nothing is computed."""
    return jax.eval_shape(lambda: _fresh(recipe, _transform(recipe)))


def abstract_batch(recipe: Recipe, num_rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of so many rows, or pairs of them, as the objective needs them."""
    names = (
        *packing.FIELDS,
        *(() if recipe.objective.form == 'text' else (conversations.LEARNED,)),
    )
    shape = (num_rows, *((2,) if recipe.objective.has_pairs else ()), recipe.data.length + 1)
    return {name: jax.ShapeDtypeStruct(shape, np.int32) for name in names}


def abstract_update(recipe: Recipe) -> tuple[State, dict[str, jax.ShapeDtypeStruct]]:
    """Shapes and dtypes of what `update` takes."""
    stop = {'stop': jax.ShapeDtypeStruct((recipe.batch_size,), np.int32)}
    return abstract_state(recipe), abstract_batch(recipe, recipe.batch_size) | stop


def weights(state: State) -> Any:
    """What `evaluate` needs of a state: the parameters, and with them the reference if any."""
    return state.params if state.reference is None else (state.params, state.reference)


def make(recipe: Recipe, mesh: jax.sharding.Mesh) -> Program:
    """The functions of one run on one mesh, with explicit layouts in and out."""
    layout = _layout(recipe, mesh)
    transform = _transform(recipe)
    whole, rows = partitioning.replicated(mesh), partitioning.rows(mesh)
    parts = recipe.num_microbatches(tuple(mesh.shape.values()))

    def update(state: State, batch: losses.Batch) -> tuple[State, dict[str, jax.Array]]:
        with partitioning.activations(mesh):
            return _update(recipe, transform, layout, parts, state, batch)

    def evaluate(weights: Any, batch: losses.Batch) -> tuple[jax.Array, ...]:
        params, reference = weights if recipe.objective.has_pairs else (weights, None)
        with partitioning.activations(mesh):
            return _loss(recipe, params, reference, batch, None)

    return Program(
        layout,
        jax.jit(lambda: _fresh(recipe, transform), out_shardings=layout.state),
        jax.jit(
            update,
            in_shardings=(layout.state, rows),
            out_shardings=(layout.state, whole),
            donate_argnums=0,
        ),
        jax.jit(evaluate, in_shardings=(weights(layout.state), rows), out_shardings=whole),
    )


def _transform(recipe: Recipe) -> optax.GradientTransformation:
    return optimizer.make(recipe.optimizer, recipe.num_steps, models.axes(recipe.model))


def _layout(recipe: Recipe, mesh: jax.sharding.Mesh) -> Layout:
    axes, sizes = models.axes(recipe.model), recipe.model.sizes
    cut = partitioning.layout(mesh, axes, sizes)
    gathered = recipe.mesh.layout == 'zero2'
    params = partitioning.layout(mesh, axes, sizes, gathered=gathered)
    state = partitioning.layout_like(mesh, abstract_state(recipe), cut)
    reference = params if recipe.objective.has_pairs else None
    return Layout(mesh, dataclasses.replace(state, params=params, reference=reference), cut)


def _fresh(recipe: Recipe, transform: optax.GradientTransformation) -> State:
    params = models.init(recipe.model, jax.random.key(recipe.seed))
    half = recipe.model.dtype == 'float16'
    zero = jnp.int32(0)
    return State(
        step=zero,
        params=params,
        opt_state=transform.init(params),
        loss_scale=jnp.float32(INITIAL_LOSS_SCALE if half else 1),
        good_steps=zero,
        skipped=zero,
        skipped_in_a_row=zero,
        reference=params if recipe.objective.has_pairs else None,
    )


def _loss(
    recipe: Recipe, params: Any, reference: Any, batch: losses.Batch, key: jax.Array | None
) -> tuple[jax.Array, ...]:
    """Sums: of the loss, of its terms, and of the objective's measures."""
    if recipe.objective.has_pairs:
        return losses.preference(
            recipe.model,
            params,
            reference,
            batch,
            beta=recipe.objective.beta,
            chunk=recipe.loss_chunk,
            key=key,
        )
    return losses.pretraining(
        recipe.model,
        params,
        batch,
        within_documents=recipe.data.attention == 'document',
        chunk=recipe.loss_chunk,
        key=key,
    )


def _update(
    recipe: Recipe,
    transform: optax.GradientTransformation,
    layout: Layout,
    parts: int,
    state: State,
    batch: losses.Batch,
) -> tuple[State, dict[str, jax.Array]]:
    stop = batch['stop'].max()
    key = jax.random.fold_in(jax.random.key(recipe.seed + 1), state.step)
    rows = {name: value for name, value in batch.items() if name != 'stop'}
    (loss, count, *measures), gradients = _gradients(recipe, layout, parts, state, rows, key)
    mean = recipe.terms_per_step / (count * state.loss_scale)
    gradients = jax.tree.map(lambda g: g * mean, gradients)
    norm = optax.tree.norm(gradients)
    finite = jnp.isfinite(norm) & jnp.isfinite(loss)
    updates, opt_state = transform.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    keep = lambda new, old: jnp.where(finite, new, old)  # noqa: E731
    made = state.step - state.skipped
    metrics = {
        'loss': loss / count,
        'grad_norm': norm,
        'learning_rate': optimizer.schedule(recipe.optimizer, recipe.num_steps)(made),
        'loss_scale': state.loss_scale,
        'skipped': state.skipped + ~finite,
        'skipped_in_a_row': _skips_in_a_row(recipe, state, finite),
        'stop': stop,
        **_measured(recipe, count, measures),
    }
    scale, good_steps = _next_loss_scale(recipe, state, finite)
    return (
        State(
            step=state.step + 1,
            params=jax.tree.map(keep, params, state.params),
            opt_state=jax.tree.map(keep, opt_state, state.opt_state),
            loss_scale=scale,
            good_steps=good_steps,
            skipped=metrics['skipped'],
            skipped_in_a_row=metrics['skipped_in_a_row'],
            reference=state.reference,
        ),
        metrics,
    )


def _measured(recipe: Recipe, count: jax.Array, sums: list[jax.Array]) -> dict[str, jax.Array]:
    """What the objective reports of an update besides its loss."""
    names = losses.MEASURES[recipe.objective.kind]
    means = {name: total / count for name, total in zip(names, sums, strict=True)}
    return means | ({'learned_tokens': count} if recipe.objective.form == 'chat' else {})


def _gradients(
    recipe: Recipe, layout: Layout, parts: int, state: State, batch: losses.Batch, key: jax.Array
) -> tuple[tuple[jax.Array, ...], Any]:
    """Sums over the microbatches: those of `_loss`, and gradients of the scaled mean loss."""

    def scaled(params: Any, rows: losses.Batch, key: jax.Array) -> tuple[jax.Array, tuple]:
        sums = _loss(recipe, params, state.reference, rows, key)
        # A mean, not a sum, so that the scaled gradients of single tokens fit into float16.
        return sums[0] * (state.loss_scale / recipe.terms_per_step), sums

    def add(total: tuple, part: tuple) -> tuple[tuple, None]:
        index, rows = part
        gradient, sums = jax.grad(scaled, has_aux=True)(
            state.params, rows, jax.random.fold_in(key, index)
        )
        gradient = jax.lax.with_sharding_constraint(gradient, layout.gradients)
        return jax.tree.map(jnp.add, total, (sums, gradient)), None

    zeros = jax.tree.map(jnp.zeros_like, state.params)
    zeros = jax.lax.with_sharding_constraint(zeros, layout.gradients)
    measures = (jnp.float32(0) for _ in losses.MEASURES[recipe.objective.kind])
    total = ((jnp.float32(0), jnp.int32(0), *measures), zeros)
    if parts == 1:
        return add(total, (jnp.int32(0), batch))[0]
    # Microbatch m takes every parts-th row, so that no row leaves its device.
    split = jax.tree.map(
        lambda x: jnp.moveaxis(x.reshape(x.shape[0] // parts, parts, *x.shape[1:]), 1, 0), batch
    )
    return jax.lax.scan(add, total, (jnp.arange(parts), split))[0]


def _skips_in_a_row(recipe: Recipe, state: State, finite: jax.Array) -> jax.Array:
    backing_off = state.loss_scale > SMALLEST_LOSS_SCALE if _is_half(recipe) else False
    return jnp.where(finite, 0, state.skipped_in_a_row + jnp.where(backing_off, 0, 1))


def _next_loss_scale(
    recipe: Recipe, state: State, finite: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The loss scale halves after a non-finite gradient and doubles after a long good run."""
    if not _is_half(recipe):
        return state.loss_scale, state.good_steps
    good = jnp.where(finite, state.good_steps + 1, 0)
    grown = good >= LOSS_SCALE_GROWTH_STEPS
    lowered = jnp.maximum(state.loss_scale / 2, SMALLEST_LOSS_SCALE)
    scale = jnp.where(finite, state.loss_scale * jnp.where(grown, 2, 1), lowered)
    return scale, jnp.where(grown, 0, good)


def _is_half(recipe: Recipe) -> bool:
    return recipe.model.dtype == 'float16'
