"""An update of the tiny recipe, compiled for some mesh, to be tried on real batches."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from phijax import partitioning
from phijax.train import step
from phijax.train.recipe import Recipe
from tests.train import tiny

NUM_UPDATES = 3


@dataclasses.dataclass
class Trial:
    """The programs of a recipe on a mesh, compiled when first used, and batches to try them on."""

    recipe: Recipe
    program: step.Program
    batches: list[dict[str, np.ndarray]]

    @functools.cached_property
    def compiled(self) -> Any:
        arrays = jax.eval_shape(lambda: self.batches[0])
        return self.program.update.lower(step.abstract_state(self.recipe), arrays).compile()

    def fresh(self, **changes: float) -> step.State:
        """A new state, with some of its numbers changed."""
        return changed(self.program.init(), **changes)

    def update(self, state: step.State, index: int = 0) -> tuple[step.State, dict[str, float]]:
        """The state and the metrics after batch `index`."""
        state, metrics = self.compiled(state, self.place(self.batches[index]))
        return state, {name: float(value) for name, value in metrics.items()}

    def place(self, batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        rows = partitioning.rows(self.program.layout.mesh)
        return {name: jax.device_put(value, rows) for name, value in batch.items()}

    @functools.cached_property
    def run(self) -> tuple[Any, list[dict[str, float]]]:
        """The parameters after some updates, and the metrics of each."""
        state, metrics = self.fresh(), []
        for index in range(NUM_UPDATES):
            state, values = self.update(state, index)
            metrics.append(values)
        return jax.tree.map(np.asarray, state.params), metrics


def make(shape: tuple[int, int, int], batches: list[dict], changes: dict[str, Any]) -> Trial:
    """A trial on the first devices, as many as the mesh has."""
    sizes = dict(zip(('mesh.data', 'mesh.fsdp', 'mesh.tensor'), shape, strict=True))
    run = tiny.make(**changes | sizes)
    mesh = partitioning.make_mesh(shape, jax.devices()[: int(np.prod(shape))])
    return Trial(run, step.make(run, mesh), batches)


def changed(state: step.State, **changes: float) -> step.State:
    """The state with other numbers in the places that are named."""

    def like(x: jax.Array, value: float) -> jax.Array:
        return jax.device_put(np.asarray(value, x.dtype), x.sharding)

    values = {name: like(getattr(state, name), value) for name, value in changes.items()}
    return dataclasses.replace(state, **values)
