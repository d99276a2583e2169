"""phi-3's config.json: the spellings of its releases, what is refused, what transformers reads."""

import json

import numpy as np
import pytest

from phijax import models
from phijax.errors import InputError
from phijax.interop import huggingface, phi3, phi3_small, rope
from phijax.interop.fields import Fields
from tests.models import tiny

SIZES = tiny.SIZES | {'embed_dim': 60, 'rotary_dim': 10, 'unroll': 1}
# Settings as the first release had them, with keys that say nothing about the model.
OLD = {
    'architectures': ['Phi3ForCausalLM'],
    'auto_map': {'AutoConfig': 'configuration_phi3.Phi3Config'},
    'bos_token_id': 1,
    'hidden_act': 'silu',
    'hidden_size': 60,
    'intermediate_size': 40,
    'max_position_embeddings': 131072,
    'model_type': 'phi3',
    'num_attention_heads': 6,
    'num_hidden_layers': 3,
    'num_key_value_heads': 2,
    'original_max_position_embeddings': 4096,
    'rms_norm_eps': 1e-5,
    'rope_scaling': None,
    'rope_theta': 10000.0,
    'sliding_window': 2047,
    'tie_word_embeddings': False,
    'vocab_size': 61,
}
FACTORS = {'short_factor': [1.0, 1.1, 1.2, 1.3, 1.4], 'long_factor': [1.0, 2.0, 3.0, 4, 5.0]}


def _read(**changes):
    return phi3.FAMILY.readers['phi3'](Fields(OLD | changes))


def _small(**overrides):
    config = models.config('phi3_mini', **SIZES, **overrides)
    return config, tiny.randomised(config)


def test_a_release_without_longrope():
    config = _read()
    assert config == models.config('phi3_mini', **SIZES | {'unroll': 0}, max_length=131072)
    assert _read(sliding_window=None).window == 0
    assert _read(num_key_value_heads=None).num_kv_heads == 6


@pytest.mark.parametrize('kind', ['su', 'yarn', 'longrope'])
@pytest.mark.parametrize('key', ['type', 'rope_type'])
def test_longrope_in_old_spellings(kind, key):
    config = _read(rope_scaling={key: kind} | FACTORS)
    assert config.short_factors == tuple(FACTORS['short_factor'])
    assert config.long_factors == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert (config.original_length, config.max_length) == (4096, 131072)
    assert (config.short_magnitude, config.long_magnitude) == (0.0, 0.0)


def test_longrope_as_transformers_5_has_it():
    group = {'rope_type': 'longrope', 'rope_theta': 500.0, 'attention_factor': 1.25}
    group |= FACTORS | {'original_max_position_embeddings': 64, 'partial_rotary_factor': 1.0}
    config = _read(rope_parameters=group, rope_theta=None, original_max_position_embeddings=None)
    assert (config.rope_theta, config.original_length) == (500.0, 64)
    assert (config.short_magnitude, config.long_magnitude) == (1.25, 1.25)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'hidden_act': 'gelu'}, "hidden_act 'gelu' is not supported"),
        ({'rope_scaling': {'type': 'dynamic'}}, "type 'dynamic' is not supported"),
        ({'rope_scaling': {'type': 'su'}}, 'short_factor is missing'),
        ({'rope_scaling': {'type': 'su'} | FACTORS | {'long_factor': 3}}, 'long_factor must be a '),
        ({'rope_scaling': {'type': 'su'} | FACTORS | {'low_freq': 3}}, 'low_freq 3 is not suppo'),
        ({'rope_scaling': {'type': 'su', 'short_factor': [1.0], 'long_factor': [1.0]}}, 'got 1'),
        ({'sliding_window': -1}, 'window must be 0'),
        ({'tie_word_embeddings': 1}, 'tie_word_embeddings must be true or false, got 1'),
    ],
)
def test_what_cannot_be_computed_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        _read(**changes)


def test_rotary_factors_of_every_size():
    for head_dim in range(2, 100):
        for rotary_dim in range(2, head_dim + 1, 2):
            assert int(head_dim * rope.rotary_factor(rotary_dim, head_dim)) == rotary_dim


@pytest.mark.parametrize(
    'overrides',
    [
        {'window': 7, 'tied_head': True},
        {'original_length': 64, 'max_length': 256}
        | {'short_factors': (1.0,) * 5, 'long_factors': (1.0, 2.0, 3.0, 4.0, 5.0)},
        {'original_length': 64, 'short_magnitude': 1.5, 'long_magnitude': 1.5}
        | {'short_factors': (1.1,) * 5, 'long_factors': (2.0,) * 5},
    ],
)
def test_what_is_written_is_read(tmp_path, overrides):
    config, params = _small(**overrides)
    huggingface.save(config, params, tmp_path / 'out', max_shard_bytes=20_000)
    loaded, again = huggingface.load(tmp_path / 'out')
    assert models.to_dict(loaded) == models.to_dict(config) | {'unroll': 0}
    np.testing.assert_array_equal(
        again['blocks']['mlp']['gate']['kernel'], params['blocks']['mlp']['gate']['kernel']
    )


def test_unlike_magnitudes_are_phi3_smalls_alone(tmp_path):
    fields = {'original_length': 64, 'short_factors': (1.0,) * 5, 'long_factors': (1.0,) * 5}
    config, params = _small(**fields, short_magnitude=1.1, long_magnitude=1.2)
    with pytest.raises(InputError, match='one magnitude for short and long rows'):
        huggingface.save(config, params, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_phi3_small_as_published():
    """The defaults of its config.json are the published model."""
    fields = {'hidden_size': 4096, 'num_attention_heads': 32, 'num_hidden_layers': 32}
    fields |= {'num_key_value_heads': 8, 'vocab_size': 100352, 'ff_intermediate_size': 14336}
    dummies = list(models.config('phi3_small').dummy_tokens)
    read = phi3_small.FAMILY.readers['phi3small']
    assert read(Fields(fields | {'dummy_token_indices': dummies})) == models.config('phi3_small')
    with pytest.raises(InputError, match='mup_use_scaling False is not supported'):
        read(Fields(fields | {'mup_use_scaling': False}))


def test_transformers_reads_it(tmp_path):
    why = 'needs `pip install phijax[hf]`; the golden files hold names and logits without it'
    torch = pytest.importorskip('torch', reason=why)
    transformers = pytest.importorskip('transformers', reason=why)
    config, params = _small(
        window=20,
        tied_head=True,
        original_length=64,
        max_length=256,
        short_factors=(1.0, 1.1, 1.2, 1.3, 1.4),
        long_factors=(1.0, 2.0, 4.0, 8.0, 9.0),
        short_magnitude=1.1,
        long_magnitude=1.1,
    )
    huggingface.save(config, params, tmp_path / 'out')
    assert json.loads((tmp_path / 'out' / 'config.json').read_text())['sliding_window'] == 20
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / 'out', output_loading_info=True, dtype=torch.float32
    )
    assert not any(report.values()), report
    for length in (50, 64, 65, 100):
        tokens = tiny.tokens(config, 1, length)
        theirs = model.eval()(torch.tensor(np.asarray(tokens))).logits.detach().numpy()
        ours = tiny.forward(config)(params, tokens)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
