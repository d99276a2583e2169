"""Near-duplicates beside datatrove, and the join alone: `python experiments/speed/duplicates.py`.

`--datatrove` is the Python of an environment of its own with datatrove==0.10.1, spacy and
tokenizers. Signatures are made of the Python files of the standard library and of numpy, by one
process a side, in turns, each to files on the same disk: phijax as it is used; datatrove with its
default word tokenizer, spaCy's, and with its cheapest, which splits at spaces. The join has made-up
sets of shingles of documents, a third of them near-duplicates of another. Writes duplicates.json.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable

HERE = pathlib.Path(__file__).parent
VARIANTS = ('phijax', 'datatrove', 'datatrove at spaces')
# A language that datatrove splits at spaces.
SPACED = 'grt'
BYTES = 8_000_000
SHARD, SHINGLES = 10_000, 450


def texts(folders: list[str]) -> list[str]:
    """The first Python files of the folders, in the order of their paths."""
    found: list[str] = []
    room = BYTES
    for path in sorted(path for folder in folders for path in pathlib.Path(folder).rglob('*.py')):
        if room > 0:
            found.append(path.read_text(errors='replace'))
            room -= len(found[-1].encode())
    return found


def phijax(documents: list[str], scratch: pathlib.Path) -> Callable[[], None]:
    """A sketch of the documents, in a file."""
    from phijax.data.filtering import deduplicate

    plan, ids = deduplicate.Plan(), [str(number) for number in range(len(documents))]

    def run() -> None:
        sketch = deduplicate.sketch(documents, plan)
        deduplicate.write_sketch(scratch / 'sketch', ids, sketch, plan)

    return run


def datatrove(documents: list[str], scratch: pathlib.Path, language: str) -> Callable[[], None]:
    """The files of datatrove's first stage, with its own settings."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup.minhash import MinhashDedupSignature
    from datatrove.utils.logging import logger

    logger.remove()
    stage = MinhashDedupSignature(str(scratch), language=language)
    made = [Document(text=text, id=str(number)) for number, text in enumerate(documents)]
    return lambda: stage.run(iter(made))


def work(variant: str, folders: list[str]) -> None:
    """Answers each line on the standard input with the seconds of one turn."""
    documents = texts(folders)
    with tempfile.TemporaryDirectory() as scratch:
        if variant == 'phijax':
            run = phijax(documents, pathlib.Path(scratch))
        else:
            language = 'eng' if variant == 'datatrove' else SPACED
            run = datatrove(documents, pathlib.Path(scratch), language)
        run()
        print('ready', sum(len(text.encode()) for text in documents), flush=True)
        for _ in sys.stdin:
            began = time.perf_counter()
            run()
            print(time.perf_counter() - began, flush=True)


def signatures(python: str, rounds: int) -> dict:
    """Megabytes per second of each variant, and the median over rounds of their ratios."""
    import numpy

    folders = [sysconfig.get_path('stdlib'), str(pathlib.Path(numpy.__file__).parent)]
    workers = {name: _start(sys.executable if name == 'phijax' else python, name, folders)
               for name in VARIANTS}  # fmt: skip
    sizes = {name: int(worker.stdout.readline().split()[1]) for name, worker in workers.items()}
    if len(set(sizes.values())) != 1:
        sys.exit(f'the variants read other files: {sizes}')
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for number in range(rounds):
        for name in VARIANTS if number % 2 else VARIANTS[::-1]:
            workers[name].stdin.write('\n')
            workers[name].stdin.flush()
            seconds[name].append(float(workers[name].stdout.readline()))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    size = sizes['phijax'] / 1e6
    ours = seconds['phijax']
    return {
        'megabytes': size,
        'rounds': rounds,
        'megabytes_per_second': {n: size / statistics.median(seconds[n]) for n in VARIANTS},
        'ratio': {n: _ratio(seconds[n], ours) for n in VARIANTS[1:]},
    }


