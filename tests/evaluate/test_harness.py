"""The adapter inside lm-evaluation-harness: its own runs, on tasks of its own kind."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

lm_eval = pytest.importorskip('lm_eval')
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

from phijax import models  # noqa: E402
from phijax.errors import InputError  # noqa: E402
from phijax.evaluate import encoding, harness, likelihood  # noqa: E402
from tests.evaluate.conftest import CONFIG  # noqa: E402

ROWS = [
    {'question': f'What is {word}?', 'choices': [word, f'{word} + b', 'return'], 'gold': number % 3}
    for number, word in enumerate(['add', 'def', 'it', 'a, b', 'Question', 'Answer'])
]
CHOICE_TASK = """
task: toy
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{gold}}}}"
metric_list:
  - metric: acc
  - metric: acc_norm
"""


@pytest.fixture
def model(params, codec):
    return harness.Phijax(model=(CONFIG, params, codec))


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """A manager that knows one task, of rows in a file; nothing is fetched."""
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.setenv('HF_HOME', str(tmp_path / 'hub'))
    monkeypatch.setenv('HF_DATASETS_CACHE', str(tmp_path / 'datasets'))
    data = tmp_path / 'rows.jsonl'
    data.write_text(''.join(json.dumps(row) + '\n' for row in ROWS))
    (tmp_path / 'toy.yaml').write_text(CHOICE_TASK.format(data=data))
    return TaskManager(include_path=str(tmp_path), include_defaults=False)


def _instances(kind, *arguments):
    return [Instance(kind, {}, pair, number) for number, pair in enumerate(arguments)]


def test_a_task_of_the_harness_scores_what_our_likelihoods_say(model, tasks, params, codec):
    found = lm_eval.simple_evaluate(
        model=model, tasks=['toy'], task_manager=tasks, bootstrap_iters=0, log_samples=True
    )
    right = {'acc': 0, 'acc_norm': 0}
    for row, sample in zip(ROWS, found['samples']['toy'], strict=True):
        pairs = [(f'Question: {row["question"]}\nAnswer:', f' {text}') for text in row['choices']]
        scores = likelihood.score(CONFIG, params, encoding.encode_pairs(pairs, codec))
        nats = np.array([score.log_likelihood for score in scores])
        told = [float(answer[0]) for answer in sample['filtered_resps']]
        np.testing.assert_allclose(told, nats, atol=1e-4)
        right['acc'] += int(nats.argmax()) == row['gold']
        lengths = [len(text) for text in row['choices']]
        right['acc_norm'] += int((nats / lengths).argmax()) == row['gold']
    for metric, count in right.items():
        assert found['results']['toy'][f'{metric},none'] == pytest.approx(count / len(ROWS))


def test_a_rolling_likelihood_is_that_of_the_whole_text(params, codec):
    small = models.config('phi1', **_fields(max_length=16))
    model = harness.Phijax(model=(small, params, codec))
    text = 'def add(a, b):\n    return a + b\n' * 3
    ids = codec.encode(text)
    assert len(ids) > 2 * small.max_length
    [value] = model.loglikelihood_rolling(_instances('loglikelihood_rolling', (text,)))
    expected, start, row = 0.0, 0, [codec.end_of_text, *ids]
    while start < len(ids):  # windows of 16 tokens that do not overlap, but for the one before
        end = min(start + small.max_length, len(ids))
        first = max(0, end - small.max_length)
        logits, _ = models.apply(small, params, jnp.array([row[first:end]]))
        scores = jax.nn.log_softmax(logits[0])
        expected += sum(float(scores[i - first, row[i + 1]]) for i in range(start, end))
        start = end
    assert value == pytest.approx(expected, abs=1e-3)


def test_what_is_written_ends_before_the_requests_stop(model, codec):
    options = {'max_gen_toks': 40, 'until': [], 'do_sample': False}
    [whole] = model.generate_until(_instances('generate_until', ('def add(', options)))
    stop = whole[6:9]
    cut, other = model.generate_until(
        _instances(
            'generate_until',
            ('def add(', options | {'until': [stop]}),
            ('def add(', options | {'max_gen_toks': 5}),
        )
    )
    assert cut == whole.partition(stop)[0]
    assert whole.startswith(other)
    assert other != whole


def test_a_checkpoint_in_files_is_opened(checkpoint, model):
    opened = harness.Phijax(checkpoint=str(checkpoint))
    request = _instances('loglikelihood', ('Question:', ' What'))
    [(first, _)], [(second, _)] = opened.loglikelihood(request), model.loglikelihood(request)
    assert first == pytest.approx(second, abs=1e-5)


def test_without_a_checkpoint_it_says_what_is_missing():
    with pytest.raises(InputError, match='checkpoint=PATH'):
        harness.Phijax()


def test_the_command_of_the_harness_lists_the_model():
    result = subprocess.run(
        [sys.executable, '-m', 'phijax.evaluate.harness', 'run', '--help'],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert '--model' in result.stdout


def _fields(**changes):
    return {
        name: value
        for name, value in models.to_dict(CONFIG).items()
        if name not in ('name', 'family')
    } | changes
