"""`interop.open` and what it opens: a workdir, one of its checkpoints, a Hugging Face directory."""

import json
import shutil

import jax
import numpy as np
import pytest

from phijax import checkpoint, interop, models
from phijax.data import tokenizer
from phijax.errors import InputError
from phijax.interop import convert, huggingface
from tests.interop.conftest import GOLDEN, edit_json
from tests.interop.test_huggingface import assert_same
from tests.models import tiny

CONFIG = tiny.config(qk_layernorm=False)


@pytest.fixture(scope='module')
def made():
    return tokenizer.train(['def f(x): return x'], 260)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """The workdir of a run with checkpoints of steps 5, 10 and 15, the best of them 10."""
    directory = tmp_path_factory.mktemp('run')
    with checkpoint.Checkpointer(directory / 'checkpoints') as checkpointer:
        for step, metric in ((5, 2.0), (10, 1.0), (15, None)):
            state = {'step': step, 'params': tiny.randomised(CONFIG, seed=step)}
            checkpointer.save(step, state, {'metric': metric})
    fields = {'model': models.to_dict(CONFIG), 'checkpoints': {'select': 'last'}, 'seed': 1}
    (directory / 'config.json').write_text(json.dumps(fields))
    return directory


def step_of(path):
    config, params, _ = interop.open(path)
    assert config == CONFIG
    kernel = params['embed']['kernel']
    assert {type(x) for x in jax.tree.leaves(params)} == {np.ndarray}
    return next(
        s
        for s in (5, 10, 15)
        if np.array_equal(kernel, tiny.randomised(CONFIG, s)['embed']['kernel'])
    )


@pytest.mark.parametrize(
    ('select', 'step'), [('last', 15), ('best', 10), ('5', 5), ('10', 10), (..., 15)]
)
def test_the_checkpoint_that_a_run_selects(run, tmp_path, select, step):
    copy = shutil.copytree(run, tmp_path / 'copy')
    edit_json(copy / 'config.json', checkpoints=... if select is ... else {'select': select})
    assert step_of(copy) == step
    assert interop.open(copy)[2] is None


def test_best_without_a_known_loss_is_the_last(tmp_path):
    with checkpoint.Checkpointer(tmp_path / 'checkpoints') as checkpointer:
        checkpointer.save(5, {'params': tiny.randomised(CONFIG, seed=5)}, {'metric': None})
    fields = {'model': models.to_dict(CONFIG), 'checkpoints': {'select': 'best'}}
    (tmp_path / 'config.json').write_text(json.dumps(fields))
    assert step_of(tmp_path) == 5


def test_one_checkpoint_of_a_run(run):
    assert step_of(run / 'checkpoints' / '00000005') == 5
    assert step_of(str(run / 'checkpoints' / '00000010')) == 10
    with pytest.raises(FileNotFoundError, match=r'no checkpoint of step 11.*5, 10, 15'):
        interop.open(run / 'checkpoints' / '00000011')


