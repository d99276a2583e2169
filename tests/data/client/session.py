"""A run of the client in a process of its own, to be killed: the answers go to a file at the end.

python -m tests.data.client.session URL DIRECTORY COUNT
"""

import json
import pathlib
import subprocess
import sys

from phijax.data.client import Budget, Client, Endpoint, Request

CONCURRENCY = 16
SCHEMA = {'type': 'object', 'properties': {'score': {'type': 'integer'}}, 'required': ['score']}


def requests_of(count: int) -> list[Request]:
    """Texts and JSON values in turns, with some repeated."""
    return [
        Request(
            ({'role': 'user', 'content': f'question {number - (number % 50 == 49)}'},),
            max_tokens=24,
            schema=SCHEMA if number % 2 else None,
        )
        for number in range(count)
    ]


def main(url: str, directory: pathlib.Path, count: int) -> None:
    """Asks everything; prints what was spent."""
    endpoint = Endpoint(url, 'm', max_concurrency=CONCURRENCY, backoff_seconds=0.02)
    with Client(endpoint, Budget(10**8), directory) as client:
        answers = list(client.complete(requests_of(count)))
        spent = client.spent
    (directory / 'answers.jsonl').write_text(
        ''.join(json.dumps([a.key, a.status, a.text, a.value, a.usage]) + '\n' for a in answers)
    )
    print(json.dumps(spent._asdict() | {'tokens': spent.tokens}))


def start(url: str, directory: pathlib.Path, count: int) -> subprocess.Popen:
    """A session in a process of its own."""
    command = [sys.executable, '-m', 'tests.data.client.session', url, str(directory), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


if __name__ == '__main__':
    main(sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]))
