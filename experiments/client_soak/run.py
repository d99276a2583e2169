"""Kills the client with SIGKILL at random moments, and compares its end with a run left alone.

    python experiments/client_soak/run.py --kills=20

Each session is a process of its own; the server is another, which counts what it was asked and what
it billed, and turns requests away or fails them at random. What must be equal to the byte: the file
of all answers. What is bounded: what was billed twice.
"""

import argparse
import contextlib
import json
import pathlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.data.client import server, session

HERE = pathlib.Path(__file__).parent
# No model sees these requests, so that what is billed is what is answered.
RATES = {'limited_after': 0.01, 'error': 0.02, 'busy': 0.01}


@contextlib.contextmanager
def serving(**flags: object) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, '-m', 'tests.data.client.server']
    command += [f'--{name}={value}' for name, value in flags.items()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield f'http://127.0.0.1:{int(process.stdout.readline())}/v1'
    finally:
        process.kill()
        process.wait()


def killed(url: str, directory: pathlib.Path, count: int, after: int) -> bool:
    """Whether a session was killed, once the server had answered so many more; else it finished."""
    goal = server.stats_of(url)['answered'] + after
    process = session.start(url, directory, count)
    while process.poll() is None and server.stats_of(url)['answered'] < goal:
        time.sleep(0.002)
    process.kill()
    code = process.wait()
    if code not in (0, -9):
        sys.exit(f'a session ended with {code} by itself')
    return code == -9


def main() -> None:
    """Runs both, compares, writes results.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--requests', type=int, default=2000)
    parser.add_argument('--root', type=pathlib.Path, default=pathlib.Path('runs/client_soak'))
    chosen = parser.parse_args()
    shutil.rmtree(chosen.root, ignore_errors=True)
    whole, broken = chosen.root / 'whole', chosen.root / 'broken'
    count = chosen.requests
    with serving() as url:
        if code := session.start(url, whole, count).wait():
            sys.exit(f'the undisturbed run ended with {code}')
    draw = random.Random(0)
    kills = 0
    with serving(rates=json.dumps(RATES), latency=0.02) as url:
        most = 2 * count // chosen.kills
        while kills < chosen.kills and killed(url, broken, count, draw.randint(1, most)):
            kills += 1
        process = session.start(url, broken, count)
        printed, _ = process.communicate()
        counted = server.stats_of(url)
    spent = json.loads(printed)
    distinct = len({request.key('m') for request in session.requests_of(count)})
    result = {
        'kills': kills,
        'requests': distinct,
        'concurrency': session.CONCURRENCY,
        'answers_equal': (whole / 'answers.jsonl').read_bytes()
        == (broken / 'answers.jsonl').read_bytes(),
        'billed_requests': counted['billed_requests'],
        'billed_twice': counted['billed_requests'] - distinct,
        'billed_twice_at_most': kills * session.CONCURRENCY,
        'billed_tokens': counted['billed'],
        'charged_tokens': spent['tokens'],
        'charged_as_unknown': spent['unknown_tokens'],
    }
    (HERE / 'results.json').write_text(json.dumps(result, indent=1) + '\n')
    print(json.dumps(result))
    holds = result['answers_equal'] and result['billed_tokens'] <= result['charged_tokens']
    sys.exit(not (holds and 0 <= result['billed_twice'] <= result['billed_twice_at_most']))


if __name__ == '__main__':
    main()
