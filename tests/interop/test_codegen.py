"""CodeGen's directories: settings, what is refused, the order of the rows, both ways."""

import dataclasses
import pathlib

import numpy as np
import pytest
from safetensors.numpy import load_file

from phijax import interop, models
from phijax.data import tokenizer
from phijax.errors import InputError
from phijax.interop import codegen, huggingface
from phijax.interop.fields import Fields
from tests.interop.conftest import edit_json, read_weights
from tests.models import tiny

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden' / 'codegen'
SIZES = tiny.SIZES | {'embed_dim': 40, 'num_heads': 4, 'num_kv_heads': 4}
SIZES |= {'rotary_dim': 6, 'unroll': 1}  # three pairs: there and back again are two orders
CONFIG = models.config('codegen_350m', **SIZES)

# What the published config.json says of the model, and keys that say nothing of it.
PUBLISHED = {
    'activation_function': 'gelu_new',
    'architectures': ['CodeGenForCausalLM'],
    'attn_pdrop': 0.0,
    'bos_token_id': 1,
    'embd_pdrop': 0.0,
    'eos_token_id': 50256,
    'gradient_checkpointing': False,
    'initializer_range': 0.02,
    'layer_norm_epsilon': 1e-05,
    'model_type': 'codegen',
    'n_ctx': 2048,
    'n_embd': 1024,
    'n_head': 16,
    'n_inner': None,
    'n_layer': 20,
    'n_positions': 2048,
    'resid_pdrop': 0.0,
    'rotary_dim': 32,
    'scale_attn_weights': True,
    'tie_word_embeddings': False,
    'tokenizer_class': 'GPT2Tokenizer',
    'torch_dtype': 'float16',
    'use_cache': True,
    'vocab_size': 51200,
}


def _read(**changes):
    return codegen.FAMILY.readers['codegen'](Fields(PUBLISHED | changes))


def test_settings_as_published():
    assert _read() == models.config('codegen_350m')
    assert _read(n_inner=100).mlp_dim == 100


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'n_head': 2}, 'by multiples of 4, got 2'),
        ({'n_head': 0}, 'num_heads must be positive, got 0'),
        ({'n_embd': 1030}, r'make up the width 1030: 16 of 64.375 features, got 16 of 64'),
        ({'rotary_dim': 65}, 'rotary_dim must be even and in 2..64'),
        ({'rotary_dim': 128}, 'rotary_dim must be even and in 2..64'),
        ({'activation_function': 'relu'}, "activation_function 'relu' is not supported"),
        ({'tie_word_embeddings': True}, 'tie_word_embeddings True is not supported'),
        ({'scale_attn_weights': False}, 'scale_attn_weights False is not supported'),
    ],
)
def test_other_models_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        _read(**changes)


@pytest.mark.parametrize(
    ('overrides', 'said'),
    [
        ({'num_heads': 6, 'num_kv_heads': 6, 'embed_dim': 60}, 'by multiples of 4, got 6'),
        ({'num_kv_heads': 2}, 'as many key/value heads as heads'),
        ({'head_dim': 12}, '4 of 10 features, got 4 of 12'),
        ({'rope_theta': 500.0}, 'base 10000 and has no LongRoPE, got rope_theta 500'),
    ],
)
def test_a_model_that_transformers_has_not_is_not_written(tmp_path, overrides, said):
    config = dataclasses.replace(CONFIG, **overrides)
    with pytest.raises(InputError, match=said):
        huggingface.save(config, tiny.randomised(config), tmp_path / 'out')
    assert not list(tmp_path.iterdir())


def test_rows_of_the_fused_tensor(tmp_path):
    """A share of a quarter of the heads: its queries, values, keys; neighbours are paired."""
    params = tiny.randomised(CONFIG)
    huggingface.save(CONFIG, params, tmp_path / 'out')
    stored = read_weights(tmp_path / 'out')['transformer.h.1.attn.qkv_proj.weight']
    shares = stored.reshape(4, 3, 10, 40)
    attention = params['blocks']['attention']
    for share in range(4):
        for place, name in enumerate(('query', 'value', 'key')):
            ours = np.asarray(attention[name]['kernel'])[1, :, share].T
            order = range(10) if name == 'value' else [0, 3, 1, 4, 2, 5, *range(6, 10)]
            np.testing.assert_array_equal(shares[share, place], ours[list(order)])


def test_what_is_written_is_read_again(tmp_path):
    params = tiny.randomised(CONFIG)
    huggingface.save(CONFIG, params, tmp_path / 'out')
    config, again = huggingface.load(tmp_path / 'out')
    assert dataclasses.replace(config, unroll=1) == CONFIG
    tiny.assert_near(again, params, 0)


def test_a_directory_opens_with_its_tokenizer(tmp_path):
    made = tokenizer.train(['def f(x):\n    return x'] * 3, 280)
    config = dataclasses.replace(CONFIG, vocab_size=300)
    huggingface.save(config, tiny.randomised(config), tmp_path / 'out', tokenizer=made)
    opened, _, found = interop.open(tmp_path / 'out')
    assert (opened.family, opened.vocab_size) == ('codegen', 300)
    assert found.digest == made.digest


def test_masks_of_old_files_are_not_read(copy_of, rewrite):
    source = copy_of('codegen')
    old = {
        'transformer.h.0.attn.causal_mask': np.ones((1, 1, 4, 4), np.uint8),
        'transformer.h.1.attn.masked_bias': np.float32([-1e9]),
    }
    rewrite(source, lambda tensors: tensors | old)
    config, params = huggingface.load(source)
    expected = load_file(GOLDEN / 'expected.safetensors')
    logits = tiny.forward(config)(params, expected['tokens'])
    np.testing.assert_allclose(logits, expected['logits'], rtol=1e-5, atol=1e-5)


def test_a_wrong_number_of_heads_is_other_logits(copy_of):
    source = copy_of('codegen')
    edit_json(source / 'config.json', n_head=4, rotary_dim=6)
    config, params = huggingface.load(source)
    expected = load_file(GOLDEN / 'expected.safetensors')
    logits = tiny.forward(config)(params, expected['tokens'])
    assert np.abs(logits - expected['logits']).max() > 0.01


def test_transformers_reads_it(tmp_path):
    torch = pytest.importorskip('torch', reason='needs `pip install phijax[hf]`')
    transformers = pytest.importorskip('transformers', reason='needs `pip install phijax[hf]`')
    params, tokens = tiny.randomised(CONFIG), tiny.tokens(CONFIG, 2, 40)
    huggingface.save(CONFIG, params, tmp_path / 'out')
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / 'out', output_loading_info=True
    )
    assert not any(report.values()), report
    logits = model.eval()(torch.tensor(np.asarray(tokens))).logits.detach().numpy()
    np.testing.assert_allclose(tiny.forward(CONFIG)(params, tokens), logits, rtol=1e-5, atol=1e-5)
