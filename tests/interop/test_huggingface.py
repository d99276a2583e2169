"""Directories of transformers: what is read and written is exactly the model, or an error."""

import json
import os
import re
import stat
import subprocess
import sys
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phijax import models
from phijax.data import tokenizer
from phijax.errors import InputError
from phijax.interop import huggingface, shards
from tests.interop.conftest import GOLDEN, edit_json, read_weights
from tests.models import tiny

CONFIG = tiny.config(qk_layernorm=False)
CASES = ('grouped', 'qk_layernorm', 'wide_heads')


def assert_same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_the_configuration():
    config, params = huggingface.load(GOLDEN / 'grouped')
    assert config == models.config(
        'phi1',
        vocab_size=61,
        embed_dim=60,
        num_layers=3,
        num_heads=6,
        num_kv_heads=2,
        head_dim=10,
        mlp_dim=72,
        rotary_dim=4,
        rope_theta=300.0,
        max_length=512,
    )
    assert {(type(x), x.dtype.name) for x in jax.tree.leaves(params)} == {(np.ndarray, 'float32')}


@pytest.mark.parametrize('case', CASES)
def test_saving_what_was_loaded_gives_the_same_tensors(case, tmp_path):
    config, params = huggingface.load(GOLDEN / case)
    huggingface.save(config, params, tmp_path / 'out', dtype='float16')
    ours, theirs = read_weights(tmp_path / 'out'), read_weights(GOLDEN / case)
    theirs = {name: x for name, x in theirs.items() if name not in ('tokens', 'logits')}
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == np.float16
        np.testing.assert_array_equal(tensor, theirs[name], err_msg=name)
    our_fields, their_fields = (
        json.loads((directory / 'config.json').read_text())
        for directory in (tmp_path / 'out', GOLDEN / case)
    )
    apart = ('transformers_version', 'use_cache', 'bos_token_id', 'eos_token_id')
    for name in their_fields.keys() - set(apart):
        assert our_fields[name] == their_fields[name], name


@pytest.mark.parametrize('max_shard_bytes', [5e9, 20_000, 1])
def test_round_trip(tmp_path, max_shard_bytes):
    config = tiny.config(
        residual_dropout=0.1,
        embed_dropout=0.2,
        attention_dropout=0.3,
        norm_eps=1e-3,
        init_std=0.5,
        rope_theta=77.0,
        max_length=99,
        qk_layernorm=False,
        unroll=0,
    )
    params = tiny.randomised(config)
    target = tmp_path / 'new' / 'out'
    huggingface.save(config, params, target, max_shard_bytes=max_shard_bytes)
    loaded, again = huggingface.load(target)
    assert loaded == config
    assert_same(again, jax.tree.map(np.asarray, params))
    assert not [path for path in target.parent.iterdir() if path != target]
    for path in target.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(
            (target / 'README.md').stat().st_mode
        )


def test_shards(tmp_path):
    config = CONFIG
    huggingface.save(config, tiny.randomised(config), tmp_path / 'out', max_shard_bytes=20_000)
    index = json.loads((tmp_path / 'out' / 'model.safetensors.index.json').read_text())
    files = sorted(path.name for path in (tmp_path / 'out').glob('*.safetensors'))
    count = len(files)
    assert count > 3
    assert files == [f'model-{i + 1:05}-of-{count:05}.safetensors' for i in range(count)]
    assert set(index['weight_map'].values()) == set(files)
    tensors = read_weights(tmp_path / 'out')
    assert index['weight_map'].keys() == tensors.keys()
    assert index['metadata']['total_size'] == sum(x.nbytes for x in tensors.values())
    for file in files:
        names = [name for name, place in index['weight_map'].items() if place == file]
        assert sum(tensors[name].nbytes for name in names) <= 20_000
    layers = [name.split('.')[2] for name in index['weight_map'] if 'layers' in name]
    assert layers == sorted(layers)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_half_precision(tmp_path, dtype):
    config = CONFIG
    params = tiny.randomised(config)
    huggingface.save(config, params, tmp_path / 'out', dtype=dtype)
    fields = json.loads((tmp_path / 'out' / 'config.json').read_text())
    assert (fields['dtype'], fields['torch_dtype']) == (dtype, dtype)
    _, again = huggingface.load(tmp_path / 'out')
    rounded = jax.tree.map(lambda x: np.asarray(x.astype(dtype).astype(jnp.float32)), params)
    assert_same(again, rounded)


