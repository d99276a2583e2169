"""Chat and preference: their updates on every mesh, their runs, and what they refuse."""

import json
import pathlib
import re
import subprocess
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
import pytest

from phijax import checkpoint, interop
from phijax.data import mixture, packing
from phijax.errors import InputError
from phijax.train import door, loop, losses, metrics, step
from tests.train import tiny, trial
from tests.train.trial import Trial


@pytest.fixture(scope='module')
def chats(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory of a few conversations and pairs."""
    return tiny.tokenise_chats(tmp_path_factory.mktemp('chats'))


@pytest.fixture(scope='module')
def tried(chats: pathlib.Path) -> Callable[..., Trial]:
    """`tried('chat', (2, 2, 2), **changes)`: an update and three batches, without dropout."""

    def make(kind: str, shape: tuple[int, int, int] = (1, 1, 1), **changes: Any) -> Trial:
        options = {'length': 32, 'batch_size': 16, 'seed': 0, 'form': kind}
        stream = mixture.stream(chats, {kind: 1}, **options)
        flags = {'stop': np.zeros(16, np.int32)}
        batches = [next(stream) | flags for _ in range(trial.NUM_UPDATES)]
        own = tiny.OBJECTIVES[kind] | {'model.residual_dropout': 0.0}
        return trial.make(shape, batches, own | changes)

    return make


def rows(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != 'stop'}


def bits(tree: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


@pytest.mark.parametrize('kind', ['chat', 'preference'])
def test_meshes_and_parts_change_no_number(tried: Callable[..., Trial], kind: str) -> None:
    params, measured = tried(kind).run
    assert measured[-1]['loss'] < measured[0]['loss']
    for shape, changes in (
        ((1, 1, 1), {'mesh.rows_per_device': 4, 'loss_chunk': 8}),
        ((2, 2, 2), {'mesh.rows_per_device': 2}),
        ((1, 4, 2), {'mesh.layout': 'zero2'}),
    ):
        other_params, other = tried(kind, shape, **changes).run
        for expected, found in zip(measured, other, strict=True):
            assert found == pytest.approx(expected, rel=2e-5, abs=2e-6)
        for expected, found in zip(*map(jax.tree.leaves, (params, other_params)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=5e-5)


def test_gradient_is_that_of_the_mean_over_what_is_learned(tried: Callable[..., Trial]) -> None:
    """Of which there is not as much in each microbatch, and less than half of the tokens."""
    update = tried('chat', **{'mesh.rows_per_device': 4})
    batch = rows(update.batches[0])
    parts = [int(batch['learned'][part::4, 1:].sum()) for part in range(4)]
    assert len(set(parts)) > 1

    @jax.jit
    @jax.value_and_grad
    def mean(params: Any, batch: losses.Batch) -> jax.Array:
        nats, count = losses.pretraining(update.recipe.model, params, batch, within_documents=True)
        return nats / count

    loss, gradient = mean(update.program.init().params, batch)
    _, values = update.update(update.fresh())
    assert values['learned_tokens'] == sum(parts) < batch['tokens'].size / 2
    assert values['loss'] == pytest.approx(float(loss), rel=1e-5)
    assert values['grad_norm'] == pytest.approx(float(optax.tree.norm(gradient)), rel=1e-5)


def test_preference_begins_at_its_reference(tried: Callable[..., Trial]) -> None:
    update = tried('preference')
    state = update.fresh()
    start = bits(state.reference)
    assert bits(state.params) == start
    state, values = update.update(state)
    # The one of the two that is differentiated may round otherwise; test_losses has it exactly.
    assert values['loss'] == pytest.approx(np.log(2), abs=5e-7)
    assert values['reward_margin'] == pytest.approx(0, abs=1e-6)
    state, values = update.update(state, 1)
    assert bits(state.reference) == start
    assert not set(bits(state.params)) & set(start)
    assert values['reward_margin'] > 0


def test_reference_lives_with_the_parameters(tried: Callable[..., Trial]) -> None:
    for changes in ({}, {'mesh.layout': 'zero2'}):
        state = tried('preference', (1, 4, 2), **changes).program.init()
        placed = jax.tree.map(lambda x: x.sharding, (state.params, state.reference))
        assert placed[0] == placed[1]


def test_evaluation_of_pairs_is_the_loss_without_dropout(tried: Callable[..., Trial]) -> None:
    update = tried('preference', (1, 4, 2), **{'model.residual_dropout': 0.1})
    state, _ = update.update(update.fresh())
    found = update.program.evaluate(step.weights(state), update.place(rows(update.batches[1])))
    params, reference = jax.tree.map(np.asarray, step.weights(state))
    alone = jax.jit(losses.preference, static_argnums=0, static_argnames='beta')
    batch = rows(update.batches[1])
    expected = alone(update.recipe.model, params, reference, batch, beta=0.1)
    assert [float(x) for x in found] == pytest.approx([float(x) for x in expected], rel=1e-4)


Train = Callable[..., pathlib.Path]


@pytest.fixture
def train(chats: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """`train('chat', num_steps=3)`: the workdir of a tiny run that has ended."""
    monkeypatch.setattr(metrics.trackers, 'start', lambda *args, **options: [])

    def run(kind: str, **changes: Any) -> pathlib.Path:
        own = tiny.OBJECTIVES[kind] | {'data.directory': str(chats), 'evaluate_rows': 0}
        assert loop.train(tiny.make(**own | changes), tmp_path / kind) == 0
        return tmp_path / kind

    return run


def records(workdir: pathlib.Path, kind: str) -> list[dict[str, Any]]:
    """What was measured, without what belongs to the moment."""
    found = map(json.loads, (workdir / 'metrics.jsonl').read_text().splitlines())
    return [{k: v for k, v in r.items() if k != 'timing'} for r in found if r['kind'] == kind]


def test_preference_after_chat(train: Train, chats: pathlib.Path) -> None:
    """DPO goes on where the conversations left the model, which it then is compared with."""
    workdir = train('chat', prompts=['Say 7'])
    tuned, last = records(workdir, 'evaluate')[0], records(workdir, 'evaluate')[-1]
    assert last['loss'] < tuned['loss'] - 0.5
    assert set(last) == {
        *('kind', 'step', 'loss', 'bits_per_byte', 'loss/chat', 'bits_per_byte/chat')
    }
    split = packing.manifest(chats)['sources']['chat']['splits']['heldout']
    nats = last['loss'] * split['learned']
    assert last['bits_per_byte'] == pytest.approx(nats / np.log(2) / split['learned_bytes'])
    sample = json.loads((workdir / 'samples.jsonl').read_text())
    assert sample['prompt'] == 'Say 7\n'
    assert '<|' not in sample['completion']

    preferring = train('preference', init_from=str(workdir), prompts=['Say 7'])
    first, *_, final = records(preferring, 'train')
    assert first['loss'] == pytest.approx(np.log(2), abs=0.02)  # dropout is on
    assert final['accuracy'] > 0.9 > first['accuracy']
    assert final['reward_margin'] > 0.1 > abs(first['reward_margin'])
    assert records(preferring, 'evaluate')[-1]['accuracy'] == 1
    assert set(records(preferring, 'evaluate')[-1]) == {
        *('kind', 'step', 'loss', 'reward_margin', 'accuracy'),
        *('loss/preference', 'reward_margin/preference', 'accuracy/preference'),
    }
    abstract = step.abstract_state(tiny.make(**tiny.OBJECTIVES['preference']))
    with checkpoint.Checkpointer(preferring / 'checkpoints') as checkpointer:
        state, _ = checkpointer.restore(abstract)
    assert bits(state.reference) == bits(interop.open(workdir)[1])
    assert bits(state.params) == bits(interop.open(preferring)[1])


def test_killed_preference_is_bit_identical(
    run_command: Callable[..., subprocess.CompletedProcess],
    chats: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    """With one that nothing interrupts: parameters, moments, reference, and what was measured."""

    def start(workdir: pathlib.Path, moment: str = 'step:0') -> int:
        return run_command(
            'tests.train.interrupted',
            moment,
            'SIGKILL',
            '--config=tests/train/tiny.py:preference',
            f'--config.data.directory={chats}',
            f'--workdir={workdir}',
        ).returncode

    def state(workdir: pathlib.Path) -> list[bytes]:
        abstract = step.abstract_state(tiny.make(**tiny.OBJECTIVES['preference']))
        with checkpoint.Checkpointer(workdir / 'checkpoints') as checkpointer:
            return bits(checkpointer.restore(abstract)[0])

    assert start(tmp_path / 'whole') == 0
    assert [start(tmp_path / 'run', moment) for moment in ('step:7', 'save:15')] == [-9, -9]
    assert start(tmp_path / 'run') == 0
    assert state(tmp_path / 'run') == state(tmp_path / 'whole')
    for kind in ('train', 'evaluate'):
        assert records(tmp_path / 'run', kind) == records(tmp_path / 'whole', kind)
    assert len(records(tmp_path / 'run', 'train')) == 20


def refused(recipe: Any, workdir: pathlib.Path, answer: str) -> None:
    with pytest.raises(InputError, match=re.escape(answer)) as caught:
        door.check(recipe, workdir)
    assert '\n' not in str(caught.value)


def test_run_on_data_of_another_form_is_refused(
    chats: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    own = {'data.directory': str(chats)}
    for kind, source in (('preference', 'chat'), ('chat', 'preference')):
        run = tiny.make(**tiny.OBJECTIVES[kind] | own | {'data.weights': {source: 1.0}})
        refused(
            run, tmp_path, f'source {source} has the form {source}, and rows of the form {kind}'
        )
    run = tiny.make(**own | {'data.weights': {'preference': 1.0}})
    refused(run, tmp_path, 'source preference has the form preference, and rows of the form text')
    door.check(tiny.make(**own | {'data.weights': {'chat': 1.0}}), tmp_path)


@pytest.mark.parametrize('kind', ['chat', 'preference'])
def test_rows_that_a_prompt_fills_are_refused(
    chats: pathlib.Path, tmp_path: pathlib.Path, kind: str
) -> None:
    splits = packing.manifest(chats)['sources'][kind]['splits'].values()
    longest = max((split['longest_prompt'] for split in splits), key=lambda p: p['tokens'])
    own = tiny.OBJECTIVES[kind] | {'data.directory': str(chats)}
    door.check(tiny.make(**own | {'data.length': longest['tokens']}), tmp_path)
    run = tiny.make(**own | {'data.length': longest['tokens'] - 1})
    refused(run, tmp_path, f'{kind}.jsonl:')
    refused(run, tmp_path, f'the prompt has {longest["tokens"]} tokens, and a row of length')


def test_workdir_keeps_its_objective(train: Train, chats: pathlib.Path) -> None:
    workdir = train('chat', num_steps=5)
    own = tiny.OBJECTIVES['chat'] | {'data.directory': str(chats)}
    changed = own | {'objective': {'kind': 'chat', 'beta': 0.2}}
    refused(tiny.make(**changed), workdir, 'objective.beta: 0.1 -> 0.2')
    del own['objective']
    refused(tiny.make(**own), workdir, "objective: {'kind': 'chat', 'beta': 0.1} -> None")
