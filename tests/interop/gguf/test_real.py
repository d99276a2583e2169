"""SmolLM2-135M-Instruct, a real model: minutes of one core. See experiments/real_model."""

import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from phijax import generate, interop, models
from phijax.interop import gguf, huggingface
from tests.interop.test_huggingface import assert_same

ROOT = pathlib.Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope='module')
def shipped(asset):
    return interop.open(asset('smollm2-135m') / 'SmolLM2-135M-Instruct.Q4_1.gguf')


def chat(tokenizer, question):
    """The ids of a question in ChatML."""
    begin, end = tokenizer.special('<|im_start|>'), tokenizer.special('<|im_end|>')
    asked = [begin, *tokenizer.encode(f'user\n{question}'), end, *tokenizer.encode('\n')]
    return [*asked, begin, *tokenizer.encode('assistant\n')]


def test_answers(shipped):
    config, params, tokenizer = shipped
    assert config == models.config('smollm2_135m')
    assert [tokenizer.decode([i]) for i in tokenizer.ends] == ['<|endoftext|>', '<|im_end|>']
    params = jax.device_put(params)
    prompt = chat(tokenizer, 'What is the capital of France?')
    [ids] = generate.generate(
        config, params, [prompt], max_new_tokens=16, end_of_text=tokenizer.special('<|im_end|>')
    )
    assert tokenizer.decode(ids) == 'The capital of France is Paris.'
    [text] = generate.complete(
        config, params, tokenizer, ['The capital of France is'], max_new_tokens=2
    )
    assert text.startswith(' Paris')


def test_it_comes_back(shipped, tmp_path):
    config, params, tokenizer = shipped
    gguf.save(config, params, tmp_path / 'x.gguf', tokenizer=tokenizer)
    found, again, codec = interop.open(tmp_path / 'x.gguf')
    assert (found, codec.digest) == (config, tokenizer.digest)
    assert_same(again, params)


def test_transformers_has_the_same_logits(shipped, tmp_path):
    """Its head is tied there too. Sums of 1536 numbers in another order: a share of the largest."""
    torch, transformers = pytest.importorskip('torch'), pytest.importorskip('transformers')
    config, params, tokenizer = shipped
    huggingface.save(config, params, tmp_path / 'model', tokenizer=tokenizer)
    reference = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / 'model', dtype=torch.float32
    )
    ids = tokenizer.encode('Plants take in carbon dioxide from the air and water from the soil.')
    with torch.no_grad():
        expected = reference(torch.tensor([ids])).logits[0].numpy()
    logits = jax.jit(lambda p, t: models.apply(config, p, t)[0])(params, np.array([ids]))[0]
    assert np.abs(logits - expected).max() < 1e-5 * np.abs(expected).max()
    codec = transformers.AutoTokenizer.from_pretrained(tmp_path / 'model')
    assert codec.encode('hello world 2024') == tokenizer.encode('hello world 2024')


def test_llama_cpp_writes_the_same(tmp_path):
    """The experiment's smoke run: random models of each architecture, and the real one."""
    pytest.importorskip('xllamacpp')
    pytest.importorskip('transformers')
    script = ROOT / 'experiments' / 'real_model' / 'run.py'
    arguments = ['--variant=smoke', f'--results={tmp_path / "results.json"}']
    subprocess.run([sys.executable, script, *arguments], check=True, cwd=ROOT)
    results = json.loads((tmp_path / 'results.json').read_text())
    for name in ('llama', 'phi3, partial rotary', 'phi3, short factors', 'phi3, long factors'):
        assert results[name]['largest_difference'] < 1e-5, name
    # llama.cpp looks GELU up in a table of half precision.
    assert results['phi2']['largest_difference'] < 1e-3
    assert results['float32 greedy']['equal'] == results['float32 greedy']['prompts'] == 4
    assert results['float32 forced']['agree'] == results['float32 forced']['places']
