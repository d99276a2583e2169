"""SmolLM2-135M-Instruct in phijax against llama.cpp and transformers, and small random models.

`python experiments/real_model/run.py` prints the figures and writes results.json beside this file.
It needs the extra `hf`, and `pip install xllamacpp==2026.10.11549`.
"""

import argparse
import json
import pathlib
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import jax
import numpy as np
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import rounding  # noqa: E402
import texts  # noqa: E402
from reference import LlamaCpp  # noqa: E402

from phijax import assets, generate, interop, models  # noqa: E402
from phijax.data import tokenizer as tokenizers  # noqa: E402
from phijax.interop import gguf, huggingface  # noqa: E402

SHIPPED = 'SmolLM2-135M-Instruct.Q4_1.gguf'
SIZES = {
    'vocab_size': 320,
    'embed_dim': 64,
    'num_layers': 3,
    'num_heads': 4,
    'num_kv_heads': 2,
    'head_dim': 16,
    'mlp_dim': 96,
    'rotary_dim': 16,
    'max_length': 256,
}
LONGROPE = {
    'window': 0,
    'rotary_dim': 8,
    'short_factors': tuple(1 + 0.1 * i for i in range(4)),
    'long_factors': tuple(1.5 + i for i in range(4)),
}
# llama.cpp has no window, and chooses LongRoPE's factors by its context, of at least 256 tokens.
TINY = {
    'llama': ('smollm2_135m', {}),
    'phi3, partial rotary': ('phi3_mini', {'window': 0, 'rotary_dim': 8}),
    'phi3, short factors': ('phi3_mini', LONGROPE | {'original_length': 512, 'max_length': 2048}),
    'phi3, long factors': (
        'phi3_mini',
        LONGROPE | {'original_length': 3, 'long_magnitude': 1.4, 'short_magnitude': 1.4},
    ),
    'phi2': ('phi2', {'rotary_dim': 8, 'residual_dropout': 0.0}),
}


class Ours:
    """phijax's logits and greedy answers for the model at a path."""

    def __init__(self, path: pathlib.Path, change: Callable[[], AbstractContextManager]) -> None:
        """Opens it.

        Args:
            change: the context in which its logits are computed.
        """
        self._change = change
        self.config, self.host, self.tokenizer = interop.open(path)
        self.params = jax.device_put(self.host)
        self._apply = jax.jit(lambda params, ids: models.apply(self.config, params, ids)[0])

    def logits(self, ids: list[int]) -> np.ndarray:
        """Of the next token after each of `ids`, padded so that few programs are compiled."""
        padded = ids + [0] * (-len(ids) % 64)
        with self._change():
            return np.asarray(self._apply(self.params, np.array([padded])))[0, : len(ids)]

    def greedy(self, prompts: list[list[int]], count: int) -> list[list[int]]:
        """The likeliest ids after each prompt."""
        return generate.generate(self.config, self.params, prompts, max_new_tokens=count)


def compare_greedy(ours: Ours, theirs: LlamaCpp, prompts: list[list[int]], count: int) -> dict:
    """How many answers are the same, and at the first id that is not, how near the two best are."""
    answers = ours.greedy(prompts, count)
    gaps = []
    ends = ours.tokenizer.ends
    for prompt, written in zip(prompts, answers, strict=True):
        expected, answer = _until(ends, theirs.greedy(prompt, count)), _until(ends, written)
        at = next((i for i, (a, b) in enumerate(zip(answer, expected, strict=False)) if a != b), -1)
        if at < 0 and len(answer) == len(expected):
            continue
        at = min(len(answer), len(expected)) if at < 0 else at
        best = np.sort(ours.logits(prompt + expected[:at])[-1])
        gaps.append(float(best[-1] - best[-2]))
    return {
        'prompts': len(prompts),
        'tokens': count,
        'equal': len(prompts) - len(gaps),
        'gaps': gaps,
    }


def compare_forced(ours: Ours, theirs: LlamaCpp, rows: list[list[int]], count: int) -> dict:
    """How often both hold the same token for the likeliest at the last `count` places of texts."""
    gaps: list[float] = []
    places = 0
    for row in rows:
        logits = ours.logits(row)
        for place in range(max(len(row) - count, 1), len(row)):
            scores, places = logits[place - 1], places + 1
            likeliest = theirs.likeliest(row[:place], 1)[0][0]
            if likeliest != scores.argmax():
                gaps.append(float(scores.max() - scores[likeliest]))
    share = 1 - len(gaps) / places
    return {'places': places, 'agree': places - len(gaps), 'share': share, 'gaps': sorted(gaps)}


