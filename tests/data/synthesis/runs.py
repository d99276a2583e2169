"""Small runs of the whole chain with the scripted teacher, for several test files."""

import json
import pathlib
from typing import Any

WINDOW = 20


def config(url: str, root: pathlib.Path, samples: int = 50, **changes: Any) -> dict[str, Any]:
    """A config with extracts out of a file that is written below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    file = root / 'web.jsonl'
    rows = [
        f'Page {n} of the web. ' + ' '.join(f'Its sentence {n * m} says so.' for m in range(1, 40))
        for n in range(30)
    ]
    file.write_text(''.join(json.dumps({'text': row}) + '\n' for row in rows))
    plain: dict[str, Any] = {
        'sources': {'web': {'kind': 'files', 'paths': [str(file)]}},
        'topics': {'taxonomy': 'commonsense', 'leaves': 360},
        'seeds': {'max_extracts': 20},
        'texts': {'kind': 'commonsense', 'samples': samples},
        'teacher': {'model': 'teacher', 'max_rejected': 1.0},
        'diversity': {'window': WINDOW, 'least': 10, 'factors': ['form'], 'min_rank': 5.0},
        'plain': {'samples': 12},
        'pairs': {'samples': 0},
        'endpoint': {
            'url': url,
            'max_concurrency': 8,
            'backoff_seconds': 0.02,
            'breaker_seconds': 1.0,
        },
        'budget': {'max_tokens': 10_000_000},
    }
    return {name: values | changes.get(name, {}) for name, values in plain.items()}


def write(path: pathlib.Path, plain: dict[str, Any]) -> pathlib.Path:
    """A config as a file for the command."""
    path.write_text(
        'import json\n\nimport ml_collections\n\n\ndef get_config():\n'
        f'    return ml_collections.ConfigDict(json.loads({json.dumps(plain)!r}))\n'
    )
    return path


def contents(workdir: pathlib.Path) -> dict[str, bytes]:
    """What a run made: all but its journal, clocks and reports."""
    return {
        str(path.relative_to(workdir)): path.read_bytes()
        for path in sorted(workdir.rglob('*'))
        if path.is_file()
        and not {'journal', 'done'} & set(path.relative_to(workdir).parts)
        and not path.name.startswith('report.')
    }
