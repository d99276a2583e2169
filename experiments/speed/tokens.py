"""Times tokenising beside the plain call of `tokenizers`, in turns.

    python experiments/speed/tokens.py

Both have the same vocabulary and Python's own library as text; the ids have to be the same.
"""

import argparse
import json
import pathlib
import statistics
import sysconfig
import time

from tokenizers import Tokenizer

from phijax.data import tokenizer

HERE = pathlib.Path(__file__).parent
MEGABYTES, VOCABULARY, BATCH = 8, 8192, 256


def texts() -> list[str]:
    """Files of the standard library, in order, up to the amount."""
    found, size = [], 0
    for path in sorted(pathlib.Path(sysconfig.get_paths()['stdlib']).glob('**/*.py')):
        if size < MEGABYTES * 1e6 and 'site-packages' not in path.parts:
            found.append(path.read_text('utf-8', errors='ignore'))
            size += len(found[-1].encode())
    return found


def main() -> None:
    """Measures and writes tokens.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--workdir', type=pathlib.Path, default=pathlib.Path('runs/speed_tokens'))
    chosen = parser.parse_args()
    documents = texts()
    ours = tokenizer.train(documents, VOCABULARY)
    ours.save(chosen.workdir)
    plain = Tokenizer.from_file(str(chosen.workdir / 'tokenizer.json'))
    megabytes = sum(len(text.encode()) for text in documents) / 1e6
    rates: dict[str, list[float]] = {'plain': [], 'phijax': []}
    for _ in range(chosen.rounds):
        start = time.perf_counter()
        wanted = [plain.encode(text, add_special_tokens=False).ids for text in documents]
        middle = time.perf_counter()
        batches = (documents[n : n + BATCH] for n in range(0, len(documents), BATCH))
        ids = [row for batch in batches for row in ours.encode_batch(batch)]
        end = time.perf_counter()
        assert ids == wanted
        rates['plain'].append(megabytes / (middle - start))
        rates['phijax'].append(megabytes / (end - middle))
    ratios = [own / peer for own, peer in zip(rates['phijax'], rates['plain'], strict=True)]
    result = {
        'megabytes': round(megabytes, 2),
        'megabytes_per_second': {n: round(statistics.median(v), 2) for n, v in rates.items()},
        'ratio': {
            'median': round(statistics.median(ratios), 2),
            'range': [round(min(ratios), 2), round(max(ratios), 2)],
        },
    }
    (HERE / 'tokens.json').write_text(json.dumps(result, indent=1) + '\n')
    print(json.dumps(result, indent=1))


if __name__ == '__main__':
    main()
