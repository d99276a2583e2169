"""Items of the pinned packages, and the solved items that stand in front of them there.

Items come with five solved ones, which are always the same. Each answer of an item is a row of its
own; rows from `_UNCONDITIONAL` on have the answers once more, without the question.
"""

import ast
import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

from phijax import assets
from phijax.errors import InputError

_UNCONDITIONAL = 1_000_000


def documents(folder: str) -> list[dict[str, Any]]:
    """The items of a folder of the asset `benchmarks`, in their order.

    Raises:
        AssetError: the asset cannot be had.
    """
    found: dict[int, dict[str, Any]] = {}
    for request in _requests(folder):
        if request['doc_id'] < _UNCONDITIONAL:
            found.setdefault(request['doc_id'], request['doc'])
    return list(found.values())


def blocks(folder: str) -> list[str]:
    """The paragraphs before each item of a folder: they are the same for all.

    Raises:
        AssetError: the asset cannot be had.
    """
    request = next(_requests(folder))
    return list(request['request']['context'].split('\n\n')[:-1])


def solved(folder: str, form: re.Pattern[str]) -> list[dict[str, str]]:
    """The parts of the solved items before each item of a folder.

    Args:
        form: what a solved item is like; its groups are the parts.

    Raises:
        AssetError: the asset cannot be had.
        InputError: a solved item is not like that.
    """
    return [parts(folder, block, form) for block in blocks(folder)]


def parts(folder: str, text: str, form: re.Pattern[str]) -> dict[str, str]:
    """The parts of a text, by the names of the groups of its form.

    Raises:
        InputError: it is not of that form.
    """
    match = form.fullmatch(text)
    if match is None:
        raise InputError(f'{folder}: a text must be like {form.pattern}, got {text!r:.200}')
    return match.groupdict()


def jsonl(asset: str, path: str) -> list[dict[str, Any]]:
    """The values of a compressed file of JSON lines in an asset.

    Raises:
        AssetError: the asset cannot be had.
    """
    with assets.open_member(asset, path) as file, gzip.open(file, 'rt', encoding='utf-8') as lines:
        return [json.loads(line) for line in lines]


def returned(asset: str, path: str, function: str) -> list[dict[str, Any]]:
    """The list that a function of a Python file returns, which is read and not run.

    Raises:
        AssetError: the asset cannot be had.
        InputError: it has no such function, or that returns no literal.
    """
    with assets.open_member(asset, path) as file:
        tree = ast.parse(file.read())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            last = node.body[-1]
            if isinstance(last, ast.Return) and last.value:
                return list(ast.literal_eval(last.value))
    raise InputError(f'{path} of the asset {asset} has no {function} that returns a literal')


def _requests(folder: str) -> Iterator[dict[str, Any]]:
    member = assets.open_member('benchmarks', f'{folder}/requests.jsonl.gz')
    with member as file, gzip.open(file, 'rt', encoding='utf-8') as lines:
        for line in lines:
            yield json.loads(line)
