"""A small pile of real code with planted copies, near-copies and leaks, and a config for it."""

import gzip
import json
import pathlib
import random
import re
from typing import Any

from phijax import assets
from phijax.data.filtering.ingest import GENERATED
from phijax.data.tokenize.sources import library_files

COPIES, NEAR, LEAKS = 6, 8, 8


def write(root: pathlib.Path, library: pathlib.Path, count: int = 90) -> dict[str, set[str]]:
    """Writes the files; the names of what was planted, by kind."""
    texts = [_read(library / path) for path in library_files()]
    texts = [text for text in texts if 4000 < len(text) < 30_000 and not GENERATED.search(text)]
    chosen = texts[:count]
    for number, text in enumerate(chosen):
        (root / f'lib{number % 5}').mkdir(parents=True, exist_ok=True)
        (root / f'lib{number % 5}' / f'module{number:03d}.py').write_text(text)
    planted: dict[str, set[str]] = {'copy': set(), 'near': set(), 'leak': set()}
    for number in range(COPIES):
        planted['copy'].add(_plant(root, f'copy{number}', chosen[number].replace('\n', '\r\n')))
    for number in range(NEAR):
        planted['near'].add(_plant(root, f'near{number}', edit(chosen[20 + number], number)))
    for number, text in enumerate(leaks()):
        planted['leak'].add(_plant(root, f'leak{number}', text))
    return planted


def edit(text: str, seed: int) -> str:
    """The text with two comments more, as a later version of a file has them."""
    lines = text.splitlines()
    places = [n for n, line in enumerate(lines) if line.startswith(('def ', 'class '))]
    generator = random.Random(seed)
    for place in sorted(generator.sample(places, min(1, len(places))), reverse=True):
        lines.insert(place, f'# Changed in version {generator.randrange(10**6)}.')
    return '\n'.join(lines) + '\n# The end.\n'


def leaks() -> list[str]:
    """Solutions of HumanEval between other functions: half as they are, half renamed."""
    found = []
    for number, item in enumerate(problems()[:LEAKS]):
        code = item['prompt'] + item['canonical_solution']
        if number % 2:
            code = re.sub(r'"""(?s:.*?)"""', '"""Does it."""', code)
            code = re.sub(rf'\b{item["entry_point"]}\b', f'routine_{number}', code)
        around = f'"""Module {number}."""\n\nimport math\n\n\n'
        found.append(
            f'{around}def first_{number}(x):\n    return math.floor(x) + {number}\n\n\n{code}'
        )
    return found


def problems() -> list[dict[str, Any]]:
    """The problems of HumanEval with the longest solutions, whose shape is their own."""
    with assets.open_member('humaneval', 'HumanEval.jsonl.gz') as packed:
        rows = [json.loads(line) for line in gzip.decompress(packed.read()).splitlines()]
    return sorted(rows, key=lambda row: -len(row['canonical_solution']))


def config(root: pathlib.Path, **groups: dict[str, Any]) -> dict[str, Any]:
    """Plain values that filter the pile below `root` in a few seconds."""
    plain: dict[str, Any] = {
        'sources': {'pile': {'kind': 'files', 'paths': [f'{root}/**/*.py']}},
        'ingest': {'shards': 3},
        'annotate': {'sample': 80, 'cut': 2},
        'embed': {'kind': 'ngrams'},
        'forest': {'n_trees': 20},
        'select': {'amounts': [0.9]},
        'tokenize': {'vocab_size': 300, 'heldout_fraction': 0.1},
    }
    return {name: plain.get(name, {}) | groups.get(name, {}) for name in plain | groups}


def _plant(root: pathlib.Path, name: str, text: str) -> str:
    path = root / 'planted' / f'{name}.py'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def _read(path: pathlib.Path) -> str:
    return path.read_text('utf-8', errors='replace')
