"""Writes the golden files beside it with transformers: `python tests/golden/make.py` (needs torch).

Each case is a directory as transformers saves it (config.json, float16 weights), and in it
expected.safetensors with tokens and the float32 logits of those weights. Every parameter, biases
and scales of norms too, is normal with standard deviation 0.2, so that none can be dropped, swapped
or transposed unseen. Two cases also have gradients/, saved as if they were a model: those of the
mean loss of predicting each next token.

Made with torch 2.13.0 and transformers 5.23.0.
"""

import copy
import pathlib
import shutil

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import (
    CodeGenConfig,
    CodeGenForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

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
PHI3_CASES = {
    'phi3_window': {'heads': (4, 2, 12), 'length': 150, 'sliding_window': 37, 'rms_norm_eps': 1e-3},
    'phi3_longrope_short': {'heads': (3, 3, 12), 'length': 64, 'longrope': True},
    'phi3_longrope_long': {'heads': (4, 1, 8), 'length': 65, 'longrope': True, 'tied': True},
}
CODEGEN_CASES = {'codegen': {'heads': (8, 10), 'rotary': 6, 'length': 100}}
WITH_GRADIENTS = ('qk_layernorm', 'phi3_window')


def main() -> None:
    """Replaces the golden files of every case."""
    cases = {name: (build, case) for name, case in CASES.items()}
    cases |= {name: (build_phi3, case) for name, case in PHI3_CASES.items()}
    cases |= {name: (build_codegen, case) for name, case in CODEGEN_CASES.items()}
    for seed, (name, (make, case)) in enumerate(cases.items()):
        torch.manual_seed(seed)
        shutil.rmtree(HERE / name, ignore_errors=True)
        model = randomised(make(**case))
        save(copy.deepcopy(model).half(), HERE / name)
        tokens = torch.randint(VOCABULARY, (2, case['length']))
        logits = model(tokens).logits
        expected = {'tokens': tokens.numpy().astype(np.int32), 'logits': logits.detach().numpy()}
        save_file(expected, HERE / name / 'expected.safetensors')
        if name in WITH_GRADIENTS:
            save_gradients(model, tokens, logits, HERE / name / 'gradients')


def build(*, heads, rotary, length, theta=10000.0, layers=2, **rest) -> PhiForCausalLM:
    """A model of phi-1's block."""
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
    return PhiForCausalLM(config)


def build_phi3(*, heads, length, longrope=False, tied=False, **rest) -> Phi3ForCausalLM:
    """A phi-3 model, with a context of 64 extended to 256 or as it is."""
    num_heads, num_kv_heads, head_dim = heads
    rope = {'rope_type': 'default', 'rope_theta': 10000.0, 'partial_rotary_factor': 1.0}
    if longrope:
        factors = torch.arange(head_dim // 2)
        rope |= {'rope_type': 'longrope', 'original_max_position_embeddings': 64}
        rope |= {'short_factor': (1 + factors / 10).tolist(), 'long_factor': (1 + factors).tolist()}
        rest |= {'original_max_position_embeddings': 64}
    config = Phi3Config(
        vocab_size=VOCABULARY,
        hidden_size=num_heads * head_dim,
        intermediate_size=72,
        num_hidden_layers=2,
        num_attention_heads=num_heads,
        num_key_value_heads=num_kv_heads,
        max_position_embeddings=256,
        rope_parameters=rope,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        **rest,
    )
    return Phi3ForCausalLM(config)


def build_codegen(*, heads, rotary, length) -> CodeGenForCausalLM:
    """A CodeGen model, two heads in each of its four shares."""
    num_heads, head_dim = heads
    config = CodeGenConfig(
        vocab_size=VOCABULARY,
        n_embd=num_heads * head_dim,
        n_inner=72,
        n_layer=2,
        n_head=num_heads,
        n_positions=256,
        rotary_dim=rotary,
        layer_norm_epsilon=1e-3,
        bos_token_id=None,
        eos_token_id=None,
    )
    return CodeGenForCausalLM(config)


def randomised(model):
    """The model with random weights that float16 can hold."""
    for parameter in model.eval().parameters():
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
