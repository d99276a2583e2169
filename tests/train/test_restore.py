"""A checkpoint goes on on another mesh, and the run hardly notices."""

from collections.abc import Callable

import jax
import numpy as np
import pytest

from phijax import checkpoint
from phijax.errors import InputError
from phijax.train import loop, step
from phijax.train.stop import Stop
from tests.train.trial import Trial

DROPPED = {'model.residual_dropout': 0.1}
Saved = tuple[checkpoint.Checkpointer, step.State, dict[str, float]]


@pytest.fixture(scope='module')
def saved(trial: Callable[..., Trial], tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A checkpoint of two updates on eight devices, its state, and what the next update gives."""
    tried = trial((8, 1, 1), **DROPPED)
    checkpointer = checkpoint.Checkpointer(tmp_path_factory.mktemp('saved'))
    state = tried.fresh()
    for index in (0, 1):
        state, _ = tried.update(state, index)
    checkpointer.save(2, state, {'data': 'digest'})
    checkpointer.wait()
    kept = jax.tree.map(np.asarray, state)
    return checkpointer, kept, tried.update(state, 2)[1]


@pytest.mark.parametrize('shape', [(8, 1, 1), (4, 2, 1), (2, 4, 1), (1, 1, 1)])
def test_restored_run_goes_on_elsewhere(
    trial: Callable[..., Trial], saved: Saved, shape: tuple[int, int, int]
) -> None:
    checkpointer, kept, expected = saved
    tried = trial(shape, **DROPPED)
    state = loop.begin(tried.recipe, tried.program, checkpointer, 'digest', Stop())
    places = tried.program.layout.state
    leaves = map(jax.tree.leaves, (state, kept, places))
    for found, value, place in zip(*leaves, strict=True):
        assert found.sharding == place
        assert np.array_equal(found, value)
    _, metrics = tried.update(state, 2)
    assert metrics['loss'] == pytest.approx(expected['loss'], rel=1e-6)
    assert metrics['grad_norm'] == pytest.approx(expected['grad_norm'], rel=1e-5)
    assert metrics['learning_rate'] == expected['learning_rate']


def test_checkpoint_of_other_data_is_refused(trial: Callable[..., Trial], saved: Saved) -> None:
    tried = trial((8, 1, 1), **DROPPED)
    with pytest.raises(InputError, match='trained on data digest, those of this run are other'):
        loop.begin(tried.recipe, tried.program, saved[0], 'other', Stop())


def test_checkpoint_of_another_model_is_refused(trial: Callable[..., Trial], saved: Saved) -> None:
    tried = trial((8, 1, 1), **{'model.mlp_dim': 32})
    with pytest.raises(InputError, match='does not fit the config'):
        loop.begin(tried.recipe, tried.program, saved[0], 'digest', Stop())
