"""Times phijax against transformers, round by round in one run: `python experiments/speed/run.py`.

Prints one row per work, size and dtype, and writes them to results.json beside this file.
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
LIBRARIES = ('transformers', 'phijax')
ROWS = (
    ('train', 'tiny', 'float32', 3),
    ('train', 'small', 'float32', 1),
    ('train', 'tiny', 'bfloat16', 3),
    ('train', 'small', 'bfloat16', 1),
    ('forward', 'tiny', 'float32', 5),
    ('forward', 'small', 'float32', 2),
    ('decode1', 'tiny', 'float32', 1),
    ('decode8', 'tiny', 'float32', 1),
    ('decode1', 'small', 'float32', 1),
    ('decode2', 'small', 'float32', 1),
)


def measure(work: str, size: str, dtype: str, steps: int, rounds: int) -> dict:
    """Median seconds per step of both, and the median over rounds of the ratio of the two."""
    workers = {library: _start(library, work, size, dtype) for library in LIBRARIES}
    seconds: dict[str, list[float]] = {library: [] for library in LIBRARIES}
    for round_number in range(rounds):
        order = LIBRARIES if round_number % 2 == 0 else LIBRARIES[::-1]
        for library in order:
            seconds[library].append(_time(workers[library], steps))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
    return {
        'work': work,
        'size': size,
        'dtype': dtype,
        'transformers_seconds': statistics.median(seconds['transformers']),
        'phijax_seconds': statistics.median(seconds['phijax']),
        'ratio': statistics.median(ratios),
        'ratio_low': min(ratios),
        'ratio_high': max(ratios),
        'rounds': rounds,
    }


def _start(library: str, *variant: str) -> subprocess.Popen:
    command = [sys.executable, str(HERE / 'workers.py'), library, *variant]
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    while (line := worker.stdout.readline()) and line.strip() != 'ready':
        pass
    if not line:
        sys.exit(f'the worker {" ".join(command)} ended before it was ready')
    return worker


def _time(worker: subprocess.Popen, steps: int) -> float:
    worker.stdin.write(f'{steps}\n')
    return float(worker.stdout.readline()) / steps


def main() -> None:
    """Measures the rows asked for and writes them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--only', default='', help='rows whose "work size dtype" starts with this')
    parser.add_argument('--rounds', type=int, default=6)
    chosen = parser.parse_args()
    path = HERE / 'results.json'
    results = json.loads(path.read_text())['rows'] if path.exists() else []
    for work, size, dtype, steps in ROWS:
        name = f'{work} {size} {dtype}'
        if not name.startswith(chosen.only):
            continue
        row = measure(work, size, dtype, steps, chosen.rounds)
        print(f'{name:24s} transformers / phijax = {row["ratio"]:.2f}  {row}', flush=True)
        results = [r for r in results if (r['work'], r['size'], r['dtype']) != (work, size, dtype)]
        results.append(row)
        path.write_text(json.dumps({'machine': _machine(), 'rows': results}, indent=1) + '\n')


def _machine() -> str:
    return f'{platform.machine()}, {platform.system()}, python {platform.python_version()}'


if __name__ == '__main__':
    main()