def test_a_weight_that_float16_cannot_hold(tmp_path):
    config = CONFIG
    params = tiny.randomised(config)
    params['blocks']['mlp']['up']['bias'] = params['blocks']['mlp']['up']['bias'].at[1, 3].set(7e4)
    with pytest.raises(InputError, match=r'layers\.1\.mlp\.fc1\.bias.*70000.*float16'):
        huggingface.save(config, params, tmp_path / 'out', dtype='float16')
    assert not list(tmp_path.iterdir())
    huggingface.save(config, params, tmp_path / 'out', dtype='bfloat16')


def test_all_that_is_wrong_is_listed_at_once(copy_of, rewrite):
    directory = copy_of('grouped')

    def spoil(tensors):
        del tensors['model.layers.1.self_attn.k_proj.bias']
        del tensors['model.final_layernorm.weight']
        tensors['model.layers.0.mlp.fc1.weight'] = tensors['model.layers.0.mlp.fc1.weight'].T
        tensors['lm_head.bias'] = tensors['lm_head.bias'][:60]
        tensors['model.layers.2.mlp.fc2.bias'] = tensors['model.layers.2.mlp.fc2.bias'].astype('i4')
        return tensors | {'model.layers.3.mlp.fc2.bias': np.zeros(60), 'extra': np.zeros(2)}

    rewrite(directory, spoil)
    with pytest.raises(InputError) as raised:
        huggingface.load(directory)
    lines = str(raised.value).splitlines()
    assert 'source/grouped does not hold this model:' in lines[0]
    assert sorted(line.strip() for line in lines[1:]) == [
        'dtype: model.layers.2.mlp.fc2.bias is I32, not one of F32, BF16, F16',
        'misshapen: lm_head.bias is (60,), the model needs (61,)',
        'misshapen: model.layers.0.mlp.fc1.weight is (60, 72), the model needs (72, 60)',
        'missing: model.final_layernorm.weight',
        'missing: model.layers.1.self_attn.k_proj.bias',
        'unknown: extra',
        'unknown: model.layers.3.mlp.fc2.bias',
    ]


def test_rotary_buffers_are_not_weights(copy_of, rewrite):
    directory = copy_of('grouped')
    buffer = {'model.layers.0.self_attn.rotary_emb.inv_freq': np.ones(2, np.float32)}
    rewrite(directory, lambda tensors: tensors | buffer)
    assert_same(huggingface.load(directory)[1], huggingface.load(GOLDEN / 'grouped')[1])


def _as_microsoft(tensors, num_layers, embed, block, first, end):
    """The names and the fused rows of the 2023 checkpoints, written down apart from the table."""
    out = {
        f'{embed}.wte.weight': tensors['model.embed_tokens.weight'],
        f'{end}.ln.weight': tensors['model.final_layernorm.weight'],
        f'{end}.ln.bias': tensors['model.final_layernorm.bias'],
        f'{end}.linear.weight': tensors['lm_head.weight'],
        f'{end}.linear.bias': tensors['lm_head.bias'],
    }
    for i in range(num_layers):
        theirs, ours = f'model.layers.{i}', f'{block}.{i + first}'
        for kind in ('weight', 'bias'):
            out[f'{ours}.ln.{kind}'] = tensors[f'{theirs}.input_layernorm.{kind}']
            rows = [tensors[f'{theirs}.self_attn.{x}_proj.{kind}'] for x in 'qkv']
            out[f'{ours}.mixer.Wqkv.{kind}'] = np.concatenate(rows)
            out[f'{ours}.mixer.out_proj.{kind}'] = tensors[f'{theirs}.self_attn.dense.{kind}']
            out[f'{ours}.mlp.fc1.{kind}'] = tensors[f'{theirs}.mlp.fc1.{kind}']
            out[f'{ours}.mlp.fc2.{kind}'] = tensors[f'{theirs}.mlp.fc2.{kind}']
        out[f'{ours}.mixer.rotary_emb.inv_freq'] = np.ones(2, np.float32)
    return out


