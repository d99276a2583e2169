"""phi-3-small in numpy, one formula after the other, with a dense mask: slow, and only to compare.

Written from the definition (modeling_phi3_small.py of microsoft/Phi-3-small-8k-instruct), on the
tensors and settings of a Hugging Face directory, so that nothing of phijax is in it.
"""

import numpy as np


def sparse_mask(num_heads, length, block, local, stride, homogeneous):
    """Which keys each head's queries see, `(heads, queries, keys)`."""
    step = 0 if homogeneous else max(1, int(stride / num_heads))
    mask = np.zeros((num_heads, length, length), bool)
    for head in range(num_heads):
        for query in range(length):
            for key in range(query + 1):
                q, k = query // block, key // block
                mask[head, query, key] = q - k < local or (k + head * step + 1) % stride == 0
    return mask


def logits(settings, tensors, tokens):
    """Scores of the next token at each position of one row, in float64."""
    tensors = {name: np.asarray(x, np.float64) for name, x in tensors.items()}
    x = tensors['model.embed_tokens.weight'][tokens] * settings['mup_embedding_multiplier']
    for layer in range(settings['num_hidden_layers']):
        own = {
            name.removeprefix(f'model.layers.{layer}.'): t
            for name, t in tensors.items()
            if name.startswith(f'model.layers.{layer}.')
        }
        sparse = (layer + 1) % settings['dense_attention_every_n_layers'] != 0
        x = x + attention(settings, own, layer_norm(settings, own, 'input_layernorm', x), sparse)
        x = x + mlp(settings, own, layer_norm(settings, own, 'post_attention_layernorm', x))
    x = layer_norm(settings, tensors, 'model.final_layernorm', x)
    scores = x @ tensors['model.embed_tokens.weight'].T / settings['mup_width_multiplier']
    scores[:, settings['dummy_token_indices']] = np.finfo(np.float32).min
    return scores


def attention(settings, own, x, sparse):
    """One attention layer on `(length, width)`."""
    heads, groups = settings['num_attention_heads'], settings['num_key_value_heads']
    size = settings['hidden_size'] // heads
    fused = linear(own, 'self_attn.query_key_value', x)
    fused = fused.reshape(len(x), groups, heads // groups + 2, size)
    queries = fused[:, :, :-2].reshape(len(x), heads, size)
    keys, values = (np.repeat(fused[:, :, i], heads // groups, axis=1) for i in (-2, -1))
    queries, keys = rotate(settings, queries), rotate(settings, keys)
    mask = np.tril(np.ones((len(x), len(x)), bool))[None].repeat(heads, axis=0)
    if sparse:
        mask = sparse_mask(
            heads,
            len(x),
            settings['blocksparse_block_size'],
            settings['blocksparse_num_local_blocks'],
            settings['blocksparse_vert_stride'],
            settings['blocksparse_homo_head_pattern'],
        )
    gathered = []
    for head in range(heads):
        scores = queries[:, head] @ keys[:, head].T * settings['mup_attn_multiplier'] / size
        weights = np.where(mask[head], np.exp(scores - scores.max()), 0)
        gathered.append(weights / weights.sum(axis=1, keepdims=True) @ values[:, head])
    return linear(own, 'self_attn.dense', np.concatenate(gathered, axis=1))


def rotate(settings, x):
    """Half-split rotary embedding of every feature."""
    half = x.shape[-1] // 2
    scaling = settings['rope_scaling']
    factors, magnitude = np.ones(half), 1.0
    if scaling:
        which = 'long' if len(x) > scaling['original_max_position_embeddings'] else 'short'
        factors, magnitude = np.array(scaling[f'{which}_factor']), scaling[f'{which}_mscale']
    periods = settings['rope_embedding_base'] ** (np.arange(half) / half) * factors
    angles = np.arange(len(x))[:, None] / periods
    cos, sin = (np.concatenate([f(angles)] * 2, axis=1)[:, None] for f in (np.cos, np.sin))
    turned = np.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    return (x * cos + turned * sin) * magnitude


def mlp(settings, own, x):
    """GEGELU between two products."""
    inner, limit = linear(own, 'mlp.up_proj', x), settings['gegelu_limit']
    gate, branch = np.minimum(inner[:, ::2], limit), np.clip(inner[:, 1::2], -limit, limit)
    return linear(own, 'mlp.down_proj', gate / (1 + np.exp(-1.702 * gate)) * (branch + 1))


def linear(own, name, x):
    """A product with a bias."""
    return x @ own[f'{name}.weight'].T + own[f'{name}.bias']


def layer_norm(settings, own, name, x):
    """Zero mean, unit variance, scale and bias."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    normed = centred / np.sqrt(variance + settings['layer_norm_epsilon'])
    return normed * own[f'{name}.weight'] + own[f'{name}.bias']