def compare_transformers(ours: Ours, rows: list[list[int]], directory: pathlib.Path) -> dict:
    """The largest difference of logits from transformers' on the exported directory."""
    huggingface.save(ours.config, ours.host, directory, tokenizer=ours.tokenizer)
    reference = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    reference.eval()
    worst = largest = 0.0
    for row in rows:
        with torch.no_grad():
            expected = reference(torch.tensor([row])).logits[0].numpy()
        worst = max(worst, float(np.abs(ours.logits(row) - expected).max()))
        largest = max(largest, float(np.abs(expected).max()))
    kind = type(reference).__name__
    return {'model': kind, 'rows': len(rows), 'largest_difference': worst, 'largest_logit': largest}


def compare_tiny(
    name: str, overrides: dict, directory: pathlib.Path, rows: int, change: Callable = nullcontext
) -> dict:
    """The largest difference of log-probabilities from llama.cpp's on a random model."""
    random = np.random.default_rng(0)
    config = models.config(name, **SIZES | overrides)
    axes = models.axes(config)
    params = jax.tree.map(
        lambda letters: random.normal(0, 0.2, [config.sizes[x] for x in letters]).astype('f'), axes
    )
    path = directory / f'{len(list(directory.iterdir()))}.gguf'
    made = tokenizers.train(['a b c abc ' * 20], 260)
    gguf.save(config, params, path, tokenizer=made)
    ours, theirs = Ours(path, change), LlamaCpp(path, made.encode('a')[0], context=64)
    worst = 0.0
    for length in range(1, 1 + rows):
        ids = random.integers(1, 257, 4 * length).tolist()
        found, expected = theirs.likeliest(ids, 16)
        scores = np.asarray(jax.nn.log_softmax(ours.logits(ids)[-1]))
        worst = max(worst, float(np.abs(scores[found] - expected).max()))
    return {'rows': rows, 'largest_difference': worst}


def main() -> None:
    """Runs all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--variant', default='full', choices=('full', 'smoke'))
    parser.add_argument('--results', default=str(HERE / 'results.json'))
    flags = parser.parse_args()
    few = slice(None) if flags.variant == 'full' else slice(2)
    results: dict = {}

    def report(name: str, figures: dict) -> None:
        results[name] = figures
        print(name, json.dumps(figures), flush=True)
        pathlib.Path(flags.results).write_text(json.dumps(results, indent=1) + '\n')

    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        for name, (base, overrides) in TINY.items():
            report(name, compare_tiny(base, overrides, directory, rows=12))
        figures = compare_tiny(*TINY['phi2'], directory, 12, rounding.half_precision_gelu)
        report("phi2, with llama.cpp's GELU", figures)
        shipped = assets.fetch('smollm2-135m') / SHIPPED
        ours = Ours(shipped, nullcontext)
        codec = ours.tokenizer
        prompts = [codec.encode(prompt) for prompt in texts.PROMPTS[few]]
        prompts += [texts.chat(codec, question) for question in texts.QUESTIONS[few]]
        passages = [codec.encode(passage) for passage in texts.PASSAGES[few]]
        [answer] = ours.greedy([texts.chat(codec, texts.QUESTIONS[0])], 16)
        report('answer', {texts.QUESTIONS[0]: codec.decode(_until(codec.ends, answer))})
        report('transformers', compare_transformers(ours, passages, directory / 'exported'))
        gguf.save(ours.config, ours.host, directory / 'float32.gguf', tokenizer=codec)
        theirs = LlamaCpp(directory / 'float32.gguf', codec.encode('a')[0])
        report('float32 greedy', compare_greedy(ours, theirs, prompts, 24))
        report('float32 forced', compare_forced(ours, theirs, passages, 40))
        theirs = LlamaCpp(shipped, codec.encode('a')[0])
        report('Q4_1 greedy', compare_greedy(ours, theirs, prompts, 24))
        report('Q4_1 forced', compare_forced(ours, theirs, passages, 40))
        rounded = Ours(shipped, rounding.eight_bit_inputs)
        report('Q4_1 forced, inputs of 8 bits', compare_forced(rounded, theirs, passages, 40))


def _until(ends: tuple[int, ...], ids: list[int]) -> list[int]:
    """The ids before the first that ends a text or a turn."""
    return ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]


if __name__ == '__main__':
    main()
