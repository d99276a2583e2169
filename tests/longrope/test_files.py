"""The command on a real model and real texts: what is made, what goes on, what is refused."""

import json
import pathlib
import signal
import time

import numpy as np
import pytest

from phijax import generate, interop, longrope
from phijax.errors import InputError
from phijax.interop import huggingface, workdir
from phijax.longrope import files, search
from phijax.longrope import plan as planning
from phijax.longrope.plan import extended
from tests.longrope.small import CONFIG, fields
from tests.models import tiny

FOUND = ('result.json', 'search.json')


@pytest.fixture(scope='module')
def searched(tmp_path_factory, source):
    """The workdir of a search, and the summary that was printed."""
    target = tmp_path_factory.mktemp('searched') / 'longer'
    return target, longrope.run(longrope.from_dict(fields(source)), target)


def read(target, name='result.json'):
    return json.loads((target / name).read_text())


def test_the_model_has_the_best_factors(searched, source):
    target, summary = searched
    result, scores = read(target), read(target, 'search.json')['scores']
    assert len(scores) == result['vectors tried'] == 6 + 2 * 4
    best = search.best({tuple(vector): score for vector, score in scores}, 2)
    assert tuple(result['factors']) in map(search.to_factors, best)
    assert result['lowest search loss'] == min(score for _, score in scores)
    config, params, tokenizer = interop.open(target / 'model')
    method = files.Method(tuple(result['factors']), 1.0)
    assert config == extended(CONFIG, method, 64)
    assert tokenizer.digest == interop.open(source)[2].digest
    tokens = tiny.tokens(CONFIG, 1, 32)
    before = tiny.forward(CONFIG)(tiny.randomised(CONFIG), tokens)
    np.testing.assert_array_equal(tiny.forward(config)(params, tokens), before)
    assert f'--config.init_from={target}/model' in summary


def test_each_set_has_its_own_part(searched, source):
    """The search's texts made the scores, those of the selection chose, the report's are told."""
    plan = longrope.from_dict(fields(source))
    config, params, tokenizer = interop.open(source)
    rows = files.read_texts(plan, tokenizer)
    result, scores = read(searched[0]), read(searched[0], 'search.json')['scores']
    methods = {tuple(vector): planning.method(plan, config, vector) for vector, _ in scores}
    means = {
        name: {
            vector: losses.mean()
            for vector, losses in files.measure(plan, config, params, rows[name], methods).items()
        }
        for name in rows
    }
    np.testing.assert_allclose([score for _, score in scores], list(means['search'].values()))
    finalists = search.best(means['search'], plan.search.finalists)
    chosen = min(finalists, key=means['selection'].get)
    assert result['factors'] == list(search.to_factors(chosen))
    assert np.mean(result['nats_by_text']['longrope']) == pytest.approx(means['report'][chosen])
    # The sets differ enough for another choice to be seen.
    every = dict.fromkeys(methods, 0.0)
    wide = longrope.from_dict(fields(source, **{'search.finalists': len(methods)}))
    for name in rows:
        best = files.choose(wide, config, params, every, rows[name])
        assert best == methods[min(methods, key=means[name].get)]
    assert len({min(methods, key=means[name].get) for name in rows}) > 1


def test_every_method_is_on_the_report(searched):
    target, summary = searched
    result, page = read(target), (target / 'report.md').read_text()
    names = ['none', 'linear', 'ntk', 'yarn', 'longrope']
    assert [row['method'] for row in result['table']] == names
    assert list(result['nats_by_text']) == sorted(names)
    assert all(len(losses) == 5 for losses in result['nats_by_text'].values())
    for row in result['table']:
        mean = np.mean(result['nats_by_text'][row['method']])
        assert row['nats per token'] == pytest.approx(mean, rel=1e-6)
        assert f'| {row["method"]} | {row["nats per token"]:.4g} |' in page
        assert f'| {row["method"]} | {row["nats per token"]:.4g} |' in summary
    assert (target / 'position.png').stat().st_size > 1000


def test_other_commands_take_the_model(searched, tmp_path):
    config, params, _ = interop.open(searched[0] / 'model')
    prompt = tiny.tokens(config, 1, 40)[0].tolist()
    (text,) = generate.generate(config, params, [prompt], max_new_tokens=8)
    logits = tiny.forward(config)(params, np.array([prompt + text[:-1]]))
    assert text == np.asarray(logits[0, 39:].argmax(axis=-1)).tolist()
    huggingface.save(config, params, tmp_path / 'exported')
    assert huggingface.load(tmp_path / 'exported')[0].long_factors == config.long_factors


