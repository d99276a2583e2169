"""Which checkpoints stay: those of the rule, and never none."""

import errno
import pathlib
from typing import Any

import hypothesis
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from phijax import checkpoint
from phijax.checkpoint import arrays, checkpointer, manifest


def test_the_newest_the_best_and_every_fourth_are_kept(directory: pathlib.Path) -> None:
    metrics = [0.9, 0.1, None, 0.5, 0.4, float('nan'), 0.3, 0.2, 0.6]
    with checkpoint.Checkpointer(directory, keep=2, keep_every=4) as keeper:
        for step, metric in enumerate(metrics, 1):
            keeper.save(step, {'params': {'x': jnp.float32(step)}}, {'metric': metric})
    assert checkpoint.steps(directory) == [2, 4, 8, 9]


def test_of_equally_good_checkpoints_the_later_stays() -> None:
    metrics = {1: 0.5, 2: 0.1, 3: 0.1, 4: 0.3}
    assert checkpointer.retained(metrics, 1, None, True) == {3, 4}


STEPS = st.dictionaries(st.integers(0, 60), st.none() | st.floats(), min_size=1)


@hypothesis.given(STEPS, st.integers(1, 5), st.none() | st.integers(1, 9), st.booleans())
def test_what_is_retained(
    metrics: dict[int, float | None], keep: int, keep_every: int | None, keep_best: bool
) -> None:
    kept = checkpointer.retained(metrics, keep, keep_every, keep_best)
    newest = sorted(metrics)[-keep:]
    finite = {step: x for step, x in metrics.items() if x is not None and np.isfinite(x)}
    assert kept <= metrics.keys()
    assert kept >= {*newest} | {step for step in metrics if keep_every and step % keep_every == 0}
    others = [step for step in kept if step not in newest and step % (keep_every or 61)]
    assert len(others) <= (1 if keep_best and finite else 0)
    if keep_best and finite:
        assert min(finite.values()) in {finite.get(step) for step in kept}


class QuickWriter:
    """Stands for orbax, which takes a tenth of a second: writes one file, or fails."""

    fails = False

    def start(self, path: pathlib.Path, leaves: dict[str, Any]) -> None:
        path.mkdir(parents=True)
        (path / 'data').write_bytes(np.asarray(leaves['params.x']).tobytes())

    def finish(self) -> None:
        if self.fails:
            raise OSError(errno.ENOSPC, 'No space left on device')


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just('save'), st.none() | st.floats(0, 9)),
        st.tuples(st.just('fail'), st.none()),
        st.tuples(st.just('damage'), st.sampled_from(['state/data', manifest.FILE])),
        st.tuples(st.just('restart'), st.none()),
    ),
    max_size=12,
)


def good_steps(directory: pathlib.Path) -> set[int]:
    return {s for s in checkpoint.steps(directory) if not checkpoint.verify(directory, s)}


@hypothesis.settings(max_examples=60)
@hypothesis.given(EVENTS, st.integers(1, 3), st.none() | st.integers(1, 4), st.randoms())
def test_the_only_good_checkpoint_is_never_deleted(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[str, Any]],
    keep: int,
    keep_every: int | None,
    chance: Any,
) -> None:
    directory = tmp_path_factory.mktemp('events')
    written = np.arange(4.0)

    def start() -> checkpoint.Checkpointer:
        keeper = checkpoint.Checkpointer(directory, keep=keep, keep_every=keep_every, warn=str)
        if good_steps(directory):
            found = keeper.restore({'params': {'x': written}})[1]['step']
            assert found == max(good_steps(directory))
        return keeper

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, 'Writer', QuickWriter)
        patch.setattr(arrays, 'load', lambda _, tree: tree)
        patch.setattr(manifest, 'flush', lambda _: None)
        keeper = start()
        for step, (event, detail) in enumerate(events, 1):
            before, present = good_steps(directory), checkpoint.steps(directory)
            if event in ('save', 'fail'):
                QuickWriter.fails = event == 'fail'
                keeper.save(step, {'params': {'x': written}}, {'step': step, 'metric': detail})
                keeper._settle()
                after = good_steps(directory)
                if event == 'save':
                    assert step in after
                    assert {*sorted(before | {step})[-keep:]} <= after
                else:
                    assert checkpoint.steps(directory) == present
            elif event == 'damage' and before:
                victim = directory / manifest.name_of(chance.choice(sorted(before))) / detail
                victim.write_bytes(victim.read_bytes()[:-1])
            elif event == 'restart' and (before or not present):
                keeper = start()
        assert not list(directory.glob('*.*'))
