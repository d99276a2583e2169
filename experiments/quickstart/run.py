"""Held-out bits per byte of candidates for quickstart: `python experiments/quickstart/run.py`.

Each candidate overrides fields of configs/quickstart.py. A run that is there is not run again.
"""

import argparse
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def run(name: str, overrides: list[str], root: pathlib.Path) -> dict:
    """The result of one candidate: bits per byte, tokens and tokens per second."""
    workdir = root / name
    command = [sys.executable, '-m', 'phijax.train', '--config=configs/quickstart.py']
    command += [f'--workdir={workdir}', '--config.prompts=()']
    command += [f'--config.{override}' for override in overrides]
    if not (workdir / 'report.md').exists():
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    records = [json.loads(line) for line in (workdir / 'metrics.jsonl').open()]
    heldout = [record for record in records if record['kind'] == 'evaluate'][-1]
    session = [record for record in records if record['kind'] == 'session'][-1]
    return {
        'name': name,
        'overrides': overrides,
        'bits_per_byte': heldout['bits_per_byte'],
        'tokens': session['timing']['tokens'],
        'tokens_per_second': session['timing']['training_tokens_per_second'],
    }


def main() -> None:
    """Runs the candidates of the file given and prints a row for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument('candidates', help='JSON: name -> overrides')
    parser.add_argument('--root', default='runs/quickstart_candidates')
    chosen = parser.parse_args()
    candidates = json.loads(pathlib.Path(chosen.candidates).read_text())
    path = HERE / 'results.json'
    results = json.loads(path.read_text()) if path.exists() else []
    for name, overrides in candidates.items():
        row = run(name, overrides, pathlib.Path(chosen.root))
        print(json.dumps(row), flush=True)
        results = [r for r in results if r['name'] != name] + [row]
        path.write_text(json.dumps(results, indent=1) + '\n')


if __name__ == '__main__':
    main()
