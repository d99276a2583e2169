"""What a result is worth: intervals, tests of differences, and what many tests at once cost."""

import math
from collections.abc import Callable, Hashable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

Values = Sequence[float] | np.ndarray

LEVEL = 0.05
_CONFIDENCE = 1 - LEVEL
_RESAMPLES = 10_000
# Of a continued fraction; its error is then below rounding.
_TERMS = 200
# Numbers that a bootstrap draws at once: 32 MB.
_DRAWN = 4 << 20


class Estimate(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def share(successes: int, trials: int) -> Estimate:
    """The share of successes, with an interval that holds for few trials and near 0 and 1.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209, the score interval.

    Raises:
        ValueError: there are no trials, or not so many successes.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f'{successes} successes in {trials} trials: there is no such share')
    z, p = _z(), successes / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    # At an end the limit is that end, which rounding would miss.
    low = centre - half if successes else 0.0
    return Estimate(p, low, centre + half if successes < trials else 1.0)


def mean(values: Values, clusters: Sequence[Hashable] | None = None) -> Estimate:
    """The mean, with the interval of the percentile bootstrap, from a fixed seed.

    Args:
        clusters: of each value; values of one cluster, such as the items of a subject or the
            results of a model, are drawn together, as they are alike.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, sec. 13.3 (percentiles);
    Davison and Hinkley, "Bootstrap Methods and their Application", 1997, sec. 3.8 (clusters).

    Raises:
        ValueError: there are no values, or not a cluster for each.
    """
    each = np.asarray(values, float)
    groups = range(len(each)) if clusters is None else clusters
    if not len(each) or len(groups) != len(each):
        raise ValueError(f'a mean of {len(each)} values in {len(groups)} clusters has no interval')
    numbers: dict[Hashable, int] = {}
    of = [numbers.setdefault(group, len(numbers)) for group in groups]
    sums, counts = np.bincount(of, each), np.bincount(of).astype(float)
    rng, means = np.random.default_rng(0), np.empty(_RESAMPLES)
    at_once = max(1, _DRAWN // len(sums))
    for start in range(0, _RESAMPLES, at_once):
        stop = min(start + at_once, _RESAMPLES)
        draws = rng.integers(len(sums), size=(stop - start, len(sums)))
        means[start:stop] = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.percentile(means, (50 * (1 - _CONFIDENCE), 50 * (1 + _CONFIDENCE)))
    return Estimate(float(each.mean()), float(low), float(high))


def difference(
    first: Values, second: Values, clusters: Sequence[Hashable] | None = None
) -> Estimate:
    """The mean of `first` - `second`, pair by pair, with its bootstrap interval.

    Raises:
        ValueError: they are not pairs, or as `mean` does.
    """
    if len(first) != len(second):
        raise ValueError(f'{len(first)} and {len(second)} values are no pairs')
    return mean(np.asarray(first, float) - np.asarray(second, float), clusters)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """The two-sided p-value that two results on the same items are equally often right; exact.

    Source: McNemar, Psychometrika 12 (1947) 153, with the binomial distribution in place of chi2.

    Raises:
        ValueError: they are not pairs.
    """
    pairs = list(zip(first, second, strict=True))
    gained = sum(bool(a) and not b for a, b in pairs)
    lost = sum(bool(b) and not a for a, b in pairs)
    tail = sum(math.comb(gained + lost, count) for count in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / 2 ** (gained + lost))


def t_test(values: Values) -> float:
    """The p-value, of one side, that values with a mean of zero would have so large a mean.

    Source: Student, Biometrika 6 (1908) 1; the distribution by Abramowitz and Stegun, "Handbook of
    Mathematical Functions", 1964, eq. 26.7.1 and 26.5.27.

    Raises:
        ValueError: there are fewer than two values.
    """
    x = np.asarray(values, float)
    if len(x) < 2:
        raise ValueError(f'{len(x)} values have no spread; 2 or more do')
    mean, error = float(x.mean()), float(x.std(ddof=1)) / math.sqrt(len(x))
    if not error:
        return 0.5 if not mean else float(mean < 0)
    t, freedom = mean / error, len(x) - 1
    tail = _beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2
    return tail if t > 0 else 1 - tail


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """The probability that one of k samples is correct, unbiased, from `samples` of one problem.

    Source: Chen et al. 2021, arXiv:2107.03374, eq. 1.

    Raises:
        ValueError: k is not from 1 to `samples`, or more are correct than there are.
    """
    if not 1 <= k <= samples or not 0 <= correct <= samples:
        raise ValueError(
            f'pass@{k} of {samples} samples, {correct} of them correct, is not defined'
        )
    return 1 - math.comb(samples - correct, k) / math.comb(samples, k)


def mean_pass_at_k(samples: Sequence[int], correct: Sequence[int], k: int) -> tuple[float, float]:
    """The mean of `pass_at_k` over problems, and its standard error over problems.

    Raises:
        ValueError: there are fewer than two problems, or as `pass_at_k` does.
    """
    values = np.array([pass_at_k(n, c, k) for n, c in zip(samples, correct, strict=True)])
    if len(values) < 2:
        raise ValueError(f'{len(values)} problems have no standard error; 2 or more do')
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def auroc(positives: Values, negatives: Values) -> Estimate:
    """The probability that a positive scores above a negative, a tie counting half.

    The interval is not of zero width where all positives are above all negatives, as those of the
    bootstrap and of DeLong are.

    Source: Hanley and McNeil, Radiology 143 (1982) 29 (variance); Newcombe, Stat. Med. 25 (2006)
    559, method 5 (the interval of all values that the figure is within the error of).

    Raises:
        ValueError: there are no positives or no negatives.
    """
    m, n = len(positives), len(negatives)
    if not m or not n:
        raise ValueError(f'{m} positives and {n} negatives have no AUROC')
    ordered = ranks(np.concatenate([np.asarray(positives, float), np.asarray(negatives, float)]))
    value = float((ordered[:m].sum() - m * (m + 1) / 2) / (m * n))

    def outside(true: float) -> bool:
        others = (m + n) / 2 - 1
        spread = 1 + others * ((1 - true) / (2 - true) + true / (1 + true))
        return abs(true - value) > _z() * math.sqrt(true * (1 - true) * spread / (m * n))

    return Estimate(value, _edge(value, 0.0, outside), _edge(value, 1.0, outside))


def rank_test(positives: Values, negatives: Values) -> float:
    """The p-value, of one side, that positives score above negatives as often by chance.

    Source: Mann and Whitney, Ann. Math. Stat. 18 (1947) 50; the normal limit with ties and with the
    correction for continuity, which holds from about ten scores of each kind on.

    Raises:
        ValueError: there are no positives or no negatives.
    """
    m, n = len(positives), len(negatives)
    above = auroc(positives, negatives).value * m * n
    _, ties = np.unique(np.concatenate([positives, negatives]), return_counts=True)
    tied = (ties.astype(float) ** 3 - ties).sum() / ((m + n) * (m + n - 1))
    deviation = math.sqrt(m * n / 12 * (m + n + 1 - tied))
    return NormalDist().cdf(-(above - m * n / 2 - 0.5) / deviation) if deviation else 1.0


def kolmogorov_smirnov(first: Values, second: Values) -> float:
    """The largest difference between the shares of two samples that are below any value.

    Source: Smirnov, Ann. Math. Stat. 19 (1948) 279.

    Raises:
        ValueError: a sample is empty.
    """
    samples = np.sort(np.asarray(first, float)), np.sort(np.asarray(second, float))
    if not all(map(len, samples)):
        raise ValueError(f'{len(first)} and {len(second)} values: an empty sample has no shares')
    edges = np.concatenate(samples)
    shares = [np.searchsorted(each, edges, 'right') / len(each) for each in samples]
    return float(np.abs(shares[0] - shares[1]).max())


def spearman(first: Values, second: Values) -> float:
    """The correlation of the ranks of pairs; nan where one side has a single value.

    Source: Spearman, Am. J. Psychol. 15 (1904) 72; ties have their mean rank.

    Raises:
        ValueError: they are not pairs.
    """
    if len(first) != len(second):
        raise ValueError(f'{len(first)} and {len(second)} values are no pairs')
    a, b = (each - each.mean() for each in map(ranks, (first, second)))
    scale = math.sqrt((a @ a) * (b @ b))
    return float(a @ b) / scale if scale else math.nan


def ranks(values: Values) -> np.ndarray:
    """The place of each value in their order, from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def holm(p_values: Values) -> list[float]:
    """The p-values adjusted so that one below 0.05 has at most 0.05 chance to be the work of many.

    Source: Holm, Scand. J. Stat. 6 (1979) 65: the chance that any of them is a false alarm.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind='stable')
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted.tolist()


def _z() -> float:
    return NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)


def _edge(inside: float, end: float, outside: Callable[[float], bool]) -> float:
    """Where values from `inside` to `end` begin to be outside; `end` where none is."""
    if inside == end or not outside(end):
        return end
    for _ in range(60):
        middle = (inside + end) / 2
        inside, end = (inside, middle) if outside(middle) else (middle, end)
    return inside


def _beta(a: float, b: float, x: float) -> float:
    """The incomplete beta function, regularised, by its continued fraction.

    Source: Abramowitz and Stegun, eq. 26.5.8; x -> 1 - x where that converges faster.
    """
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(b, a, 1 - x)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    scale += a * math.log(x) + b * math.log1p(-x)
    fraction = 0.0
    for m in range(_TERMS, 0, -1):
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        fraction = even / (1 + odd / (1 + fraction))
    first = -(a + b) * x / (a + 1)
    return math.exp(scale) / a / (1 + first / (1 + fraction))