def test_a_damaged_checkpoint_is_not_opened_unseen(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / 'copy')
    edit_json(copy / 'config.json', checkpoints={'select': '10'})
    files = [p for p in (copy / 'checkpoints' / '00000010' / 'state').rglob('*') if p.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    with pytest.raises(checkpoint.CheckpointError, match='checksum'):
        interop.open(copy)


def test_a_config_that_is_not_of_the_checkpoint(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / 'copy')
    other = tiny.config(qk_layernorm=False, mlp_dim=41)
    edit_json(copy / 'config.json', model=models.to_dict(other))
    with pytest.raises(checkpoint.CheckpointError, match=r'blocks\.mlp'):
        interop.open(copy)
    edit_json(copy / 'config.json', model=models.to_dict(CONFIG) | {'num_layer': 3})
    with pytest.raises(InputError, match=r"config\.json: model: .*did you mean 'num_layers'"):
        interop.open(copy)


def test_a_hugging_face_directory(tmp_path, made):
    config, params, none = interop.open(GOLDEN / 'plain')
    assert none is None
    expected, expected_params = huggingface.load(GOLDEN / 'plain')
    assert config == expected
    assert_same(params, expected_params)
    small = tiny.config(vocab_size=300, qk_layernorm=False)
    huggingface.save(small, tiny.randomised(small), tmp_path / 'out', tokenizer=made)
    assert interop.open(tmp_path / 'out')[2].digest == made.digest


def test_import_and_export(tmp_path, made):
    small = tiny.config(vocab_size=300, qk_layernorm=False, unroll=0)
    params = jax.tree.map(np.asarray, tiny.randomised(small))
    huggingface.save(small, params, tmp_path / 'hf', tokenizer=made)
    assert convert.import_model(tmp_path / 'hf', tmp_path / 'runs' / 'workdir') == small
    config, imported, its_tokenizer = interop.open(tmp_path / 'runs' / 'workdir')
    assert (config, its_tokenizer.digest) == (small, made.digest)
    assert_same(imported, params)
    assert checkpoint.steps(tmp_path / 'runs' / 'workdir' / 'checkpoints') == [0]
    assert json.loads((tmp_path / 'runs' / 'workdir' / 'config.json').read_text())['source'] == str(
        tmp_path / 'hf'
    )
    assert convert.export_model(tmp_path / 'runs' / 'workdir', tmp_path / 'again') == small
    for path in (tmp_path / 'hf').iterdir():
        ours, theirs = (tmp_path / 'again' / path.name).read_bytes(), path.read_bytes()
        assert ours.replace(b'again', b'hf') == theirs, path.name
    assert sorted(path.name for path in tmp_path.iterdir()) == ['again', 'hf', 'runs']
    assert [path.name for path in (tmp_path / 'runs').iterdir()] == ['workdir']


def test_a_failed_import_leaves_nothing(tmp_path, copy_of):
    directory = copy_of('plain')
    (directory / 'model.safetensors').write_bytes(b'')
    with pytest.raises(InputError, match='not a sound safetensors file'):
        convert.import_model(directory, tmp_path / 'workdir')
    assert not (tmp_path / 'workdir').exists()
    assert [path.name for path in tmp_path.iterdir()] == ['source']
    (tmp_path / 'workdir').mkdir()
    (tmp_path / 'workdir' / 'mine').touch()
    with pytest.raises(InputError, match='workdir is there already'):
        convert.import_model(GOLDEN / 'plain', tmp_path / 'workdir')


@pytest.mark.parametrize(
    ('files', 'path', 'said'),
    [
        (
            {},
            'nothing',
            r'nothing is not a model\. There is no such file or directory.*hf download',
        ),
        ({}, '.', r'It has no config\.json'),
        ({'config.json': '{}'}, '.', r'config\.json is of neither kind'),
        ({'config.json': '{"model": "phi"}'}, '.', 'of neither kind'),
        ({'config.json': '{'}, '.', 'is not JSON'),
        ({'config.json': '{"model_type": "gpt2"}'}, '.', "model_type 'gpt2'"),
        ({'config.json': '{"model": {"family": "x"}}'}, '.', "family 'x' is not one of phi"),
        (
            {'model.gguf': ''},
            'model.gguf',
            r'model\.gguf is not a sound GGUF file: it ends at byte 0',
        ),
        (
            {'model.bin': 'GGUF'},
            'model.bin',
            r'model\.bin is not a sound GGUF file: it ends at byte 4',
        ),
        (
            {'config.json': '{}'},
            'config.json',
            r'is not a model\. It is a file that does not begin',
        ),
    ],
)
def test_what_is_not_a_model(tmp_path, files, path, said):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said) as raised:
        interop.open(tmp_path / path)
    if 'kind' in said or 'is not a model' in said:
        for kind in ('workdir of phijax', 'one of its checkpoints', 'Hugging Face directory'):
            assert kind in str(raised.value)
        assert 'GGUF file' in str(raised.value)


def test_a_tokenizer_of_another_model(tmp_path, made):
    config = tiny.config(qk_layernorm=False, vocab_size=260)
    huggingface.save(config, tiny.randomised(config), tmp_path / 'out')
    made.save(tmp_path / 'out')
    assert interop.open(tmp_path / 'out')[2].digest == made.digest
    tokenizer.train(['def f(x): return x'] * 3, 270).save(tmp_path / 'out')
    with pytest.raises(InputError, match=r'the tokenizer has 2.. ids, the model only 260 rows'):
        interop.open(tmp_path / 'out')
