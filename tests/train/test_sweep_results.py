"""What runs measured, put together over their seeds and beside each other, by numbers made up."""

import json
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from phijax import report
from phijax.errors import InputError
from phijax.train import sweep
from phijax.train.recipe import to_dict
from phijax.train.sweep import results
from tests.train import tiny

TOKENS = 256  # of a step of the tiny recipe


def make_run(
    workdir: pathlib.Path, losses: Sequence[float], *, finished: bool = True, **changes: Any
) -> pathlib.Path:
    """A workdir as a run of five steps an evaluation leaves it; bits per byte are half the loss."""
    workdir.mkdir(parents=True)
    recipe = tiny.make(**{'num_steps': 5 * len(losses), **changes})
    (workdir / 'config.json').write_text(json.dumps(to_dict(recipe)))
    records: list[dict[str, Any]] = []
    for step in range(1, 5 * len(losses) + 1):
        timing = {'seconds': 6.0 * step, 'tokens': TOKENS * step, 'tokens_per_second': 100.0}
        records.append({'kind': 'train', 'step': step, 'loss_ema': 9.0, 'timing': timing})
        if step % 5 == 0:
            loss = losses[step // 5 - 1]
            values = {'loss': loss, 'bits_per_byte': loss / 2}
            records.append({'kind': 'evaluate', 'step': step, **values})
    lines = ''.join(json.dumps(record) + '\n' for record in records)
    (workdir / 'metrics.jsonl').write_text(lines)
    if finished:
        (workdir / 'selected.json').write_text('{}')
    return workdir


@pytest.mark.parametrize(
    ('loss', 'tokens'),
    [(3.5, 15), (4.0, 10), (3.0, 20), (2.5, 25), (9.0, 10), (2.0, 30), (1.9, None)],
)
def test_tokens_to_reach_lie_on_the_line(loss: float, tokens: float | None) -> None:
    assert sweep.tokens_to_reach([(10, 4.0), (20, 3.0), (30, 2.0)], loss) == tokens


def test_tokens_to_reach_takes_the_first_crossing() -> None:
    assert sweep.tokens_to_reach([(10, 4.0), (20, 2.0), (30, 5.0), (40, 1.0)], 3.0) == 15
    assert sweep.tokens_to_reach([(10, 4.0), (20, math.nan), (30, 2.0)], 3.0) == 30
    assert sweep.tokens_to_reach([], 3.0) is None


def test_run_is_read(tmp_path: pathlib.Path) -> None:
    make_run(tmp_path / 'a' / 'seed4', [5.0, 4.0], seed=4)
    (found,) = sweep.collect(tmp_path)
    assert found['curve'] == [(5, 5 * TOKENS, 5.0, 2.5), (10, 10 * TOKENS, 4.0, 2.0)]
    assert (found['name'], found['seed'], found['finished']) == ('a', 4, True)
    assert (found['loss'], found['bits_per_byte'], found['training_loss']) == (4.0, 2.0, 9.0)
    assert (found['tokens'], found['minutes']) == (10 * TOKENS, 1.0)


def test_table_has_means_and_deviations(tmp_path: pathlib.Path) -> None:
    """By hand: 3, 4 and 8 have mean 5 and squares 4 + 1 + 9 = 14, over 2 is 7."""
    runs = [
        results.read(make_run(tmp_path / 'a' / f'seed{seed}', [9.0, loss], seed=seed))
        for seed, loss in enumerate([3.0, 4.0, 8.0])
    ]
    row = results.row('a', runs)
    assert row['seeds'] == '3 of 3'
    assert row['held-out loss'] == 5.0
    assert row['sd of held-out loss'] == pytest.approx(math.sqrt(7))
    assert row['bits per byte'] == 2.5
    assert row['sd of bits per byte'] == pytest.approx(math.sqrt(7) / 2)
    assert (row['training loss'], row['minutes'], row['missing']) == (9.0, 1.0, 'none')
    assert results.mean_curve(runs) == [
        (5 * TOKENS, 9.0, 9.0, 9.0),
        (10 * TOKENS, 5.0, 3.0, 8.0),
    ]


def test_only_finished_seeds_count(tmp_path: pathlib.Path) -> None:
    done = make_run(tmp_path / 'a' / 'seed0', [3.0], seed=0)
    half = make_run(tmp_path / 'a' / 'seed1', [7.0], seed=1, finished=False)
    failed = make_run(tmp_path / 'a' / 'seed2', [7.0], seed=2, finished=False)
    (failed / results.EXIT_CODE).write_text('1\n')
    absent = tmp_path / 'a' / 'seed3'
    row = results.row('a', [results.read(path) for path in (done, half, failed, absent)])
    assert (row['seeds'], row['held-out loss']) == ('1 of 4', 3.0)
    assert row['sd of held-out loss'] == 'n/a'
    assert row['missing'] == (
        'seed 1 at step 5, seed 2 failed at step 5 (exit code 1), seed 3 not run'
    )


def test_plot_has_a_band_only_of_several_seeds(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [
        results.read(make_run(tmp_path / 'a' / f'seed{seed}', [5.0, loss], seed=seed))
        for seed, loss in enumerate([3.0, 4.0])
    ]
    drawn = tmp_path / 'curves.png'
    assert results.draw(drawn, {'a': runs}, title='t')
    both = drawn.read_bytes()
    assert results.draw(drawn, {'a': runs[:1]}, title='t')
    assert drawn.read_bytes() != both
    assert not results.draw(drawn, {'a': []}, title='t')


def test_band_is_drawn_between_its_edges(tmp_path: pathlib.Path) -> None:
    """It adds ink of its curve's colour, and nothing without edges."""
    from matplotlib import image

    def ink(**band: Any) -> float:
        curve = report.Curve('', [0, 1], [1, 2], **band)
        panel = report.Panel('loss', [curve])
        path = report.plot(tmp_path / 'p.png', [panel], title='t', xlabel='x')
        return float((image.imread(path)[:, :, :3] != 1).any(axis=2).mean())

    assert ink(low=[0.5, 1.5], high=[1.5, 2.5]) > ink() + 0.1


@pytest.fixture
def pair(tmp_path: pathlib.Path) -> Callable[..., str]:
    """`pair([3.0], [4.0, 5.0])`: two names with the final losses of their seeds, for --compare."""

    def make(left: Sequence[float], right: Sequence[float], first: int = 0) -> str:
        for name, losses, start in (('x=1,y=2', left, 0), ('x=2,y=2', right, first)):
            for seed, loss in enumerate(losses, start):
                rate = {'optimizer.peak_rate': 0.5 if name == 'x=1,y=2' else 0.25}
                make_run(tmp_path / name / f'seed{seed}', [6.0, loss], seed=seed, **rate)
        return f'{tmp_path}/x=1,y=2,{tmp_path}/x=2,y=2'

    return make


def test_seeds_are_paired(pair: Callable[..., str]) -> None:
    """By hand: differences 1, 2 and -1.5 have mean 0.5; squares 0.25 + 2.25 + 4 = 6.5."""
    found = sweep.compare(pair([3.0, 3.0, 4.5], [4.0, 5.0, 3.0, 9.0]))
    assert found.fields == (('optimizer.peak_rate', 0.5, 0.25),)
    assert found.loss.pairs == (1.0, 2.0, -1.5)
    assert found.loss.mean == pytest.approx(0.5)
    assert found.loss.standard_error == pytest.approx(math.sqrt(6.5 / 2 / 3))
    assert found.loss.agreeing == 2
    assert found.bits_per_byte.mean == pytest.approx(0.25)
    assert found.unpaired == (3,)
    # The right side's mean is 4, where the left, from 6 to 3.5, is after 4/5 of five steps.
    assert found.target == 4.0
    assert found.reached == (9 * TOKENS, 10 * TOKENS)
    text = sweep.describe(found)
    assert 'seed 3 is on one side only, and left out' in text
    assert 'optimizer.peak_rate: 0.5 | 0.25' in text
    assert 'loss: +0.5000, standard error 1.0408 over 3 pairs by seed; 2 of 3 agree in sign' in text


def test_two_runs_are_a_pair_without_spread(pair: Callable[..., str]) -> None:
    left, right = pair([3.0], [4.0], first=5).replace(',/', ' /').split()
    found = sweep.compare(f'{left}/seed0,{right}/seed5')
    assert found.loss.pairs == (1.0,)
    assert found.loss.standard_error is None
    assert ('seed', 0, 5) in found.fields
    assert 'in one pair of runs: no spread, it may be chance' in sweep.describe(found)


def test_comparison_is_printed_and_drawn_where_asked(
    pair: Callable[..., str], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    runs = pair([3.0, 4.0], [4.0, 4.5])
    before = sorted(tmp_path.rglob('*'))
    assert sweep.print_comparison(runs) == 0
    assert sorted(tmp_path.rglob('*')) == before
    assert 'final held-out loss               3.5000      4.2500      0.7500' in (
        capsys.readouterr().out
    )
    sweep.print_comparison(runs, str(tmp_path / 'plots'))
    assert f'file  {tmp_path}/plots/compare.png' in capsys.readouterr().out
    assert (tmp_path / 'plots' / 'compare.png').read_bytes().startswith(b'\x89PNG')


def test_what_cannot_be_compared_is_refused(
    pair: Callable[..., str], tmp_path: pathlib.Path
) -> None:
    runs = pair([3.0], [4.0], first=5)
    with pytest.raises(InputError, match=r'no seed is on both sides: .* has \[0\], .* has \[5\]'):
        sweep.compare(runs)
    with pytest.raises(InputError, match='must be two directories'):
        sweep.compare(f'{tmp_path},{tmp_path}/none')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(InputError, match=r'empty has no run: neither config.json nor seed'):
        sweep.compare(f'{runs.split(",/")[0]},{tmp_path}/empty')
    metrics = tmp_path / 'x=1,y=2' / 'seed0' / 'metrics.jsonl'
    metrics.write_text(''.join(metrics.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match='seed0 has no held-out loss at step 10, its last'):
        sweep.compare(runs)
