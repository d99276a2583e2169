"""Logits and gradients beside transformers' CodeGen, phi and phi-3, on shapes drawn at random."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from phijax.interop import huggingface
from tests.models import tiny

WHY = 'parity with transformers needs `pip install phijax[hf]`; golden files stand in for it'
torch = pytest.importorskip('torch', reason=WHY)
transformers = pytest.importorskip('transformers', reason=WHY)


def _draw_phi(seed, random, num_heads, num_kv_heads, head_dim):
    rotary_dim = 2 * int(random.integers(1, head_dim // 2 + 1))
    return transformers.PhiForCausalLM(
        transformers.PhiConfig(
            **_sizes(random, num_heads, num_kv_heads, head_dim),
            qk_layernorm=bool(seed % 2),
            layer_norm_eps=float(10 ** random.uniform(-6, -2)),
            rope_parameters={
                'rope_type': 'default',
                'rope_theta': float(10 ** random.uniform(2, 5)),
                'partial_rotary_factor': (rotary_dim + 0.5) / head_dim,
            },
        )
    )


def _draw_phi3(seed, random, num_heads, num_kv_heads, head_dim):
    """With LongRoPE for odd seeds; half of its rows are beyond the original length."""
    head_dim += head_dim % 2
    rope = {'rope_type': 'default', 'rope_theta': 1e4, 'partial_rotary_factor': 1.0}
    if seed % 2:
        short, long = (random.uniform(1, most, head_dim // 2).tolist() for most in (2, 9))
        rope |= {'rope_type': 'longrope', 'short_factor': short, 'long_factor': long}
        rope |= {'original_max_position_embeddings': 75}
    return transformers.Phi3ForCausalLM(
        transformers.Phi3Config(
            **_sizes(random, num_heads, num_kv_heads, head_dim),
            rms_norm_eps=float(10 ** random.uniform(-6, -2)),
            rope_parameters=rope,
            max_position_embeddings=600,
            original_max_position_embeddings=75,
            sliding_window=int(random.integers(1, 200)),
            tie_word_embeddings=bool(random.integers(2)),
            bos_token_id=None,
            eos_token_id=None,
            pad_token_id=None,
        )
    )


def _draw_codegen(seed, random, num_heads, num_kv_heads, head_dim):
    """With 4 or 8 heads, as its shares are four."""
    heads = 4 + 4 * (seed % 2)
    return transformers.CodeGenForCausalLM(
        transformers.CodeGenConfig(
            vocab_size=int(random.integers(20, 90)),
            n_embd=heads * head_dim,
            n_inner=None if seed % 3 else int(random.integers(8, 120)),
            n_layer=int(random.integers(1, 4)),
            n_head=heads,
            n_positions=150,
            rotary_dim=2 * int(random.integers(1, head_dim // 2 + 1)),
            layer_norm_epsilon=float(10 ** random.uniform(-6, -2)),
            bos_token_id=None,
            eos_token_id=None,
        )
    )


def _sizes(random, num_heads, num_kv_heads, head_dim):
    return {
        'vocab_size': int(random.integers(20, 90)),
        'hidden_size': num_heads * head_dim,
        'intermediate_size': int(random.integers(8, 120)),
        'num_hidden_layers': int(random.integers(1, 4)),
        'num_attention_heads': num_heads,
        'num_key_value_heads': num_kv_heads,
    }


def _draw(make, seed):
    """A small model of random shape, with every parameter random, and a batch of tokens."""
    random = np.random.default_rng(seed)
    num_kv_heads = int(random.integers(1, 4))
    num_heads = num_kv_heads * int(random.integers(1, 4))
    model = make(seed, random, num_heads, num_kv_heads, int(random.integers(4, 25))).eval()
    torch.manual_seed(seed)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.2)
    length = int(random.integers(2, 150))
    return model, random.integers(model.config.vocab_size, size=(2, length))


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('make', [_draw_codegen, _draw_phi, _draw_phi3])
def test_logits_and_gradients(make, seed, tmp_path):
    model, tokens = _draw(make, seed)
    model.save_pretrained(tmp_path / 'model')
    config, params = huggingface.load(tmp_path / 'model')
    config = dataclasses.replace(config, unroll=1)
    (loss, logits), gradients = tiny.gradients(config)(params, jnp.asarray(tokens))

    theirs = model(torch.tensor(tokens)).logits
    labels = torch.tensor(tokens[:, 1:]).flatten()
    their_loss = torch.nn.functional.cross_entropy(theirs[:, :-1].flatten(0, 1), labels)
    their_loss.backward()
    np.testing.assert_allclose(logits, theirs.detach().numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loss, their_loss.item(), rtol=1e-5)

    for parameter in model.parameters():
        parameter.data = parameter.grad
    model.save_pretrained(tmp_path / 'gradients')
    _, expected = huggingface.load(tmp_path / 'gradients')
    tiny.assert_near(gradients, expected, 1e-4)
