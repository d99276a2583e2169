"""Cached generation against whole uncached passes, and rows against the same rows alone."""

import jax
import numpy as np
import pytest

from phijax import generate, models, partitioning
from phijax.data import tokenizer as tokenizers
from phijax.errors import InputError
from phijax.generate import decoding
from phijax.interop import huggingface
from tests.data.tokenizer import llama

# A wide draw of the parameters gives scores that are far apart, so rounding decides nothing.
TINY = {
    'vocab_size': 320,
    'embed_dim': 32,
    'num_layers': 2,
    'num_heads': 4,
    'num_kv_heads': 2,
    'head_dim': 8,
    'mlp_dim': 64,
    'rotary_dim': 4,
    'max_length': 32,
    'init_std': 0.3,
    'unroll': 1,
}
# Of one bucket, alone and together: 16 tokens of prompt, 32 in all.
PROMPTS = [[5, 6, 7, 8, 9], [9] * 16, [300, 301, 300, 5, 6, 4], list(range(1, 12))]
NEW = 12


def _tiny(**overrides):
    return models.config('phi1', **TINY | overrides)


CONFIG = _tiny()


@pytest.fixture(scope='module')
def params():
    return models.init(CONFIG, jax.random.key(0))


@pytest.fixture(scope='module')
def greedy(params):
    return generate.generate(CONFIG, params, PROMPTS, max_new_tokens=NEW)


@pytest.fixture(scope='module')
def tokenizer():
    return tokenizers.train(['def add(a, b):\n    return a + b\n'] * 4, 270)


def _uncached(config, params, tokens):
    """Logits of one whole pass, padded at its end so that all rows share one shape."""
    padded = np.zeros((1, config.max_length), np.int32)
    padded[0, : len(tokens)] = tokens
    return np.asarray(_apply(config, params, padded))[0, : len(tokens)]


_apply = jax.jit(lambda *args: models.apply(*args)[0], static_argnums=0)


@pytest.mark.parametrize(('dtype', 'tolerance'), [('float32', 0.0), ('bfloat16', 2**-5)])
def test_greedy_tokens_are_the_best_of_whole_uncached_passes(params, dtype, tolerance):
    config = _tiny(dtype=dtype)
    rows = generate.generate(config, params, PROMPTS, max_new_tokens=NEW)
    for prompt, row in zip(PROMPTS, rows, strict=True):
        assert len(row) == NEW
        logits = _uncached(config, params, prompt + row)[len(prompt) - 1 : -1]
        chosen = np.take_along_axis(logits, np.array(row)[:, None], axis=1)[:, 0]
        assert (chosen >= logits.max(axis=1) - tolerance * np.abs(logits).max()).all()


def test_rows_of_different_lengths_are_the_same_together_and_alone(params, greedy):
    assert len({tuple(row) for row in greedy}) == len(PROMPTS)
    for prompt, row in zip(PROMPTS, greedy, strict=True):
        assert generate.generate(CONFIG, params, [prompt], max_new_tokens=NEW) == [row]


@pytest.mark.parametrize('top_p', [1.0, 0.9])
def test_sampled_rows_do_not_depend_on_the_other_rows(params, top_p):
    options = {'max_new_tokens': NEW, 'temperature': 1.0, 'top_p': top_p, 'seed': 3}
    first = generate.generate(CONFIG, params, PROMPTS, **options)
    others = [[1] * 14, PROMPTS[1], [2], [3, 4]]
    assert generate.generate(CONFIG, params, others, **options)[1] == first[1]
    for stream, prompt in enumerate(PROMPTS[:3]):
        alone = generate.generate(CONFIG, params, [prompt], streams=[stream], **options)
        assert alone == [first[stream]]


def test_seed_and_stream_decide_what_is_drawn(params):
    def draw(**options):
        return generate.generate(
            CONFIG, params, [PROMPTS[0]] * 4, max_new_tokens=NEW, temperature=1.0, **options
        )

    rows = draw(seed=1)
    assert draw(seed=1) == rows
    assert len({tuple(row) for row in rows + draw(seed=2)}) == 8
    assert draw(seed=1, streams=[7, 3, 3, 0]) == [
        draw(seed=1, streams=[7] * 4)[0],
        *[rows[3]] * 2,
        rows[0],
    ]


