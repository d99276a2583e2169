"""Times the client beside the plain AsyncOpenAI, in turns: `python experiments/speed/client.py`.

All ask the same server on the loopback, which is a process of its own; each turn is a new process
that times itself. `--memory` runs the client alone over more and more rows and reports its peak.
"""

import argparse
import asyncio
import contextlib
import json
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

HERE = pathlib.Path(__file__).parent
SYSTEM = 'You judge how much a text teaches. ' * 3
# Of the plain SDK fewer, as it takes several times as long.
ROWS = {'client': 4000, 'sdk_aiohttp': 1000, 'sdk': 1000}
CONCURRENCY = {'client': 128, 'sdk_aiohttp': 128, 'sdk': 128}


def messages(number: int) -> tuple[dict[str, str], ...]:
    """A prompt of about half a kilobyte."""
    text = f'{number}: ' + 'def add(first, second): return first + second\n' * 8
    return ({'role': 'system', 'content': SYSTEM}, {'role': 'user', 'content': text})


def client(url: str, rows: int, concurrency: int) -> int:
    """Answers by phijax, with its budget, journal and lease."""
    from phijax.data.client import Budget, Client, Endpoint, Request

    endpoint = Endpoint(url, 'm', max_concurrency=concurrency)
    requests = (Request(messages(number), 64) for number in range(rows))
    with (
        tempfile.TemporaryDirectory() as directory,
        Client(endpoint, Budget(10**12), pathlib.Path(directory)) as opened,
    ):
        return sum(answer.status == 'ok' for answer in opened.complete(requests))


def sdk(url: str, rows: int, concurrency: int, aiohttp: bool = False) -> int:
    """Answers by `chat.completions.create`, with nothing kept."""
    import openai

    async def ask() -> int:
        transport = openai.DefaultAioHttpClient() if aiohttp else None
        numbers = iter(range(rows))
        good = 0
        async with openai.AsyncOpenAI(
            base_url=url, api_key='none', max_retries=0, http_client=transport
        ) as opened:

            async def work() -> None:
                nonlocal good
                for number in numbers:
                    answer = await opened.chat.completions.create(
                        model='m', messages=messages(number), max_tokens=64
                    )
                    good += bool(answer.choices[0].message.content)

            await asyncio.gather(*(work() for _ in range(concurrency)))
        return good

    return asyncio.run(ask())


WORK = {'client': client, 'sdk': sdk, 'sdk_aiohttp': lambda *a: sdk(*a, aiohttp=True)}


def worker(name: str, url: str, rows: int) -> None:
    """One turn: prints what it took, after a short one that is not counted."""
    WORK[name](url, 200, 16)
    began, busy = time.perf_counter(), time.process_time()
    good = WORK[name](url, rows, CONCURRENCY[name])
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if good != rows:
        sys.exit(f'{name}: {good} of {rows} were answered')
    print(json.dumps({'per_second': rows / seconds, 'cpu_us': cpu / rows * 1e6, 'peak_mb': peak}))


def turn(name: str, url: str, rows: int) -> dict:
    """A worker in a process of its own."""
    command = [sys.executable, __file__, f'--worker={name}', f'--url={url}', f'--rows={rows}']
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of the tests' server in a process of its own."""
    command = [sys.executable, '-m', 'tests.data.client.server']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield f'http://127.0.0.1:{int(process.stdout.readline())}/v1'
    finally:
        process.kill()
        process.wait()


def compare(url: str, rounds: int) -> dict:
    """Requests a second and processor time of each, and how many times the client has of each."""
    turns = {name: [] for name in ROWS}
    for round_number in range(rounds):
        for name in list(ROWS)[:: 1 if round_number % 2 == 0 else -1]:
            turns[name].append(turn(name, url, ROWS[name]))
    summary = {}
    for name, values in turns.items():
        rates = [value['per_second'] for value in values]
        ratios = [
            ours['per_second'] / rate for ours, rate in zip(turns['client'], rates, strict=True)
        ]
        summary[name] = {
            'per_second': round(statistics.median(rates)),
            'per_second_best': round(max(rates)),
            'cpu_us': round(statistics.median(value['cpu_us'] for value in values)),
            'cpu_us_best': round(min(value['cpu_us'] for value in values)),
            'client_is_times_as_fast': round(statistics.median(ratios), 2),
        }
    return {'rounds': rounds, 'concurrency': CONCURRENCY['client'], 'variants': summary}


def main() -> None:
    """Measures and writes client.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--worker', default='')
    parser.add_argument('--url', default='')
    parser.add_argument('--rows', type=int, default=0)
    parser.add_argument('--rounds', type=int, default=6)
    parser.add_argument('--memory', type=int, nargs='*', default=[])
    chosen = parser.parse_args()
    if chosen.worker:
        worker(chosen.worker, chosen.url, chosen.rows)
        return
    path = HERE / 'client.json'
    result = json.loads(path.read_text()) if path.exists() else {}
    with serving() as url:
        if chosen.memory:
            turns = {str(rows): turn('client', url, rows) for rows in chosen.memory}
            result['peak_mb'] = {rows: round(value['peak_mb']) for rows, value in turns.items()}
        else:
            result |= compare(url, chosen.rounds)
    result['machine'] = f'{platform.processor() or platform.machine()}, 2 shared cores'
    path.write_text(json.dumps(result, indent=1) + '\n')
    print(json.dumps(result, indent=1))


if __name__ == '__main__':
    main()