MICROSOFT = {
    'phi-msft': ('transformer.embd', 'transformer.h', 0, 'lm_head'),
    'mixformer-sequential': ('layers.0', 'layers', 1, 'layers.4'),
}


@pytest.mark.parametrize('model_type', MICROSOFT)
@pytest.mark.parametrize('old_config', [True, False])
def test_checkpoints_of_2023(copy_of, rewrite, model_type, old_config):
    directory = copy_of('grouped')
    rewrite(directory, lambda tensors: _as_microsoft(tensors, 3, *MICROSOFT[model_type]))
    if old_config:
        fields = {
            'model_type': model_type,
            'vocab_size': 61,
            'n_embd': 60,
            'n_head': 6,
            'n_head_kv': 2,
            'n_inner': 72,
            'n_layer': 3,
            'n_positions': 512,
            'rotary_dim': 4,
        }
        (directory / 'config.json').write_text(json.dumps(fields))
    config, params = huggingface.load(directory)
    expected, expected_params = huggingface.load(GOLDEN / 'grouped')
    theta = 10000.0 if old_config else 300.0
    assert config == models.from_dict(models.to_dict(expected) | {'rope_theta': theta})
    assert_same(params, expected_params)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'model_type': 'llama'}, r"model_type 'llama'.*phi, phi-msft, mixformer-sequential"),
        ({'model_type': ...}, 'model_type None is not supported'),
        ({'model_type': ['phi']}, 'model_type .* is not supported'),
        ({'tie_word_embeddings': True}, r'tie_word_embeddings True.*supported: False'),
        ({'quantization_config': {'bits': 4}}, 'quantization_config'),
        ({'num_hidden_layers': 10**9}, '1000000000 layers, but there are only 47 tensors'),
        ({'hidden_size': 10**12, 'head_dim': 10}, 'misshapen'),
        ({'num_hidden_layers': 4}, r'missing: model\.layers\.3\.input_layernorm\.weight'),
    ],
)
def test_settings_that_are_not_these_models(copy_of, changes, said):
    directory = copy_of('grouped')
    edit_json(directory / 'config.json', **changes)
    with pytest.raises(InputError, match=said):
        huggingface.load(directory)


def test_code_in_a_directory_is_not_looked_at(copy_of):
    directory = copy_of('grouped')
    remote = {'AutoModelForCausalLM': 'modeling_phi.PhiForCausalLM'}
    edit_json(directory / 'config.json', auto_map=remote, architectures=['Surprise'])
    canary = directory / 'ran'
    code = f'open({str(canary)!r}, "w")'
    for name in ('modeling_phi.py', 'configuration_phi.py', '__init__.py'):
        (directory / name).write_text(code)
    huggingface.load(directory)
    assert not canary.exists()


def test_nothing_appears_when_saving_fails(tmp_path, monkeypatch):
    config = CONFIG
    written = []

    def full(tensors, path, metadata):
        if written:
            raise OSError(28, 'No space left on device')
        written.append(path)
        path.write_bytes(b'half')

    monkeypatch.setattr(shards, 'save_file', full)
    with pytest.raises(OSError, match='No space left'):
        huggingface.save(config, tiny.randomised(config), tmp_path / 'out', max_shard_bytes=20_000)
    assert written
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_replaced(tmp_path):
    config = CONFIG
    params = tiny.randomised(config)
    (tmp_path / 'empty').mkdir()
    huggingface.save(config, params, tmp_path / 'empty')
    before = sorted(path.name for path in (tmp_path / 'empty').iterdir())
    (tmp_path / 'file').touch()
    for name in ('empty', 'file'):
        with pytest.raises(InputError, match=f'{name} is there already'):
            huggingface.save(config, params, tmp_path / name)
    assert sorted(path.name for path in (tmp_path / 'empty').iterdir()) == before