def test_every_place_of_every_row_is_drawn_anew(params):
    even = params | {'head': jax.tree.map(np.zeros_like, params['head'])}
    rows = generate.generate(CONFIG, even, [PROMPTS[0]] * 4, max_new_tokens=NEW, temperature=1.0)
    assert len({token for row in rows for token in row}) > 30  # of 48 from 320, 45 expected


def test_what_follows_goes_on_the_same_from_a_longer_prompt(params):
    options = {'temperature': 1.0, 'seed': 5, 'streams': [2]}
    whole = generate.generate(CONFIG, params, [PROMPTS[3]], max_new_tokens=10, **options)[0]
    longer = PROMPTS[3] + whole[:4]
    assert generate.generate(CONFIG, params, [longer], max_new_tokens=6, **options)[0] == whole[4:]


def test_a_temperature_near_zero_is_greedy(params, greedy):
    rows = generate.generate(CONFIG, params, PROMPTS, max_new_tokens=NEW, temperature=1e-6)
    assert rows == greedy


def test_end_of_text_stops_its_row_only_and_is_left_out(params, greedy):
    end = greedy[0][4]
    expected = [row[: row.index(end)] if end in row else row for row in greedy]
    assert len(expected[0]) < NEW
    assert NEW in map(len, expected)
    assert generate.generate(CONFIG, params, PROMPTS, max_new_tokens=NEW, ends=(end,)) == expected


def test_end_of_text_in_the_prompt_or_first_is_no_special_case(params, greedy):
    for row, end, expected in ((0, PROMPTS[0][1], greedy[0]), (0, greedy[0][0], [])):
        assert end not in greedy[0][1:] or not expected
        assert generate.generate(
            CONFIG, params, [PROMPTS[row]], max_new_tokens=NEW, ends=(end,)
        ) == [expected]


def test_decoding_stops_when_every_row_has_ended(params, greedy, monkeypatch):
    decode, lengths = decoding.decode, []

    def watched(*args):
        rows, crossing = decode(*args)
        lengths.append(int(rows.cache.lengths[0]))
        return rows, crossing

    monkeypatch.setattr(decoding, 'decode', watched)
    for ends in ((greedy[0][4],), ()):  # three rows, and one of padding that must not go on
        generate.generate(CONFIG, params, PROMPTS[:1] * 3, max_new_tokens=NEW, ends=ends)
    before = len(PROMPTS[0]) - 1
    assert lengths == [before + greedy[0].index(greedy[0][4]) + 1, before + NEW]


def test_only_ids_below_vocab_size_are_drawn(params, greedy):
    assert max(max(row) for row in greedy) >= 100
    for temperature in (0.0, 2.0):
        rows = generate.generate(
            CONFIG, params, PROMPTS, max_new_tokens=NEW, vocab_size=100, temperature=temperature
        )
        assert max(max(row) for row in rows) < 100
    wider = generate.generate(CONFIG, params, PROMPTS, max_new_tokens=NEW, vocab_size=10**6)
    assert wider == greedy


def test_a_row_may_fill_the_context_to_its_end(params):
    prompt = list(range(1, 11))
    [row] = generate.generate(CONFIG, params, [prompt], max_new_tokens=22)
    assert len(prompt + row) == CONFIG.max_length
    logits = _uncached(CONFIG, params, prompt + row)
    assert logits[9:-1].argmax(axis=1).tolist() == row


def test_no_prompts_give_no_rows(params):
    assert generate.generate(CONFIG, params, [], max_new_tokens=NEW) == []


@pytest.mark.parametrize(
    ('prompts', 'options', 'message'),
    [
        ([[1], []], {}, 'prompt 1 is empty'),
        ([[1], [5, 320]], {}, r'prompt 1 has token 320, allowed are 0\.\.319'),
        ([[-1]], {}, 'token -1'),
        ([[1], [2] * 30], {'max_new_tokens': 3}, r'prompt 1 has 30 .*3 is beyond max_length=32'),
        ([[1]], {'max_new_tokens': 0}, 'at least 1, got 0'),
        ([[1]], {'temperature': -0.5}, 'temperature .* got -0.5'),
        ([[1]], {'temperature': float('nan')}, 'got nan'),
        ([[1]], {'temperature': float('inf')}, 'got inf'),
        ([[1]], {'top_p': 0.0}, r'top_p must be in \(0, 1\], got 0.0'),
        ([[1]], {'top_p': 1.5}, 'got 1.5'),
        ([[1]], {'seed': -1}, 'got -1'),
        ([[1]], {'streams': [2**32]}, 'got 4294967296'),
        ([[1]], {'streams': [0, 1]}, 'one for each of 1 prompts, got 2'),
    ],
)
def test_what_cannot_be_generated_is_refused_by_name_and_value(params, prompts, options, message):
    with pytest.raises(InputError, match=message):
        generate.generate(CONFIG, params, prompts, **{'max_new_tokens': NEW} | options)


