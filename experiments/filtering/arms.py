"""The three mixtures: what the filter kept, a random part of the pile as large, and the whole.

None holds a document that is a near-duplicate of a judged text; the package `algorithms` is left
out of the pile by name. The vocabulary is trained on the whole.
"""

import json
import pathlib
import runpy
import tempfile
from collections.abc import Iterator

import numpy as np

from phijax import command
from phijax.data import document, engines, filtering, tokenize
from phijax.data.document import Document
from phijax.data.filtering import chain, deduplicate, verdicts
from phijax.data.stage import Step

ARMS = ('selected', 'random', 'whole')
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Texts as close as this to a judged one are left out of every arm. Our choice: well below a copy.
CLOSE = deduplicate.Plan(threshold=0.5, bands=32, rows=4)
PART_BYTES = 256 << 20


def make(workdir: pathlib.Path, judged: list[str], smoke: bool) -> pathlib.Path:
    """The directory of tokens with a source for each arm."""
    config = runpy.run_path(str(ROOT / 'configs' / 'filter' / 'code.py'))['get_config']
    plain = command.plain(config('smoke' if smoke else 'full'))
    settings = filtering.from_dict(plain)
    pile = workdir / 'pile'
    engine = engines.make('local')
    print(filtering.run(settings, pile, engine))
    if not (workdir / 'arms.json').exists():
        done = chain.run(settings, pile, engine)
        counts = write(workdir, done, judged)
        (workdir / 'arms.json').write_text(json.dumps(counts, indent=1) + '\n')
    sources = {
        arm: {'kind': 'files', 'paths': (f'{workdir}/arms/{arm}/*.parquet',)} for arm in ARMS
    }
    tokens = tokenize.from_dict({'sources': sources, 'vocab_size': 1024 if smoke else 2048})
    tokenize.run(tokens, workdir / 'tokens')
    return workdir / 'tokens'


def write(
    workdir: pathlib.Path, done: dict[str, Step], judged: list[str]
) -> dict[str, dict[str, int]]:
    """Writes the documents of each arm; how many they are, how many bytes, and what was close."""
    whole = list(pile(done))
    close = near(judged, [item.text for item in whole])
    kept = [item for item, is_close in zip(whole, close, strict=True) if not is_close]
    chosen = selected(done)
    best = [item for item in kept if item.id in chosen]
    size = sum(len(item.text.encode()) for item in best)
    drawn = draw(kept, size)
    counts = {}
    for arm, items in zip(ARMS, (best, drawn, kept), strict=True):
        directory = workdir / 'arms' / arm
        directory.mkdir(parents=True, exist_ok=True)
        document.write(items, directory, PART_BYTES)
        num_bytes = sum(len(item.text.encode()) for item in items)
        counts[arm] = {'documents': len(items), 'bytes': num_bytes}
    return counts | {'close to a judged text': {'documents': int(close.sum())}}


def pile(done: dict[str, Step]) -> Iterator[Document]:
    """The documents without their exact duplicates."""
    for index in range(done['ingest'].num_shards):
        keep = verdicts.read(done['exact'], index)
        groups = document.read(done['ingest'].part('documents', index))
        items = [item for group in groups for item in group]
        yield from (item for item, stays in zip(items, keep, strict=True) if stays)


def selected(done: dict[str, Step]) -> set[str]:
    """The ids of what the filter kept."""
    step = done['documents']
    parts = [step.part('phase-1', index) for index in range(step.num_shards)]
    return {item.id for part in parts for group in document.read(part) for item in group}


def near(judged: list[str], texts: list[str]) -> np.ndarray:
    """Which texts are close to a judged one: those of its cluster, by any chain."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = []
        for name, group in (('judged', judged), ('pile', texts)):
            paths.append(pathlib.Path(scratch) / f'{name}.sketch')
            ids = [f'{name}{number:09d}' for number in range(len(group))]
            deduplicate.write_sketch(paths[-1], ids, deduplicate.sketch(group, CLOSE), CLOSE)
        found = deduplicate.join(paths, CLOSE)
    clusters = set(found.cluster[: len(judged)].tolist())
    return np.array([each in clusters for each in found.cluster[len(judged) :].tolist()], bool)


def draw(items: list[Document], size: int) -> list[Document]:
    """Random documents of about `size` bytes together."""
    order = np.random.default_rng(0).permutation(len(items))
    lengths = np.array([len(items[number].text.encode()) for number in order])
    count = int(np.searchsorted(np.cumsum(lengths), size)) + 1
    return [items[number] for number in order[:count]]
