"""Kills of the whole filter, over and over: `python experiments/filtering/soak.py --kills=20`.

Runs configs/filter/code.py:smoke once undisturbed, and once under SIGKILL at random moments until
it is done; the digests of all stages and the token shards must be the same.
"""

import argparse
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

COMMAND = (sys.executable, '-m', 'phijax.data.filtering', '--config=configs/filter/code.py:smoke')


def main() -> None:
    """Everything, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--workdir', type=pathlib.Path, default=pathlib.Path('runs/filter_soak'))
    flags = parser.parse_args()
    shutil.rmtree(flags.workdir, ignore_errors=True)
    began = time.monotonic()
    calm = finish(flags.workdir / 'calm')
    seconds = time.monotonic() - began
    moments, kills = random.Random(0), 0
    while kills < flags.kills:
        process = subprocess.Popen(
            [*COMMAND, f'--workdir={flags.workdir}/killed'],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(moments.uniform(1.0, seconds / 2))
        if process.poll() is not None:
            shutil.rmtree(flags.workdir / 'killed')  # it was done: the next kills are of a new run
            continue
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    killed = finish(flags.workdir / 'killed')
    same = calm == killed
    print(json.dumps({'kills': kills, 'seconds undisturbed': round(seconds), 'identical': same}))
    sys.exit(0 if same else 1)


def finish(workdir: pathlib.Path) -> dict[str, str]:
    """What a run that is let be has made: digests by stage, and of the tokens."""
    subprocess.run([*COMMAND, f'--workdir={workdir}'], check=True, capture_output=True)
    found = dict(json.loads((workdir / 'report.json').read_text())['digests'])
    (tokens,) = workdir.glob('tokens-*/manifest.json')
    return found | {'tokens': json.loads(tokens.read_text())['digest']}


if __name__ == '__main__':
    main()
