"""Every family and every option: cached generation, rows among others, LongRoPE's boundary."""

import jax
import numpy as np
import pytest

from phijax import generate, models
from phijax.generate import decoding
from phijax.interop import huggingface
from tests.models import tiny

ORIGINAL = 64
LONGROPE = {
    'original_length': ORIGINAL,
    'max_length': 256,
    'short_factors': (1.0, 1.3),
    'long_factors': (1.5, 9.0),
}
SHAPE = tiny.SIZES | {'num_layers': 2, 'init_std': 0.3, 'unroll': 1}
CONFIGS = {
    'codegen': models.config('codegen_350m', **SHAPE | {'max_length': 256}),
    'phi': models.config('phi1', **SHAPE | {'max_length': 256}),
    'phi3': models.config('phi3_mini', **SHAPE | LONGROPE | {'window': 24}),
    'phi3_small': models.config(
        'phi3_small',
        **SHAPE
        | LONGROPE
        | {
            'block': 4,
            'local_blocks': 2,
            'stride': 3,
            'dummy_tokens': (3,),
            'embed_multiplier': 1.0,
            'width_multiplier': 1.0,
        },
    ),
}
NEW = 12
# One that stays below the boundary of LongRoPE, and those around it.
LENGTHS = (5, 63, 64, 65)
LIMITS = {
    'greedy': {},
    'top_k': {'temperature': 1.0, 'top_k': 9},
    'top_p': {'temperature': 1.3, 'top_p': 0.8},
    'min_p': {'temperature': 1.3, 'min_p': 0.05},
    'penalty': {'repetition_penalty': 1.5},
    'all': {
        'temperature': 0.9,
        'top_k': 30,
        'top_p': 0.9,
        'min_p': 0.01,
        'repetition_penalty': 1.2,
    },
}

_whole = jax.jit(
    lambda config, params, tokens, lengths: models.apply(config, params, tokens, lengths=lengths)[
        0
    ],
    static_argnums=0,
)


def _prompts(config, lengths=LENGTHS, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(4, config.vocab_size, size=n).tolist() for n in lengths]


def _params(config):
    """A draw that is wide where it is drawn, so that what comes next hangs on what was before."""
    return models.init(config, jax.random.key(1))


@pytest.fixture(scope='module', params=CONFIGS)
def model(request):
    config = CONFIGS[request.param]
    return config, _params(config)


def _by_whole_passes(config, params, prompt, count):
    """Greedy tokens, each from one uncached pass over all before it."""
    row = list(prompt)
    for _ in range(count):
        padded = np.zeros((1, 128), np.int32)
        padded[0, : len(row)] = row
        logits = _whole(config, params, padded, np.array([len(row)], np.int32))
        row.append(int(np.asarray(logits)[0, len(row) - 1].argmax()))
    return row[len(prompt) :]


def test_greedy_tokens_are_those_of_whole_passes(model):
    config, params = model
    prompts = _prompts(config)
    rows = generate.generate(config, params, prompts, max_new_tokens=NEW)
    for prompt, row in zip(prompts, rows, strict=True):
        assert row == _by_whole_passes(config, params, prompt, NEW)


@pytest.mark.parametrize('limits', LIMITS)
def test_a_row_is_the_same_alone_and_among_others(model, limits):
    """Two of three cross the boundary, at different steps."""
    config, params = model
    options = LIMITS[limits] | {'max_new_tokens': NEW, 'seed': 3}
    prompts = _prompts(config, (5, 58, 62))
    together = generate.generate(config, params, prompts, **options)
    assert len({tuple(row) for row in together}) == 3
    for stream in (1, 2):
        alone = generate.generate(config, params, [prompts[stream]], streams=[stream], **options)
        assert alone == [together[stream]]


def test_rows_are_the_same_in_several_batches():
    config = CONFIGS['phi3']
    params = _params(config)
    options = {'max_new_tokens': NEW, 'temperature': 1.0, 'seed': 1}
    prompts = _prompts(config, (58, 62, 5, 59, 62))
    together = generate.generate(config, params, prompts[:3], **options)
    apart = generate.generate(config, params, prompts, rows_at_once=1, **options)
    assert apart[:3] == together


def test_rows_that_do_not_cross_keep_their_keys_to_the_bit():
    config = CONFIGS['phi3']
    params = _params(config)
    tokens = np.zeros((4, 128), np.int32)
    lengths = np.array([65, 30, 65, 9], np.int32)
    for row, prompt in zip(tokens, _prompts(config, lengths), strict=True):
        row[: len(prompt)] = prompt
    short = lengths - (lengths > ORIGINAL)  # as if the last token had been drawn
    rows = decoding.prefill(config, params, tokens, short, 128)
    rows = rows._replace(cache=rows.cache._replace(lengths=lengths - 1))
    [before] = jax.tree.map(np.array, rows.cache.layers)
    after = decoding.restart(config, params, rows, np.array([2, 4], np.int32), 64).cache
    assert after.long.tolist() == [False, False, True, False]
    for name, old in before.items():
        np.testing.assert_array_equal(old[:, [0, 1, 3]], after.layers[0][name][:, [0, 1, 3]])
        assert (old[:, 2] != after.layers[0][name][:, 2]).any()


def test_generation_across_the_boundary_is_that_of_transformers(tmp_path):
    """Theirs one row at a time; ours with rows that start below, at and above the boundary."""
    why = 'parity with transformers needs `pip install phijax[hf]`'
    torch = pytest.importorskip('torch', reason=why)
    transformers = pytest.importorskip('transformers', reason=why)
    torch.manual_seed(0)
    settings = transformers.Phi3Config(
        vocab_size=61,
        hidden_size=48,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=256,
        original_max_position_embeddings=ORIGINAL,
        rope_parameters={
            'rope_type': 'longrope',
            'rope_theta': 10000.0,
            'short_factor': [1.0, 1.1, 1.3, 2.0],
            'long_factor': [1.5, 3.0, 7.0, 20.0],
            'original_max_position_embeddings': ORIGINAL,
        },
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = transformers.Phi3ForCausalLM(settings).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.6)
    model.save_pretrained(tmp_path)
    config, params = huggingface.load(tmp_path)
    assert config.original_length == ORIGINAL
    prompts = _prompts(config, (5, 56, 63, 64, 65, 80))
    ours = generate.generate(config, params, prompts, max_new_tokens=20)
    assert len({token for row in ours for token in row}) > 20
    for prompt, row in zip(prompts, ours, strict=True):
        theirs = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=20,
            eos_token_id=None,
        )[0, len(prompt) :].tolist()
        assert row == theirs, len(prompt)
