"""Text in, text out: stop strings across tokens and pieces, and models in few bits."""

import jax
import pytest

from phijax import generate, models
from phijax.data import tokenizer as tokenizers
from phijax.errors import InputError
from phijax.generate import completion, decoding
from phijax.interop import huggingface

CONFIG = models.config(
    'phi1',
    vocab_size=320,
    embed_dim=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=8,
    mlp_dim=64,
    rotary_dim=4,
    max_length=128,
    init_std=0.3,
    unroll=1,
)
PROMPTS = ['def add(a, b):', 'return', '']
OPTIONS = {'max_new_tokens': 80, 'temperature': 1.0, 'seed': 2}


@pytest.fixture(scope='module')
def tokenizer():
    return tokenizers.train(['def add(a, b):\n    return a + b\n'] * 4, 270)


@pytest.fixture(scope='module')
def params():
    return models.init(CONFIG, jax.random.key(0))


@pytest.fixture(scope='module')
def whole(params, tokenizer):
    return generate.complete(CONFIG, params, tokenizer, PROMPTS, **OPTIONS)


@pytest.mark.parametrize('place', [0, 5, 40, 60])
def test_a_text_ends_before_a_stop_however_its_tokens_divide_it(params, tokenizer, whole, place):
    stop = whole[0][place : place + 7]
    assert len(tokenizer.encode(stop)) > 1
    texts = generate.complete(CONFIG, params, tokenizer, PROMPTS, stop=[stop, 'no'], **OPTIONS)
    expected = [text.partition(stop)[0].partition('no')[0] for text in whole]
    assert texts == expected
    assert len(texts[0]) <= place


def test_a_row_that_has_a_stop_ends_and_the_others_go_on(params, tokenizer, whole, monkeypatch):
    decode, ended = decoding.decode, []

    def watched(config, params, rows, drawing, over, length):
        ended.append(over.tolist())
        return decode(config, params, rows, drawing, over, length)

    monkeypatch.setattr(decoding, 'decode', watched)
    stop = [whole[0][3:10]]
    generate.complete(CONFIG, params, tokenizer, PROMPTS, stop=stop, **OPTIONS)
    padding = [False] * 2 + [True]
    assert ended == [[False, *padding], [True, *padding], [True, *padding]]
    ended.clear()
    generate.complete(CONFIG, params, tokenizer, PROMPTS[:1], stop=stop, **OPTIONS)
    assert ended == [[False]]


def test_stops_and_batches_change_nothing_else(params, tokenizer, whole):
    options = OPTIONS | {'rows_at_once': 2, 'stop': ['never there']}
    assert generate.complete(CONFIG, params, tokenizer, PROMPTS, **options) == whole


@pytest.mark.parametrize('bits', [8, 4])
def test_kernels_in_few_bits(params, tokenizer, tmp_path, bits):
    huggingface.save(CONFIG, params, tmp_path / 'tiny', tokenizer=tokenizer)
    texts = generate.complete_with(tmp_path / 'tiny', PROMPTS[:1], bits=bits, max_new_tokens=9)
    quantised = models.quantise(CONFIG, params, bits)
    assert texts == generate.complete(CONFIG, quantised, tokenizer, PROMPTS[:1], max_new_tokens=9)
    _, loaded, _ = completion.load(tmp_path / 'tiny', bits)
    assert models.num_bytes(loaded) == models.num_bytes(quantised)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'stop': ['a', '']}, 'stop must not be empty'),
        ({'rows_at_once': 0}, 'rows_at_once must be at least 1, got 0'),
        ({'repetition_penalty': 0.0}, 'repetition_penalty must be positive, got 0.0'),
        ({'min_p': 1.1}, r'min_p must be in \[0, 1\], got 1.1'),
        ({'top_k': -1}, r'top_k must be 0 \(no limit\) or positive, got -1'),
    ],
)
def test_what_cannot_be_is_refused(params, tokenizer, options, message):
    with pytest.raises(InputError, match=message):
        generate.complete(CONFIG, params, tokenizer, PROMPTS, **OPTIONS | options)


@pytest.mark.parametrize(
    ('num_samples', 'message'), [(0, 'at least 1'), (2, 'needs a temperature')]
)
def test_samples_that_cannot_be_are_refused(num_samples, message):
    with pytest.raises(InputError, match=message):
        generate.write('nowhere', ['a'], num_samples=num_samples, max_new_tokens=1)
