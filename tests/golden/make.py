"""Writes the golden files beside it with transformers: `python tests/golden/make.py` (needs torch).

Each case is a directory as transformers saves it (config.json, float16 weights), and in it
expected.safetensors with tokens and the float32 logits of those weights. Every parameter, biases
and scales of norms too, is normal with standard deviation 0.2, so that none can be dropped, swapped
or transposed unseen. The case that has all features also has gradients/, saved as if they were a
model: those of the mean loss of predicting each next token.

Made with torch 2.13.0 and transformers 5.23.0.
"""

import copy
import pathlib
import shutil

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import PhiConfig, PhiForCausalLM

HERE = pathlib.Path(__file__).parent
STD = 0.2
VOCABULARY = 61

# All but the first are longer than a block of phijax's attention.
CASES = {
    'plain': {'heads': (4, 4, 16), 'rotary': 0.5, 'length': 40},
    'six_heads': {'heads': (6, 6, 16), 'rotary': 0.25, 'length': 70, 'layer_norm_eps': 1e-3},
    'grouped': {'heads': (6, 2, 10), 'rotary': 0.4, 'length': 150, 'theta': 300.0, 'layers': 3},
    'qk_layernorm': {'heads': (4, 2, 12), 'rotary': 1.0, 'length': 100, 'qk_layernorm': True},
    'wide_heads': {'heads': (2, 2, 80), 'rotary': 0.4, 'length': 80, 'layers': 1},
}
WITH_GRADIENTS = 'qk_layernorm'


def main() -> None:
    """Replaces the golden files of every case."""
    for seed, (name, case) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        shutil.rmtree(HERE / name, ignore_errors=True)
        model = build(**case)
        save(copy.deepcopy(model).half(), HERE / name)
        tokens = torch.randint(VOCABULARY, (2, case['length']))
        logits = model(tokens).logits
        expected = {'tokens': tokens.numpy().astype(np.int32), 'logits': logits.detach().numpy()}
        save_file(expected, HERE / name / 'expected.safetensors')
        if name == WITH_GRADIENTS:
            save_gradients(model, tokens, logits, HERE / name / 'gradients')


def build(*, heads, rotary, length, theta=10000.0, layers=2, **rest) -> PhiForCausalLM:
    """A float32 model with random weights that float16 can hold."""
    num_heads, num_kv_heads, head_dim = heads
    config = PhiConfig(
        vocab_size=VOCABULARY,
        hidden_size=num_heads * head_dim,
        intermediate_size=72,
        num_hidden_layers=layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_kv_heads,
        max_position_embeddings=512,
        rope_parameters={
            'rope_type': 'default',
            'rope_theta': theta,
            'partial_rotary_factor': rotary,
        },
        **rest,
    )
    model = PhiForCausalLM(config).eval()
    for parameter in model.parameters():
        parameter.data = parameter.data.normal_(0, STD).half().float()
    return model


def save(model, directory) -> None:
    """Saves config.json and the weights, readable by all."""
    model.save_pretrained(directory)
    (directory / 'generation_config.json').unlink()
    (directory / 'model.safetensors').chmod(0o644)


def save_gradients(model, tokens, logits, directory) -> None:
    """Saves the gradients as if they were the weights of a model."""
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    gradients = copy.deepcopy(model)
    for into, parameter in zip(gradients.parameters(), model.parameters(), strict=True):
        into.data = parameter.grad
    save(gradients, directory)


if __name__ == '__main__':
    main()
