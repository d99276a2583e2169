"""Scores of texts that are higher for those a model was trained on, beside scores that cannot know.

A detector that no model is asked by, such as the length of a text, tells members from others only
where the two sets differ in kind. Where it does, the figure of no detector says anything.
Source: arXiv:2406.16201 (such blind baselines beat published detectors on public data sets).
"""

import itertools
import math
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from phijax.evaluate import statistics
from phijax.evaluate.overfitting.tokens import TokenScores
from phijax.evaluate.statistics import Estimate, Values

# Source: arXiv:2310.16789, sec. 4.2, and arXiv:2404.02936: 20 % of the tokens.
SHARE = 0.2
_LEAST_DEVIATION = 1e-6
_FOLDS = 5
BLIND = ('length', 'zlib size', 'words')


class Detector(NamedTuple):
    """How well a score tells members from others.

    Attributes:
        auroc: with its interval.
        blind: whether no model is asked.
    """

    auroc: Estimate
    blind: bool


def detectors(
    members: Sequence[str],
    others: Sequence[str],
    scores: Mapping[str, tuple[Values, Values]],
) -> dict[str, Detector]:
    """The AUROC of each score, then of the blind baselines.

    Args:
        members, others: the texts; where there are as many of both, each is the twin of the other
            at its place.
        scores: of members and of others, by name, as `model_scores` gives them for each.
    """
    found = {name: Detector(statistics.auroc(*both), False) for name, both in scores.items()}
    for name, (first, second) in blind_scores(members, others).items():
        found[name] = Detector(statistics.auroc(first, second), True)
    return found


def model_scores(
    texts: Sequence[str],
    scores: Sequence[TokenScores],
    lowered: Sequence[TokenScores],
) -> dict[str, np.ndarray]:
    """What the model's scores say of each text, by the name of the detector; high means a member.

    Source: the loss, Yeom et al. 2018, arXiv:1709.01604; its ratio to the size under zlib and to
    the loss of the text in lower case, Carlini et al. 2021, arXiv:2012.07805, sec. 5.1;
    Min-K%, arXiv:2310.16789; Min-K%++, arXiv:2404.02936.

    Args:
        lowered: scores of the same texts in lower case.
    """
    nats = np.array([-each.log_likelihood for each in scores])
    return {
        'loss': -nats / [len(each.mean) for each in scores],
        'loss / zlib size': -nats / [_zlib_size(text) for text in texts],
        'loss / lower case': -nats / [-each.log_likelihood for each in lowered],
        'Min-K%': np.array([min_k(each) for each in scores]),
        'Min-K%++': np.array([min_k_plus_plus(each) for each in scores]),
    }


def min_k(scores: TokenScores, part: float = SHARE) -> float:
    """The mean log-probability of the least likely tokens, so large a part of all.

    Source: arXiv:2310.16789, eq. 1.
    """
    return _mean_of_lowest(scores.log_probability, part)


def min_k_plus_plus(scores: TokenScores, part: float = SHARE) -> float:
    """The same of log-probabilities in standard deviations from what the model expects there.

    Source: arXiv:2404.02936, eq. 3 and 4.
    """
    spread = np.maximum(scores.deviation, _LEAST_DEVIATION)
    return _mean_of_lowest((scores.log_probability - scores.mean) / spread, part)


def per_character(texts: Sequence[str], scores: Sequence[TokenScores]) -> np.ndarray:
    """The log-likelihood of each text over its characters, to compare models across tokenizers.

    Source: GSM1k, arXiv:2405.00332, sec. 5 (the likelihood of GSM8K against the gap).
    """
    return np.array(
        [each.log_likelihood / len(text) for text, each in zip(texts, scores, strict=True)]
    )


def blind_scores(
    members: Sequence[str], others: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scores of members and of others that no model is asked for.

    `words` is a naive Bayes classifier on words and pairs of words, which scores each text after
    learning from the other folds. Twins are in one fold: else each would be known by its twin.
    """
    numbers = [*range(len(members)), *range(len(others))]
    if len(members) != len(others):
        numbers = list(range(len(members) + len(others)))
    words = cross_validated([*members, *others], [True] * len(members), numbers)
    return {
        'length': (_of(len, members), _of(len, others)),
        'zlib size': (_of(_zlib_size, members), _of(_zlib_size, others)),
        'words': (words[: len(members)], words[len(members) :]),
    }


def cross_validated(
    texts: Sequence[str], positive: Sequence[bool], groups: Sequence[Hashable]
) -> np.ndarray:
    """How much likelier each text is as a positive than as a negative, by the words of the others.

    Source: multinomial naive Bayes with counts of one more, Manning, Raghavan and Schuetze,
    "Introduction to Information Retrieval", 2008, sec. 13.2.

    Args:
        positive: of the first texts; the rest are negative.
        groups: texts of a group are scored together, after learning from the other groups.
    """
    counts = [_words(text) for text in texts]
    labels = np.zeros(len(texts), bool)
    labels[: len(positive)] = positive
    folds = _folds(groups)
    scores = np.zeros(len(texts))
    for fold in range(_FOLDS):
        yes, no = (_sum(counts, (folds != fold) & side) for side in (labels, ~labels))
        vocabulary = len(yes.keys() | no.keys())
        ratio = (no.total() + vocabulary) / (yes.total() + vocabulary)
        for i in np.flatnonzero(folds == fold):
            scores[i] = sum(
                count * math.log((yes[word] + 1) / (no[word] + 1) * ratio)
                for word, count in counts[i].items()
            )
    return scores


def _folds(groups: Sequence[Hashable]) -> np.ndarray:
    """The fold of each text; a group has one."""
    names = list(dict.fromkeys(groups))
    order = np.random.default_rng(0).permutation(len(names))
    fold_of = {names[place]: number % _FOLDS for number, place in enumerate(order)}
    return np.array([fold_of[group] for group in groups])


def _words(text: str) -> Counter[str]:
    words = text.lower().split()
    return Counter([*words, *map(' '.join, itertools.pairwise(words))])


def _sum(counts: Sequence[Counter[str]], chosen: np.ndarray) -> Counter[str]:
    total: Counter[str] = Counter()
    for number in np.flatnonzero(chosen).tolist():
        total.update(counts[number])
    return total


def _mean_of_lowest(values: np.ndarray, part: float) -> float:
    count = max(1, int(len(values) * part))
    return float(np.partition(values, count - 1)[:count].mean(dtype=float))


def _zlib_size(text: str) -> int:
    return len(zlib.compress(text.encode()))


def _of(measure: Callable[[str], int], texts: Sequence[str]) -> np.ndarray:
    return np.array([measure(text) for text in texts], float)
