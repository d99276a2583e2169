"""What a filter's scores are worth: thresholds, what they keep, and what they lean on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from phijax.data.settings import check

POINTS = 20
DECILES = 10


def look(
    table: Mapping[str, np.ndarray],
    phases: np.ndarray,
    annotations: Mapping[str, np.ndarray],
    cut: int,
) -> dict[str, Any]:
    """The facts of a selection, as plain values.

    Args:
        table: the columns of the documents that were scored, with their `place`.
        phases: how many phases each is in.
        annotations: `place`, `level` and `heldout` of those that were graded.
        cut: the level from which a document is valuable.
    """
    at = {(int(a), int(b)): row for row, (a, b) in enumerate(table['place'])}
    rows = np.array([at[int(a), int(b)] for a, b in annotations['place']], np.int64)
    heldout = annotations['heldout']
    graded = {'row': rows[heldout], 'level': annotations['level'][heldout]}
    return {
        'phases': _phases(table, phases),
        'curve': curve(table, graded, cut),
        'deciles': deciles(table, graded, phases),
        'leans_on': leans(table),
        'histogram': _histogram(table['score']),
    }


def curve(
    table: Mapping[str, np.ndarray], graded: Mapping[str, np.ndarray], cut: int
) -> list[dict[str, Any]]:
    """What a threshold keeps, and how good the graded documents are that it keeps.

    A point for each twentieth of the documents; the graded ones are those that the forest did not
    learn from. Their share of valuable ones has a 95 % interval (Wilson).
    """
    score, num_bytes = table['score'], table['num_bytes']
    points = []
    for share in np.arange(POINTS, 0, -1) / POINTS:
        threshold = float(np.quantile(score, 1 - share)) if share < 1 else float(score.min())
        keep = score >= threshold
        levels = graded['level'][keep[graded['row']]]
        valuable = int((levels >= cut).sum())
        low, high = wilson(valuable, len(levels))
        points.append(
            {
                'threshold': threshold,
                'documents': float(keep.mean()),
                'bytes': float(num_bytes[keep].sum() / max(num_bytes.sum(), 1)),
                'graded': len(levels),
                'mean_level': float(levels.mean()) if len(levels) else None,
                'valuable': valuable / len(levels) if len(levels) else None,
                'low': low,
                'high': high,
            }
        )
    return points


def deciles(
    table: Mapping[str, np.ndarray], graded: Mapping[str, np.ndarray], phases: np.ndarray
) -> list[dict[str, Any]]:
    """By tenths of the score, the highest first: length, comments, grades, and what was kept."""
    ranked = np.lexsort((table['order'], -table['score']))
    rows = []
    for number, part in enumerate(np.array_split(ranked, DECILES), 1):
        if not len(part):
            continue
        levels = graded['level'][np.isin(graded['row'], part)]
        rows.append(
            {
                'decile': number,
                'scores': [float(table['score'][part].min()), float(table['score'][part].max())],
                'median_bytes': float(np.median(table['num_bytes'][part])),
                'comments': float(table['comments'][part].mean()),
                'mean_level': float(levels.mean()) if len(levels) else None,
                'graded': len(levels),
                'kept': float((phases[part] > 0).mean()),
                'places': [list(map(int, table['place'][row])) for row in part[:3]],
            }
        )
    return rows


def leans(table: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The rank correlation (Spearman) of the score with what a lazy filter would look at."""
    names = ('num_bytes', 'num_lines', 'comments', 'memorise')
    return {name: spearman(table['score'], table[name]) for name in names}


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of ranks; 0 where one of the two is constant. Ties share their mean rank."""
    ranks = [_ranks(np.asarray(x, np.float64)) for x in (a, b)]
    if any(each.std() == 0 for each in ranks) or len(a) < 2:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share; all of [0, 1] without a trial.

    Source: Wilson, "Probable inference", JASA 22, 1927.
    """
    check(0 <= successes <= trials, 'successes', successes, f'from 0 to {trials}')
    if not trials:
        return 0.0, 1.0
    z, share = 1.959964, successes / trials
    middle = share + z * z / (2 * trials)
    spread = z * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    whole = 1 + z * z / trials
    return float((middle - spread) / whole), float((middle + spread) / whole)


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[inverse]


def _phases(table: Mapping[str, np.ndarray], phases: np.ndarray) -> list[dict[str, Any]]:
    found = []
    for number in range(1, int(phases.max(initial=0)) + 1):
        keep = phases >= number
        found.append(
            {
                'phase': number,
                'documents': int(keep.sum()),
                'bytes': int(table['num_bytes'][keep].sum()),
                'lowest_score': float(table['score'][keep].min()),
                'bits_to_remember': float(table['memorise'][keep].sum()),
            }
        )
    return found


def _histogram(score: np.ndarray) -> dict[str, list[float]]:
    counts, edges = np.histogram(score, bins=40)
    return {'counts': counts.tolist(), 'edges': edges.tolist()}
