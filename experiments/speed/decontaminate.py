"""Decontamination beside datatrove's n-gram filter, in turns, on Python's own library: one run.

`python experiments/speed/decontaminate.py --peer=PYTHON` where PYTHON is an interpreter that has
datatrove[processing]==0.10.1; without it phijax runs alone. One thread each. Seconds are those of
the processor, as the process counts them, so that neighbours on the machine do little to them.
Prints the rows and writes decontaminate.json beside this file.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable

HERE = pathlib.Path(__file__).parent
# Characters of text: what the peer gets is less, as it is slower.
TEXT, PEER_TEXT = 12_000_000, 1_000_000
NGRAM = 13


def texts(limit: int) -> list[str]:
    """Files of Python's library without its tests, so many characters."""
    root = pathlib.Path(sysconfig.get_paths()['stdlib'])
    found, held = [], 0
    for path in sorted(root.rglob('*.py')):
        if not {'site-packages', 'test', 'tests'} & {*path.parts} and held < limit:
            found.append(path.read_text(errors='replace'))
            held += len(found[-1])
    return found


def words(limit: int) -> Callable[[list], int]:
    """Looks for the words of all items in the library; bytes."""
    from phijax.data.filtering.decontaminate import Index, Settings, load

    index = Index.build(load(Settings().benchmarks), Settings())
    corpus = texts(limit)

    def run(found: list) -> int:
        found += [quote.text for quote in index.passages.find(corpus) if quote]
        return sum(len(text.encode()) for text in corpus)

    return run


def datatrove(directory: str) -> Callable[[list], int]:
    """The same by datatrove, whose index has the same items; bytes."""
    import numpy as np
    from datatrove.data import Document
    from datatrove.pipeline.decont import NGramsDecontConfig, NGramsDecontFilter
    from datatrove.pipeline.decont.n_grams import NGramsDecontIndexer

    config = NGramsDecontConfig(n_grams=NGRAM, find_query_ngrams=True, find_overlap_ngrams=False)
    # Its constructor wants lighteval, which only loads items.
    indexer = object.__new__(NGramsDecontIndexer)
    step = NGramsDecontFilter(directory, config)
    vars(indexer).update(config=config, tokenizer=step.tokenizer, hash_func=step.hash_func)
    hashes = []
    for question, answer in json.loads(pathlib.Path(directory, 'items.json').read_text()):
        hashes += indexer.compute_hashes(answer, question)
    np.array(hashes, np.uint64).tofile(f'{directory}/items.index.hashes')
    corpus = texts(PEER_TEXT)

    def run(found: list) -> int:
        for number, text in enumerate(corpus):
            document = Document(text, str(number))
            if step.filter(document) is not True:
                found.append(document.metadata['contaminated_ngram'])
        return sum(len(text.encode()) for text in corpus)

    return run


def signatures(which: str) -> Callable[[list], int]:
    """Parses and signs the library's functions, or the solutions; functions."""
    from phijax.data.filtering.decontaminate import Settings, load, syntax

    settings = Settings()
    solutions = [item.code for item in load(('humaneval', 'mbpp'))]
    corpus = texts(TEXT) if which == 'library' else solutions * 5

    def run(found: list) -> int:
        with syntax.without_collection():
            signed = [syntax.parse(text, settings)[0] for text in corpus]
        found += [function for functions in signed for function in functions if function.spelling]
        return sum(map(len, signed))

    return run


def pairs(which: str) -> Callable[[list], int]:
    """Compares the library's functions with the solutions, in blocks or all at once; pairs."""
    from phijax.data.filtering.decontaminate import Settings, load, matching, syntax

    settings = Settings()
    with syntax.without_collection():
        functions = [f for text in texts(TEXT) for f in syntax.parse(text, settings)[0]]
    large = [function for function in functions if not function.spelling]
    solutions = matching.Solutions(load(('humaneval', 'mbpp')), settings)
    if which == 'at once':
        whole = len(solutions.compared), len(large)
        solutions._blocks = lambda lengths: [(0, whole[0], 0, whole[1])]

    def run(found: list) -> int:
        found += [likeness.item for likeness in solutions.compare(large)]
        return len(large) * len(solutions.compared)

    return run


VARIANTS: dict[str, tuple[str, Callable[[str], Callable[[list], int]]]] = {
    'words': ('bytes', lambda _: words(TEXT)),
    "words, the peer's text": ('bytes', lambda _: words(PEER_TEXT)),
    'words, datatrove': ('bytes', datatrove),
    'signatures, library': ('functions', lambda _: signatures('library')),
    'signatures, solutions': ('functions', lambda _: signatures('solutions')),
    'pairs, blocks by length': ('pairs', lambda _: pairs('blocks')),
    'pairs, at once': ('pairs', lambda _: pairs('at once')),
}


def work(variant: str, directory: str) -> None:
    """Answers each line on the standard input with what one turn did, found and took."""
    run = VARIANTS[variant][1](directory)
    run([])
    print('ready', flush=True)
    for _ in sys.stdin:
        found: list = []
        began = time.process_time()
        amount = run(found)
        print(json.dumps([amount, len(found), time.process_time() - began]), flush=True)


def main() -> None:
    """Times all variants in turns, or is one of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--peer', default='')
    parser.add_argument('--worker', nargs=2, metavar=('VARIANT', 'DIRECTORY'))
    flags = parser.parse_args()
    if flags.worker:
        work(*flags.worker)
        return
    names = [name for name in VARIANTS if flags.peer or 'datatrove' not in name]
    with tempfile.TemporaryDirectory() as directory:
        from phijax.data.filtering.decontaminate import Settings, load

        items = [(item.question, item.answer) for item in load(Settings().benchmarks)]
        pathlib.Path(directory, 'items.json').write_text(json.dumps(items))
        turns = time_in_turns(names, flags.rounds, flags.peer, directory)
    rows = [row(name, turns[name]) for name in names]
    (HERE / 'decontaminate.json').write_text(
        json.dumps({'rounds': flags.rounds, 'rows': rows}, indent=1) + '\n'
    )
    for each in rows:
        print(json.dumps(each))


def time_in_turns(
    names: list[str], rounds: int, peer: str, directory: str
) -> dict[str, list[tuple[int, int, float]]]:
    """The turns of each variant, all of whose processes are there from the start."""
    workers = {
        name: subprocess.Popen(
            [
                peer if 'datatrove' in name else sys.executable,
                __file__,
                '--worker',
                name,
                directory,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    }
    for worker in workers.values():
        while (line := worker.stdout.readline()) and line.strip() != 'ready':
            pass
    turns: dict[str, list[tuple[int, int, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 else names[::-1]:
            workers[name].stdin.write('\n')
            workers[name].stdin.flush()
            turns[name].append(json.loads(workers[name].stdout.readline()))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    return turns


def row(name: str, turns: list[tuple[int, int, float]]) -> dict:
    """What is told of a variant: the median of its turns, and the slowest and the fastest."""
    speeds = [amount / seconds for amount, _, seconds in turns]
    return {
        'work': name,
        'unit': f'{VARIANTS[name][0]} a second',
        'median': statistics.median(speeds),
        'lowest': min(speeds),
        'highest': max(speeds),
        'amount': turns[0][0],
        'found': turns[0][1],
    }


if __name__ == '__main__':
    main()
