"""Two runs beside each other, or two groups of runs that differ in their seeds."""

import dataclasses
import json
import math
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from phijax import report
from phijax.errors import InputError
from phijax.train import door
from phijax.train.sweep import results

Curve = Sequence[tuple[float, float]]
Measured = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Side:
    """A run, or the runs of one name with several seeds.

    Attributes:
        runs: what `results.read` gives.
        single: whether the path is the workdir of one run.
    """

    path: pathlib.Path
    runs: tuple[Measured, ...]
    single: bool

    @property
    def curve(self) -> Curve:
        """Tokens and held-out loss, the mean over the runs."""
        return [(tokens, loss) for tokens, loss, *_ in results.mean_curve(self.runs)]

    def mean(self, field: str) -> float | None:
        """The mean of a value over the runs; None where a run has none."""
        values = [run[field] for run in self.runs]
        return None if None in values else float(statistics.fmean(values))


@dataclasses.dataclass(frozen=True)
class Difference:
    """A value of the second side minus that of the first, for each pair of runs."""

    pairs: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the pairs."""
        return float(statistics.fmean(self.pairs))

    @property
    def standard_error(self) -> float | None:
        """Of the mean; None with fewer than two pairs."""
        count = len(self.pairs)
        return statistics.stdev(self.pairs) / math.sqrt(count) if count > 1 else None

    @property
    def agreeing(self) -> int:
        """How many pairs have the sign of the mean."""
        return sum(pair * self.mean > 0 for pair in self.pairs)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What sets two sides apart.

    Attributes:
        fields: config fields that differ, each with the values of the two sides.
        target: the worse of the two final held-out losses.
        reached: tokens after which each side's curve is at the target; None is never.
        unpaired: seeds that one side lacks, which are left out.
    """

    sides: tuple[Side, Side]
    fields: tuple[tuple[str, Any, Any], ...]
    loss: Difference
    bits_per_byte: Difference
    target: float
    reached: tuple[float | None, float | None]
    unpaired: tuple[int, ...]


def tokens_to_reach(curve: Curve, loss: float) -> float | None:
    """The tokens after which a curve of (tokens, loss) first is at `loss` or below it.

    Between two points the curve is a straight line. None when it never gets there; the tokens of
    its first point when it is there from the beginning.
    """
    before: tuple[float, float] | None = None
    for tokens, value in curve:
        if value <= loss:
            if before is None:
                return float(tokens)
            share = (before[1] - loss) / (before[1] - value)
            return before[0] + share * (tokens - before[0])
        before = (tokens, value) if math.isfinite(value) else None
    return None


def compare(pair: str) -> Comparison:
    """The comparison of two workdirs, or of two directories of `seed*` workdirs, written `A,B`.

    Seeds that both sides have are paired; two single runs are a pair, whatever their seeds.

    Raises:
        InputError: there are not two such directories, the sides have no seed in common, or a run
            has no held-out loss at its last step.
    """
    left, right, unpaired = _paired(*(_side(path) for path in _split(pair)))
    sides = (left, right)
    configs = (json.loads((_workdir(s.runs[0]) / 'config.json').read_text()) for s in sides)
    target = max(statistics.fmean(run['loss'] for run in side.runs) for side in sides)
    return Comparison(
        sides,
        tuple(door.differences('', *configs)),
        _difference(left, right, 'loss'),
        _difference(left, right, 'bits_per_byte'),
        target,
        (tokens_to_reach(left.curve, target), tokens_to_reach(right.curve, target)),
        unpaired,
    )


def describe(comparison: Comparison) -> str:
    """The comparison for people: config, final values, and what they are worth."""
    left, right = comparison.sides
    lines = [f'a  {_about(left)}', f'b  {_about(right)}']
    lines += [f'   seed {seed} is on one side only, and left out' for seed in comparison.unpaired]
    lines += ['', 'config fields that differ:' if comparison.fields else 'the configs are equal']
    lines += [f'   {name}: {old} | {new}' for name, old, new in comparison.fields]
    lines += ['', f'{"":28}{"a":>12}{"b":>12}{"b - a":>12}']
    for label, field, form in (
        ('final held-out loss', 'loss', '.4f'),
        ('final bits per byte', 'bits_per_byte', '.4f'),
        ('tokens', 'tokens', ',.0f'),
        ('tokens per second', 'tokens_per_second', ',.0f'),
        ('minutes', 'minutes', '.1f'),
    ):
        lines.append(_values(label, left.mean(field), right.mean(field), form))
    lines.append(_values(f'tokens to reach {comparison.target:.4f}', *comparison.reached, ',.0f'))
    return '\n'.join([*lines, '', _worth('loss', comparison.loss)])


