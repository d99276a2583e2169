"""How far apart the embeddings of alike functions and solutions are: told, and nothing dropped by.

phi-1 combined a distance of embeddings with the match rate, and published neither the threshold nor
how (arXiv:2306.11644, sec. 5.2). An AND can only keep more leaks than the match rate alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phijax.errors import InputError

# A row of numbers for each text.
Embed = Callable[[Sequence[str]], NDArray[np.floating[Any]]]


def distances(pairs: Sequence[Mapping[str, Any]], embed: Embed) -> NDArray[np.float64]:
    """The L2 distance between the embeddings of `source` and `solution` of each pair of a tally.

    Raises:
        InputError: if the embeddings are not one row for each text, or not finite.
    """
    if not pairs:
        return np.zeros(0)
    texts = [pair[name] for name in ('source', 'solution') for pair in pairs]
    unique = sorted(set(texts))
    rows = np.asarray(embed(unique), np.float64)
    _check(rows, len(unique))
    place = dict(zip(unique, rows, strict=True))
    embedded = np.array([place[text] for text in texts]).reshape(2, len(pairs), -1)
    return np.linalg.norm(embedded[0] - embedded[1], axis=1)


def _check(rows: NDArray[np.float64], count: int) -> None:
    if rows.ndim != 2 or len(rows) != count:
        raise InputError(f'Embeddings are of shape {rows.shape}; {count} rows are needed.')
    if not np.isfinite(rows).all():
        raise InputError('Embeddings have numbers that are not finite.')


def survivors(
    pairs: Sequence[Mapping[str, Any]],
    found: NDArray[np.float64],
    sweep: Iterable[float],
    thresholds: Iterable[float],
) -> list[dict[str, float]]:
    """By match rate and distance, how many pairs are alike in both.

    Rows have `tau`, `distance`, `pairs` (of that match rate) and `both` (of those as near, too).
    """
    rates = np.array([pair['similarity'] for pair in pairs])
    thresholds = list(thresholds)
    return [
        {
            'tau': tau,
            'distance': limit,
            'pairs': int((rates >= tau).sum()),
            'both': int(((rates >= tau) & (found <= limit)).sum()),
        }
        for tau in sweep
        for limit in thresholds
    ]