def test_calls_of_the_same_bucket_compile_nothing_again(params, greedy):
    before = decoding.prefill._cache_size(), decoding.decode._cache_size()
    for temperature, top_p, new in ((0.0, 1.0, NEW), (0.7, 0.9, NEW - 1), (1.0, 1.0, NEW - 2)):
        generate.generate(
            CONFIG,
            params,
            [[7] * 16, [3], [4, 4]],
            max_new_tokens=new,
            temperature=temperature,
            top_p=top_p,
            ends=(1, 2),
        )
    assert (decoding.prefill._cache_size(), decoding.decode._cache_size()) == before


def test_parameters_cut_over_a_mesh_give_the_same_tokens(params, greedy):
    mesh = partitioning.make_mesh((2, 2, 2))
    layout = partitioning.layout(mesh, models.axes(CONFIG), CONFIG.sizes)
    cut = jax.device_put(params, layout)
    assert len(cut['head']['kernel'].sharding.device_set) == 8
    assert not cut['head']['kernel'].is_fully_replicated
    assert generate.generate(CONFIG, cut, PROMPTS, max_new_tokens=NEW) == greedy


def test_complete_turns_text_into_text(params, tokenizer):
    prompts = ['def add(a, b):', 'return', '']
    texts = generate.complete(CONFIG, params, tokenizer, prompts, max_new_tokens=NEW)
    encoded = [*map(tokenizer.encode, prompts[:2]), [tokenizer.end_of_text]]
    rows = generate.generate(
        CONFIG,
        params,
        encoded,
        max_new_tokens=NEW,
        ends=(tokenizer.end_of_text,),
        vocab_size=tokenizer.vocab_size,
    )
    assert texts == [tokenizer.decode(row) for row in rows]
    assert any(texts)


class Numerals:
    """A tokenizer whose text is its ids, and whose end of text is not the first of them."""

    vocab_size = 320
    end_of_text = 301
    ends = (301,)

    def encode(self, text):
        return [int(numeral) for numeral in text.split()]

    def decode(self, ids):
        return ''.join(f'{i} ' for i in ids)


def test_an_empty_prompt_starts_a_document_and_the_end_of_text_ends_it(params):
    [row] = generate.generate(CONFIG, params, [[301]], max_new_tokens=NEW, ends=(301,))
    assert row
    texts = generate.complete(CONFIG, params, Numerals(), ['', '301'], max_new_tokens=NEW)
    assert texts == [Numerals().decode(row)] * 2


def test_a_completion_begins_with_the_space_of_its_first_word(params):
    tokens = llama.small(llama.SPACE + 'a')
    [again] = tokens.encode('a')
    head = {**params['head'], 'bias': params['head']['bias'].at[again].set(1e6)}
    prompts = ['a', 'b', '']
    texts = generate.complete(CONFIG, {**params, 'head': head}, tokens, prompts, max_new_tokens=2)
    assert texts == [' a a', ' a a', 'a a']


def test_complete_passes_options_on(params, tokenizer):
    options = {'max_new_tokens': NEW, 'temperature': 1.0}
    texts = {
        generate.complete(CONFIG, params, tokenizer, ['return a + b'], seed=seed, **options)[0]
        for seed in range(4)
    }
    assert len(texts) == 4


@pytest.fixture(scope='module')
def saved(params, tokenizer, tmp_path_factory):
    directory = tmp_path_factory.mktemp('models') / 'tiny'
    huggingface.save(CONFIG, params, directory, tokenizer=tokenizer)
    return directory


def test_complete_with_opens_a_checkpoint(params, tokenizer, saved):
    texts = generate.complete_with(saved, ['def add('], max_new_tokens=NEW)
    assert texts == generate.complete(CONFIG, params, tokenizer, ['def add('], max_new_tokens=NEW)


def test_complete_with_needs_a_tokenizer(params, tmp_path):
    huggingface.save(CONFIG, params, tmp_path / 'bare')
    with pytest.raises(InputError, match='bare has no tokenizer'):
        generate.complete_with(tmp_path / 'bare', ['def'], max_new_tokens=NEW)
