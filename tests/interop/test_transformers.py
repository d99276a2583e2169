"""transformers reads what we write: every key, and the same logits."""

import dataclasses
import shutil

import numpy as np
import pytest

from phijax.data import tokenizer
from phijax.interop import huggingface
from tests.interop.test_phi import LONGROPE
from tests.models import tiny

WHY = 'needs `pip install phijax[hf]`; the golden files hold the names and shapes without it'
torch = pytest.importorskip('torch', reason=WHY)
transformers = pytest.importorskip('transformers', reason=WHY)


@pytest.mark.parametrize(
    ('sizes', 'dtype'),
    [
        ({'qk_layernorm': False, 'residual_dropout': 0.1}, 'float32'),
        ({'embed_dim': 60, 'rotary_dim': 10, 'rope_theta': 50.0, 'norm_eps': 1e-3}, 'float32'),
        ({'embed_dim': 60, 'num_kv_heads': 6, 'rotary_dim': 2}, 'bfloat16'),
    ],
)
def test_from_pretrained(tmp_path, sizes, dtype):
    config = tiny.config(**sizes)
    params, tokens = tiny.randomised(config), tiny.tokens(config, 2, 30)
    target = tmp_path / 'out'
    huggingface.save(config, params, target, dtype=dtype, max_shard_bytes=30_000)
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        target, output_loading_info=True
    )
    assert not any(report.values()), report
    assert model.dtype == getattr(torch, dtype)
    assert model.config.resid_pdrop == config.residual_dropout
    # Read as float32, so that its buffers are exact too.
    model = transformers.AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32).eval()
    logits = model(torch.tensor(np.asarray(tokens))).logits.detach().numpy()
    _, stored = huggingface.load(target)
    ours = tiny.forward(config)(stored, tokens)
    np.testing.assert_allclose(ours, logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('length', [16, 17, 40])
def test_factors_of_a_longer_context(tmp_path, length):
    """On either side of the length at which the long factors begin."""
    config = tiny.config(embed_dim=60, qk_layernorm=False, **LONGROPE)
    params, tokens = tiny.randomised(config), tiny.tokens(config, 2, length)
    huggingface.save(config, params, tmp_path / 'out')
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / 'out').eval()
    logits = model(torch.tensor(np.asarray(tokens))).logits.detach().numpy()
    ours = tiny.forward(config)(params, tokens)
    np.testing.assert_allclose(ours, logits, rtol=1e-5, atol=1e-5)
    assert config == dataclasses.replace(huggingface.load(tmp_path / 'out')[0], unroll=1)


def test_the_written_settings_survive_transformers(tmp_path):
    config = tiny.config(qk_layernorm=False, head_dim=7, rotary_dim=6, max_length=77, init_std=0.1)
    huggingface.save(config, tiny.randomised(config), tmp_path / 'out')
    read = transformers.AutoConfig.from_pretrained(tmp_path / 'out')
    assert read.eos_token_id is None
    assert int(read.head_dim * read.rope_parameters['partial_rotary_factor']) == 6
    read.save_pretrained(tmp_path / 'again')
    shutil.copy(tmp_path / 'out' / 'model.safetensors', tmp_path / 'again')
    assert huggingface.load(tmp_path / 'again')[0] == huggingface.load(tmp_path / 'out')[0]


def test_the_tokenizer_is_read_too(tmp_path):
    made = tokenizer.train(['def f(x):\n    return x'] * 3, 280)
    config = tiny.config(vocab_size=300, qk_layernorm=False)
    huggingface.save(config, tiny.randomised(config), tmp_path / 'out', tokenizer=made)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / 'out')
    text = 'def f(y):\n    return y + é'
    assert theirs(text)['input_ids'] == made.encode(text)
    assert theirs.eos_token_id == made.end_of_text
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / 'out')
    assert model.generation_config.eos_token_id == made.end_of_text
    prompt = torch.tensor([made.encode(text)])
    assert model.generate(prompt, max_new_tokens=3).shape[1] <= prompt.shape[1] + 3