def test_params_must_be_those_of_the_configuration(tmp_path):
    config = CONFIG
    params = tiny.randomised(config)
    del params['head']['bias']
    params['extra'] = jnp.zeros(2)
    params['final_norm']['scale'] = jnp.zeros(23)
    said = r'unknown: extra\n.*missing: head\.bias\n.*final_norm\.scale is \(23,\), not \(24,\)'
    with pytest.raises(InputError, match=said):
        huggingface.save(config, params, tmp_path / 'out')


def test_models_that_transformers_does_not_have(tmp_path):
    config = tiny.config(qk_layernorm=True, embed_dim=30)
    with pytest.raises(InputError, match='head_dim must be 5, got 10'):
        huggingface.save(config, tiny.randomised(config), tmp_path / 'out')
    with pytest.raises(InputError, match=r"dtype 'int8' is not one of float32, bfloat16, float16"):
        huggingface.save(config, tiny.randomised(config), tmp_path / 'out', dtype='int8')


def test_a_tokenizer_is_written_too(tmp_path):
    made = tokenizer.train(['def f(x): return x'], 260)
    config = tiny.config(vocab_size=made.vocab_size, qk_layernorm=False)
    huggingface.save(config, tiny.randomised(config), tmp_path / 'out', tokenizer=made)
    assert tokenizer.load(tmp_path / 'out').digest == made.digest
    fields = json.loads((tmp_path / 'out' / 'config.json').read_text())
    assert fields['eos_token_id'] == fields['bos_token_id'] == made.end_of_text
    small = tiny.config(vocab_size=made.vocab_size - 1, qk_layernorm=False)
    with pytest.raises(InputError, match=f'{made.vocab_size} ids.*{made.vocab_size - 1} rows'):
        huggingface.save(small, tiny.randomised(small), tmp_path / 'other', tokenizer=made)


def test_the_model_card(tmp_path):
    config = tiny.config(qk_layernorm=False)
    params = tiny.randomised(config)
    huggingface.save(config, params, tmp_path / 'my-model', dtype='bfloat16')
    text = (tmp_path / 'my-model' / 'README.md').read_text()
    header = re.match(r'---\n(.*?)\n---\n', text, re.DOTALL).group(1)
    assert 'library_name: transformers\npipeline_tag: text-generation\n' in header
    assert '# my-model' in text
    count = sum(x.size for x in jax.tree.leaves(params))
    assert f'{count:,} parameters' in text
    assert '| weights stored as | bfloat16 |' in text


def test_little_more_memory_than_the_result(tmp_path):
    config = tiny.config(embed_dim=256, mlp_dim=1024, num_layers=6, qk_layernorm=False)
    params = jax.tree.map(np.asarray, tiny.randomised(config))
    size = sum(x.nbytes for x in jax.tree.leaves(params))
    huggingface.save(config, params, tmp_path / 'out', max_shard_bytes=size / 4)
    models.axes(config)
    tracemalloc.start()
    huggingface.load(tmp_path / 'out')
    _, loading = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    huggingface.save(config, params, tmp_path / 'again', max_shard_bytes=size / 4)
    _, saving = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < loading < 1.25 * size
    assert saving < 0.6 * size


def test_reading_needs_neither_torch_nor_transformers():
    code = (
        'import sys; from phijax import interop; interop.open(sys.argv[1]); '
        'sys.exit(sum(name in sys.modules for name in ("torch", "transformers")))'
    )
    case = GOLDEN / 'plain'
    finished = subprocess.run([sys.executable, '-c', code, str(case)], env=os.environ, check=False)
    assert finished.returncode == 0
