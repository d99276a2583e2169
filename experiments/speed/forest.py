"""Scores of a random forest beside scikit-learn's, in turns: one process on one core.

`python experiments/speed/forest.py` fits a forest on planted labels, scores the same rows by
scikit-learn's `predict_proba` (n_jobs=1), by phijax, and by a walk of all trees in numpy, asserts
that all three agree to the bit, and writes rows per second to forest.json beside this file.
It also times the n-gram embedder, which has no peer, on Python's own library.
"""

import argparse
import json
import os
import pathlib
import statistics
import sysconfig
import time
from collections.abc import Callable

HERE = pathlib.Path(__file__).parent
# Features of a row, trees, samples of the fit, and rows to score.
SHAPES = ((256, 100, 8000, 16_384), (1024, 200, 4000, 8192))
SETTINGS = {'min_samples_leaf': 5, 'max_features': 'sqrt', 'random_state': 0}


def numpy_walk(made) -> Callable:
    """The same walk in numpy: a level of all trees at once, finished rows left out by and by."""
    import numpy as np

    feature, threshold, right, value, start = made.trees
    leaf = feature < 0
    feature, right = np.maximum(feature, 0).astype(np.intp), right.astype(np.intp)
    threshold = threshold.astype(np.float32)

    def block(rows):
        flat, number = rows.ravel(), len(rows)
        found = np.repeat(start[:-1], number)
        place, node = np.arange(found.size), found.copy()
        offset = np.tile(np.arange(number) * rows.shape[1], len(start) - 1)
        while len(node):
            keep = ~leaf.take(node)
            found[place[~keep]] = node[~keep]
            place, node, offset = place[keep], node[keep], offset[keep]
            asked = flat.take(offset + feature.take(node))
            node = np.where(asked > threshold.take(node), right.take(node), node + 1)
        summed = np.zeros((number, value.shape[1]))
        for leaves in found.reshape(-1, number):
            summed += value.take(leaves, axis=0)
        return summed / (len(start) - 1)

    return lambda rows: np.concatenate([block(rows[i : i + 256]) for i in range(0, len(rows), 256)])


def measure(shape: tuple[int, int, int, int], rounds: int) -> dict:
    """Rows per second of the three, and the medians of the ratios of each round."""
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    from phijax.data.filtering import forest

    width, num_trees, samples, number = shape
    random = np.random.default_rng(0)
    features = random.normal(size=(samples, width)).astype(np.float32)
    labels = (features[:, :8].sum(axis=1) > 0) ^ (random.random(samples) < 0.1)
    asked = random.normal(size=(number, width)).astype(np.float32)
    theirs = RandomForestClassifier(num_trees, **SETTINGS).fit(features, labels)
    ours = forest.fit(features, labels, forest.Settings(n_trees=num_trees))
    runs = {
        'scikit-learn': theirs.predict_proba,
        'phijax': ours.predict_proba,
        'numpy': numpy_walk(ours),
    }
    expected = theirs.predict_proba(asked)
    for name, run in runs.items():
        assert np.abs(run(asked) - expected).max() == 0.0, name
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        for name in list(runs)[:: 1 if turn % 2 else -1]:
            began = time.perf_counter()
            runs[name](asked)
            seconds[name].append(time.perf_counter() - began)
    row = {'features': width, 'trees': num_trees, 'nodes': len(ours.trees.feature)}
    for name, each in seconds.items():
        row[f'{name} rows_per_second'] = round(number / statistics.median(each))
        both = zip(seconds['scikit-learn'], each, strict=True)
        row[f'{name} over scikit-learn'] = round(statistics.median(a / b for a, b in both), 3)
    return row


def embedding(rounds: int) -> dict:
    """Megabytes per second of the n-gram embedder."""
    from phijax.data.filtering import features

    folder = pathlib.Path(sysconfig.get_paths()['stdlib'])
    files = sorted(folder.glob('*.py')) + sorted(folder.glob('[a-e]*/**/*.py'))
    texts = [path.read_text(errors='replace') for path in files]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    seconds = []
    for _ in range(rounds):
        made = features.make(features.Settings())
        began = time.perf_counter()
        made.embed(texts)
        seconds.append(time.perf_counter() - began)
    rate = megabytes / statistics.median(seconds)
    return {'texts': len(texts), 'megabytes': megabytes, 'megabytes_per_second': round(rate, 2)}


def main() -> None:
    """Measures all shapes and writes them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=7)
    rounds = parser.parse_args().rounds
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = []
    for shape in SHAPES:
        rows.append(measure(shape, rounds))
        print(json.dumps(rows[-1]), flush=True)
    results = {'rounds': rounds, 'forest': rows, 'ngrams': embedding(rounds)}
    print(json.dumps(results['ngrams']))
    (HERE / 'forest.json').write_text(json.dumps(results, indent=1) + '\n')


if __name__ == '__main__':
    main()
