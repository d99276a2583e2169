"""A real model on real items: in lm-evaluation-harness's own runs, and beside transformers."""

import numpy as np
import pytest

pytest.importorskip('lm_eval')

import jax
from lm_eval import evaluator
from lm_eval.api.instance import Instance

from phijax import interop
from phijax.evaluate import encoding, harness, likelihood, measuring, tasks
from phijax.evaluate.measuring import Model, Settings
from tests.evaluate.tasks import rendering
from tests.evaluate.tasks.test_words import FILES, ROWS, published, stream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ITEMS = 100
NAMES = ('arc_easy', 'arc_challenge', 'piqa', 'hellaswag', 'winogrande', 'openbookqa')
METRICS = {'accuracy': 'acc,none', 'accuracy_per_character': 'acc_norm,none'}


@pytest.fixture(scope='module')
def model(asset) -> Model:
    path = asset('smollm2-135m') / 'SmolLM2-135M-Instruct.Q4_1.gguf'
    config, params, codec = interop.open(path)
    return Model(config, jax.device_put(params), codec)


@pytest.fixture(scope='module')
def directory(model, tmp_path_factory):
    """The same weights for transformers."""
    from phijax.interop import huggingface

    path = tmp_path_factory.mktemp('real') / 'smollm2'
    huggingface.save(model.config, model.params, path, tokenizer=model.tokenizer)
    return path


@pytest.mark.parametrize('name', NAMES)
def test_the_harness_gets_our_scores_from_its_own_task(name, model, asset):
    if name == 'hellaswag':
        rows = stream(asset('hellaswag'))[:ITEMS]
    else:
        folder, original = ROWS[name]
        rows = [original(row) for row in published(asset('benchmarks'), folder)[:ITEMS]]
    task = rendering.build(FILES[name], rows)
    found = evaluator.evaluate(
        lm=harness.Phijax(model=tuple(model)),
        task_dict={task.config.task: task},
        bootstrap_iters=0,
        log_samples=True,
    )
    ours = tasks.task(name)
    records = {
        record['id']: record
        for record in measuring.measure(model, ours, ours.items(0)[:ITEMS], Settings())
    }
    samples = found['samples'][task.config.task]
    for item, sample in zip(ours.items(0), samples, strict=False):
        told = [float(answer[0]) for answer in sample['filtered_resps']]
        np.testing.assert_allclose(told, records[item.id]['log_likelihoods'], atol=1e-4)
    for metric, theirs in METRICS.items():
        if theirs in found['results'][task.config.task]:
            own = np.mean([record['values'][metric] for record in records.values()])
            assert found['results'][task.config.task][theirs] == pytest.approx(own, abs=1e-12)


@pytest.mark.parametrize('name', NAMES)
def test_transformers_chooses_the_same_answers(name, model, directory):
    HFLM = pytest.importorskip('lm_eval.models.huggingface').HFLM  # noqa: N806
    theirs = HFLM(pretrained=str(directory), device='cpu', dtype='float32', batch_size=16)
    items = tasks.task(name).items(0)[:ITEMS]
    pairs = [pair for item in items for pair in encoding.pairs(item)]
    instances = [Instance('loglikelihood', {}, pair, i) for i, pair in enumerate(pairs)]
    told = theirs.loglikelihood(instances, disable_tqdm=True)
    scores = likelihood.score(
        model.config, model.params, encoding.encode_pairs(pairs, model.tokenizer)
    )
    nats = np.array([score.log_likelihood for score in scores])
    np.testing.assert_allclose(nats, [value for value, _ in told], rtol=1e-5, atol=1e-4)
    assert [score.greedy for score in scores] == [greedy for _, greedy in told]
    start = 0
    for item in items:
        own = slice(start, start + len(item.answers))
        assert nats[own].argmax() == np.argmax([value for value, _ in told[own]])
        start = own.stop
