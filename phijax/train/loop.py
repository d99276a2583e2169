"""The training loop, act by act."""

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Callable

import jax

from phijax import checkpoint, interop, models, partitioning
from phijax.data import packing, tokenize
from phijax.errors import InputError
from phijax.models import arithmetic
from phijax.train import closing, door, metrics, optimizer, step
from phijax.train.recipe import Recipe, to_dict
from phijax.train.run import Diverged, Run
from phijax.train.step import Program, State
from phijax.train.stop import Stop, Stopped

FAILED = 1


def train(recipe: Recipe, workdir: pathlib.Path, *, profile: bool = False, wandb: str = '') -> int:
    """Trains, or goes on training, and leaves checkpoints and a report in `workdir`.

    Args:
        profile: trace a few steps into `workdir/profile`.
        wandb: project to log to as well, if wandb is installed; empty for none.

    Returns:
        the process's exit code: 0 at the end of the run; 143 or 130 when a signal ended it early,
        with a checkpoint of where it was; 1 when the last checkpoint could not be written, or
        when `max_skips` updates in a row were skipped.

    Raises:
        InputError: something that the run needs is missing or does not fit.
        checkpoint.CheckpointError: there are checkpoints, and none of them is good.
    """
    door.check(recipe, workdir)
    stop = Stop()
    alone = checkpoint.lock(workdir) if jax.process_index() == 0 else contextlib.nullcontext()
    with stop.handling(), alone:
        try:
            return _train(recipe, workdir, stop, profile, wandb)
        except Stopped:
            return stop.exit_code
        except checkpoint.SaveFailed:  # the checkpointer has said which and why
            return FAILED


def _train(recipe: Recipe, workdir: pathlib.Path, stop: Stop, profile: bool, wandb: str) -> int:
    leader = jax.process_index() == 0
    directory = _data(recipe, workdir, stop)
    mesh = partitioning.make_mesh(recipe.mesh.shape(len(jax.devices())))
    asked = recipe
    recipe = dataclasses.replace(recipe, model=for_platform(recipe.model, mesh))
    program = step.make(recipe, mesh)
    checkpointer = checkpoint.Checkpointer(
        workdir / 'checkpoints',
        keep=recipe.checkpoints.keep,
        keep_every=recipe.checkpoints.keep_every or None,
        keep_best=recipe.checkpoints.select == 'best',
    )
    state = begin(recipe, program, checkpointer, packing.manifest(directory)['digest'], stop)
    start = int(state.step)
    if leader:
        door.write_config(asked, workdir)
        shutil.copytree(directory / 'tokenizer', workdir / 'tokenizer', dirs_exist_ok=True)
    meter = _meter(recipe, mesh, start)
    writer = metrics.Writer(
        workdir if leader else None,
        meter,
        every_steps=recipe.log_every,
        quiet=not leader,
        wandb={'project': wandb, 'config': to_dict(recipe)} if wandb else None,
    )
    # Whatever ends the run, the records and the checkpoint on its way reach the disk.
    with writer, checkpointer:
        writer.note(_opening(recipe, mesh, workdir, start))
        if leader:
            _warn_of_full_disk(recipe, checkpointer.directory, writer)
        run = Run(recipe, directory, program, checkpointer, meter, writer, stop, state, start)
        try:
            run.compile()
            run.steps(workdir / 'profile' if profile else None)
        except Stopped:
            pass  # `stop.requested` says so below; the state is whole between two steps
        except Diverged as error:
            writer.warn(str(error))
            return FAILED
        run.save()
        if run.wait() and not stop.requested:
            closing.close(run, workdir)
    return stop.exit_code


def begin(
    recipe: Recipe,
    program: Program,
    checkpointer: checkpoint.Checkpointer,
    data_digest: str,
    stop: Stop,
) -> State:
    """The state to go on from: the newest good checkpoint, else `init_from`, else a fresh one.

    Moments come along with `init_from` only where growth left them for it.

    Raises:
        InputError: the checkpoint was trained on other data, or `init_from` has another shape.
    """
    if checkpointer.steps():
        abstract = jax.tree.map(
            lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
            step.abstract_state(recipe),
            program.layout.state,
        )
        state, metadata = checkpointer.restore(abstract)
        if metadata['data'] != data_digest:
            raise InputError(
                f'the checkpoint was trained on data {metadata["data"]}, those of this run are '
                f'{data_digest}; use the old data, or start a new workdir with init_from'
            )
        return state
    params = _starting_params(recipe)
    # One process of several must not leave alone.
    state = program.init() if jax.process_count() > 1 else stop.wait_for(program.init)
    if params is None:
        return state
    moments = interop.carried_moments(recipe.init_from)
    opt_state = optimizer.with_moments(state.opt_state, moments) if moments else state.opt_state
    return dataclasses.replace(state, opt_state=opt_state, **_placed(params, program.layout.state))