def _start(python: str, variant: str, folders: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [python, __file__, '--worker', variant, *folders],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _ratio(theirs: list[float], ours: list[float]) -> list[float]:
    """Median, least and greatest."""
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    return [statistics.median(ratios), min(ratios), max(ratios)]


def make_up(count: int, directory: pathlib.Path) -> list[pathlib.Path]:
    """Sketches of made-up sets: each third document is a copy of one before with few changes."""
    import numpy as np

    from phijax.data.filtering import deduplicate
    from phijax.data.filtering.deduplicate import shingles, signatures

    rng, plan, paths = np.random.default_rng(0), deduplicate.Plan(), []
    ends = shingles.bounds(np.full(SHARD, SHINGLES))
    values = np.zeros((SHARD, SHINGLES), np.uint64)
    for start in range(0, count, SHARD):
        before = values
        values = rng.integers(0, 2**64, (SHARD, SHINGLES), np.uint64)
        changed = rng.integers(0, SHINGLES // 10, SHARD // 3)[:, None]
        copied = before[rng.integers(0, SHARD, SHARD // 3)] if start else values[1::3]
        values[: 3 * len(copied) : 3] = np.where(
            np.arange(SHINGLES) < changed, values[: 3 * len(copied) : 3], copied
        )
        # What changed is at the front of the set before it is sorted, and random after.
        sets = shingles.Sets(np.sort(values, axis=1).reshape(-1), ends)
        bands = signatures.fold(signatures.sign(sets, plan.num_hashes), plan)
        made = deduplicate.Sketch(np.full(SHARD, 8 * SHINGLES), sets, bands)
        paths.append(directory / f'{start}.sketch')
        ids = [f'{rng.integers(2**63):016x}{number:016x}' for number in range(start, start + SHARD)]
        deduplicate.write_sketch(paths[-1], ids, made, plan)
    return paths


def join(count: int) -> dict:
    """Seconds and greatest memory of the join of so many made-up documents, in a process."""
    with tempfile.TemporaryDirectory() as scratch:
        room = shutil.disk_usage(scratch).free
        if room < 2 * 8 * SHINGLES * count:
            sys.exit(f'{room >> 30} GB are free; {count} documents need more')
        paths = make_up(count, pathlib.Path(scratch))
        command = [sys.executable, __file__, '--join', *map(str, paths)]
        return json.loads(subprocess.check_output(command, text=True))


def time_join(paths: list[pathlib.Path]) -> dict:
    """What the process that joins finds of itself."""
    from phijax.data.filtering import deduplicate

    began = time.perf_counter()
    report = deduplicate.join(paths, deduplicate.Plan()).report
    seconds = time.perf_counter() - began
    status = pathlib.Path('/proc/self/status').read_text()
    return {
        'documents': report['documents'],
        'seconds': seconds,
        'cpu_seconds': time.process_time(),
        'documents_per_second': report['documents'] / seconds,
        'peak_megabytes': int(status.split('VmHWM:')[1].split()[0]) / 1024,
        'kept': report['kept'],
        'pairs': report['pairs'],
    }


def main() -> None:
    """Measures both, or is a worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--datatrove', default='', help='the Python that has it')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--documents', type=int, nargs='*', default=(500_000, 1_000_000, 2_000_000))
    parser.add_argument('--worker', nargs='+', metavar=('VARIANT', 'FOLDER'))
    parser.add_argument('--join', nargs='+', type=pathlib.Path, metavar='SKETCH')
    flags = parser.parse_args()
    if flags.worker:
        return work(flags.worker[0], flags.worker[1:])
    if flags.join:
        return print(json.dumps(time_join(flags.join)))
    path = HERE / 'duplicates.json'
    results = json.loads(path.read_text()) if path.exists() else {}
    if flags.datatrove:
        results['signatures'] = signatures(flags.datatrove, flags.rounds)
    if flags.documents:
        results['join'] = [join(count) for count in flags.documents]
    path.write_text(json.dumps(results, indent=1) + '\n')
    return print(path.read_text())


if __name__ == '__main__':
    main()
