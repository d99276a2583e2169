"""What lm-evaluation-harness asks of rows that are at hand: its own YAML files, and no network."""

import ast
import os
import pathlib
from collections.abc import Sequence
from typing import Any

os.environ.setdefault('HF_HUB_OFFLINE', '1')

import pytest

lm_eval = pytest.importorskip('lm_eval', reason="needs lm-eval: pip install -e '.[eval]'")

import datasets
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

TASKS = pathlib.Path(lm_eval.__file__).parent / 'tasks'

Row = dict[str, Any]


def build(
    path: str, rows: Sequence[Row], solved: Sequence[Row] = (), **changes: Any
) -> ConfigurableTask:
    """The harness's task of a YAML file, over these rows, whichever split it reads.

    Args:
        solved: what it takes solved items from.
        changes: what replaces the functions of the file, which are not loaded then: some fetch a
            metric from a hub when they are named.
    """
    config = load_yaml(TASKS / path, resolve_func=not changes)
    tables = dict.fromkeys(('validation', 'test'), datasets.Dataset.from_list(list(rows)))
    for name in ('train', 'dev'):
        tables[name] = datasets.Dataset.from_list(list(solved or rows))
    config['custom_dataset'] = lambda **_: tables
    return ConfigurableTask(config=config | changes)


def asked(task: ConfigurableTask, num_shots: int = 0) -> list[list[tuple[str, Any]]]:
    """For each item the pairs of texts that are scored, or the text and how it is gone on from."""
    found = []
    for document in task.eval_docs:
        context = task.fewshot_context(document, num_shots)
        made = task.construct_requests(document, context, metadata=(task.config.task, 0, 1))
        requests = made if isinstance(made, list) else [made]
        found.append([request.arguments for request in requests])
    return found


def golds(task: ConfigurableTask) -> list[Any]:
    """What the harness takes for right."""
    return [task.doc_to_target(document) for document in task.eval_docs]


def constant(path: str, function: str) -> list[Row]:
    """The list that a function of the harness returns, whose module cannot be imported offline."""
    tree = ast.parse((TASKS / path).read_text('utf-8'))
    [node] = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function]
    returned = node.body[-1]
    assert isinstance(returned, ast.Return)
    return eval(compile(ast.Expression(returned.value), path, 'eval'), {})


def marked(task: ConfigurableTask, text: str) -> list[float]:
    """What the harness gives a text that was written for its first item, by each of its filters."""
    [document] = task.eval_docs
    request = task.construct_requests(document, '', metadata=(task.config.task, 0, 1))
    request.resps = [text]
    task._instances = [request]
    task.apply_filters()
    names = [each.name for each in task._filters]
    return [
        float(task.process_results(document, [request.filtered_resps[name]])['exact_match'])
        for name in names
    ]