def draw(comparison: Comparison, path: pathlib.Path) -> pathlib.Path:
    """Draws both held-out curves, with the worse one's final loss as a level; returns `path`."""
    sides = enumerate(comparison.sides)
    curves = [results.mean_band(str(side.path), side.runs, colour) for colour, side in sides]
    level = f'{comparison.target:.4f}, the worse final loss'
    curves.append(report.Curve(level, (), (comparison.target,), len(curves), 'level'))
    path.parent.mkdir(parents=True, exist_ok=True)
    panel = report.Panel('held-out loss (nats per token)', curves, 2.5)
    return report.plot(path, [panel], title='Comparison', xlabel='tokens')


def _split(pair: str) -> tuple[pathlib.Path, pathlib.Path]:
    """The two paths of `A,B`; a path may have commas of its own, as the names of a grid do."""
    parts = pair.split(',')
    cuts = (
        (pathlib.Path(','.join(parts[:place])), pathlib.Path(','.join(parts[place:])))
        for place in range(1, len(parts))
    )
    found = [(left, right) for left, right in cuts if left.is_dir() and right.is_dir()]
    if len(found) != 1:
        raise InputError(f'--compare must be two directories, A,B, of trained runs; got {pair!r}')
    return found[0]


def _side(path: pathlib.Path) -> Side:
    single = (path / 'config.json').exists()
    workdirs = [path] if single else [found.parent for found in path.glob('seed*/config.json')]
    if not workdirs:
        raise InputError(f'{path} has no run: neither config.json nor seed*/config.json')
    runs = [_measured(workdir) for workdir in workdirs]
    return Side(path, tuple(sorted(runs, key=lambda run: run['seed'])), single)


def _measured(workdir: pathlib.Path) -> Measured:
    run = results.read(workdir)
    if run['loss'] is None:
        raise InputError(f'{workdir} has no held-out loss at step {run["step"]}, its last')
    return run


def _paired(left: Side, right: Side) -> tuple[Side, Side, tuple[int, ...]]:
    """Both sides with the runs that have a partner, and the seeds that have none."""
    if left.single and right.single:
        return left, right, ()
    left_seeds, right_seeds = _seeds(left), _seeds(right)
    shared = left_seeds & right_seeds
    if not shared:
        raise InputError(
            f'no seed is on both sides: {left.path} has {sorted(left_seeds)}, '
            f'{right.path} has {sorted(right_seeds)}'
        )
    unpaired = tuple(sorted(left_seeds ^ right_seeds))
    return _with_seeds(left, shared), _with_seeds(right, shared), unpaired


def _seeds(side: Side) -> set[int]:
    return {run['seed'] for run in side.runs}


def _with_seeds(side: Side, seeds: set[int]) -> Side:
    runs = tuple(run for run in side.runs if run['seed'] in seeds)
    return dataclasses.replace(side, runs=runs)


def _difference(left: Side, right: Side, field: str) -> Difference:
    pairs = zip(left.runs, right.runs, strict=True)
    return Difference(tuple(after[field] - before[field] for before, after in pairs))


def _workdir(run: Measured) -> pathlib.Path:
    return pathlib.Path(run['workdir'])


def _about(side: Side) -> str:
    runs = ', '.join(
        f'seed {run["seed"]}' + ('' if run['finished'] else f' (not finished, step {run["step"]})')
        for run in side.runs
    )
    return f'{side.path}: {runs}'


def _values(label: str, left: float | None, right: float | None, form: str) -> str:
    change = None if left is None or right is None else right - left
    cells = ['n/a' if v is None else format(v, form) for v in (left, right, change)]
    return f'{label:28}' + ''.join(f'{cell:>12}' for cell in cells)


def _worth(label: str, difference: Difference) -> str:
    error, count = difference.standard_error, len(difference.pairs)
    if error is None:
        return f'{label}: {difference.mean:+.4f} in one pair of runs: no spread, it may be chance'
    return (
        f'{label}: {difference.mean:+.4f}, standard error {error:.4f} over {count} pairs by seed; '
        f'{difference.agreeing} of {count} agree in sign'
    )