def _placed(params: models.Params, layout: State) -> dict[str, models.Params]:
    """The fields of a state that begin as these parameters, each with arrays of its own.

    An update overwrites those that are learned, and the reference stays.
    """
    fields = ('params', 'reference')
    layouts = {name: getattr(layout, name) for name in fields if getattr(layout, name) is not None}
    return {name: jax.device_put(params, sharding) for name, sharding in layouts.items()}


def _starting_params(recipe: Recipe) -> models.Params | None:
    """The parameters of `init_from`, on the host; None without it."""
    if not recipe.init_from:
        return None
    config, params, _ = interop.open(recipe.init_from)
    door.check_start(recipe, config)
    return params


def for_platform(config: models.Config, mesh: jax.sharding.Mesh) -> models.Config:
    """The model with what its hardware is best at: cuDNN's attention on GPUs, bfloat16 on TPUs.

    The mesh says what the hardware is, as it may be absent and only compiled for.
    """
    platform = mesh.devices.flat[0].platform
    if platform == 'tpu' and config.dtype == 'float16':
        config = dataclasses.replace(config, dtype='bfloat16')
    if platform == 'tpu' and not config.unroll:
        config = dataclasses.replace(config, unroll=1)
    flash = platform == 'gpu' and config.dtype != 'float32' and not config.attention_dropout
    return dataclasses.replace(config, attention='cudnn') if flash else config


def _data(recipe: Recipe, workdir: pathlib.Path, stop: Stop) -> pathlib.Path:
    """The directory of the run's tokens, made first if the recipe says how and it is not there."""
    directory = door.data_directory(recipe, workdir)
    if recipe.data.prepare and jax.process_index() == 0:
        with stop.interruptible():
            tokenize.run(tokenize.from_dict(recipe.data.prepare), directory)
    if jax.process_count() > 1:
        jax.experimental.multihost_utils.sync_global_devices('data')
    door.check_data(recipe, packing.manifest(directory))
    return directory


def _meter(recipe: Recipe, mesh: jax.sharding.Mesh, start: int) -> metrics.Meter:
    kind = mesh.devices.flat[0].device_kind
    peak = metrics.peak_flops(kind, recipe.model.dtype)
    return metrics.Meter(
        num_steps=recipe.num_steps,
        start_step=start,
        tokens_per_step=recipe.tokens_per_step,
        flops_per_step=flops_per_step(recipe, arithmetic.flops),
        peak_flops=peak and peak * mesh.size,
    )


def flops_per_step(recipe: Recipe, count: Callable[..., int]) -> int:
    """Operations of one update, as `count` of `models.arithmetic` has them.

    A preference is learned against a reference, which runs forward only.
    """
    shape = recipe.model, recipe.rows_per_step, recipe.data.length
    return count(*shape) + (count(*shape, training=False) if recipe.objective.has_pairs else 0)


def _warn_of_full_disk(recipe: Recipe, directory: pathlib.Path, writer: metrics.Writer) -> None:
    """Says at the start what would else be found out at a checkpoint, hours later."""
    leaves = jax.tree.leaves(step.abstract_state(recipe))
    num_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    warning = checkpoint.preflight(directory, num_bytes, keep=recipe.checkpoints.keep)
    if warning:
        writer.warn(warning)


def _opening(recipe: Recipe, mesh: jax.sharding.Mesh, workdir: pathlib.Path, start: int) -> str:
    """What a person wants to know before the first step."""
    parameters = arithmetic.count_parameters(recipe.model)
    tokens = recipe.num_steps * recipe.tokens_per_step
    cut = ' x '.join(f'{axis} {size}' for axis, size in mesh.shape.items())
    rows = recipe.rows_per_step // recipe.num_microbatches(tuple(mesh.shape.values()))
    return '\n'.join(
        [
            f'{recipe.name}: {parameters:,} parameters, computed in {recipe.model.dtype}',
            f'{recipe.num_steps:,} steps of {recipe.rows_per_step} rows x {recipe.data.length} '
            f'tokens ({rows} rows at once): {tokens:,} tokens, {tokens / parameters:.2g} per '
            'parameter',
            f'{mesh.size} {mesh.devices.flat[0].device_kind} device(s): {cut}, '
            f'layout {recipe.mesh.layout}',
            f'from step {start:,} in {workdir}; Ctrl-C once saves and ends, twice ends at once',
        ]
    )
