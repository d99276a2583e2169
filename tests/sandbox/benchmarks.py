"""Items of HumanEval and MBPP as jobs, with their own solutions or others."""

import ast
import functools
import gzip
import json
from collections.abc import Callable
from typing import Any

from phijax import assets
from phijax.sandbox import Job, Limits, wanted_names

NAMES = ('humaneval', 'benchmarks')
# A solution of MBPP takes 5 s on a slow core.
LIMITS = Limits(cpu_seconds=30)


@functools.cache
def humaneval() -> list[dict[str, Any]]:
    return _rows('humaneval', 'HumanEval.jsonl.gz')


@functools.cache
def mbpp() -> list[dict[str, Any]]:
    rows = _rows('benchmarks', 'codex_mbpp/gold_bpb_3shot/requests.jsonl.gz')
    return [row['doc'] for row in rows]


def humaneval_job(item: dict[str, Any], change: Callable[[str], str] = str) -> Job:
    """A solution of an item, changed."""
    name = item['entry_point']
    return Job(
        code=change(item['prompt'] + item['canonical_solution']),
        tests=f'{item["test"]}\ncheck({name})\n',
        names=(name,),
        setup=f'{item["prompt"]}    pass\n',
    )


def mbpp_job(item: dict[str, Any], change: Callable[[str], str] = str) -> Job:
    """A solution of an item, changed; all its tests, the harder ones too."""
    kinds = ast.FunctionDef | ast.ClassDef
    defined = [node.name for node in ast.parse(item['code']).body if isinstance(node, kinds)]
    tests = '\n'.join(item['test_list'] + item['challenge_test_list'])
    setup = item['test_setup_code']
    names = wanted_names(tests, setup, defined)
    return Job(code=change(item['code']), tests=tests, names=names, setup=setup, limits=LIMITS)


def _rows(asset: str, member: str) -> list[dict[str, Any]]:
    with gzip.open(assets.open_member(asset, member)) as lines:
        return [json.loads(line) for line in lines]