@pytest.mark.parametrize('rounds', [1, 2])
def test_a_search_goes_on(searched, source, tmp_path, rounds):
    """From the state after some of its rounds, as a process that is killed leaves it."""
    state = read(searched[0], 'search.json')
    kept = 6 + 4 * (rounds - 1)
    (tmp_path / 'search.json').write_text(
        json.dumps(state | {'rounds_done': rounds, 'scores': state['scores'][:kept]})
    )
    longrope.run(longrope.from_dict(fields(source)), tmp_path)
    for name in FOUND:
        assert read(tmp_path, name) == read(searched[0], name)


def test_a_finished_search_says_the_same_again(searched, source):
    before = {name: read(searched[0], name) for name in FOUND}
    again = longrope.run(longrope.from_dict(fields(source)), searched[0])
    assert again == searched[1]
    assert before == {name: read(searched[0], name) for name in FOUND}


def test_a_killed_command_ends_like_one_that_was_not(
    searched, source, tmp_path, start_command, run_command
):
    flags = [f'--config.{name}={value}' for name, value in _flat(fields(source)).items()]
    flags = ['--config=configs/longrope/quickstart.py:smoke', *flags, f'--workdir={tmp_path}']
    process = start_command('phijax.longrope', *flags)
    while not (tmp_path / 'search.json').exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / 'result.json').exists()
    assert run_command('phijax.longrope', *flags).returncode == 0
    for name in FOUND:
        assert read(tmp_path, name) == read(searched[0], name)


def _flat(values, prefix=''):
    flat = {}
    for name, value in values.items():
        inner = isinstance(value, dict)
        flat |= _flat(value, f'{prefix}{name}.') if inner else {f'{prefix}{name}': value}
    return flat


def test_another_search_needs_another_workdir(searched, source):
    plan = longrope.from_dict(fields(source, seed=1, **{'search.rounds': 3}))
    told = r'holds another search. Changed: plan.search.rounds: 2 -> 3; plan.seed: 0 -> 1'
    with pytest.raises(InputError, match=told):
        longrope.run(plan, searched[0])


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'source': 'nowhere'}, 'nowhere is not a model'),
        ({'target_length': 32}, 'target_length must be more than 32'),
        ({'target_length': 4000}, 'has 0 held-out documents of more than 4000 tokens'),
        ({'texts.directory': 'nowhere'}, 'There are no token shards in nowhere'),
    ],
)
def test_what_cannot_be_searched_leaves_nothing(source, tmp_path, changes, said):
    target = tmp_path / 'longer'
    with pytest.raises(ValueError, match=said):
        longrope.run(longrope.from_dict(fields(source, **changes)), target)
    assert not target.exists()


def test_a_model_with_factors_or_without_texts_is_told(searched, source, tmp_path):
    changes = {'source': str(searched[0] / 'model'), 'target_length': 128}
    with pytest.raises(InputError, match='has LongRoPE factors already'):
        longrope.run(longrope.from_dict(fields(source, **changes)), tmp_path / 'longer')
    bare = tmp_path / 'bare'
    bare.mkdir()
    workdir.write(bare, CONFIG, tiny.randomised(CONFIG), None, source='random')
    with pytest.raises(InputError, match=r'texts.directory is empty and .*bare/data is not there'):
        longrope.run(longrope.from_dict(fields(bare)), tmp_path / 'longer')


def test_tokens_of_another_tokenizer_are_refused(source, tokens, tmp_path):
    plan = longrope.from_dict(fields(source, **{'texts.directory': str(tokens)}))
    with pytest.raises(InputError, match='made with another tokenizer than that of'):
        longrope.run(plan, tmp_path / 'longer')


def test_a_typo_is_answered_at_once(run_command):
    flags = ('--config=configs/longrope/quickstart.py', '--config.search.round=3')
    ended = run_command('phijax.longrope', *flags)
    assert ended.returncode == 2
    assert 'unknown key --config.search.round; did you mean --config.search.rounds' in ended.stderr
    assert 'Traceback' not in ended.stderr


def test_the_workdir_is_locked(searched):
    with files.files.lock(pathlib.Path(searched[0])):
        source = read(searched[0])['source']
        with pytest.raises(InputError, match='Another process is writing'):
            longrope.run(longrope.from_dict(fields(source)), searched[0])
