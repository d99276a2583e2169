"""Conversations for supervised finetuning and, as variant `preferences`, pairs of answers for DPO.

    python -m phijax.data.tokenize --config=configs/tokenize/chats.py --workdir=data/chats
    python -m phijax.data.tokenize --config=configs/tokenize/chats.py:preferences \
        --workdir=data/preferences

Put JSONL files below corpora/chats, with lines of `{"messages": [{"role": "user", "content": "…"},
…]}`, or below corpora/preferences, `{"prompt": "…", "chosen": "…", "rejected": "…"}`. Variants
`smoke` and `smoke_preferences` ask about the standard library's functions, with no download.

Expected: 0.5M tokens a second on a core. Microsoft's post-training data were not released.
Source: arXiv:2404.14219: SFT on chats, then DPO. Open: the held-out share, our choice.
"""

import ml_collections

SOURCES = {
    'full': {'chats': {'kind': 'chat', 'paths': ('corpora/chats/**/*.jsonl',)}},
    'preferences': {
        'preferences': {'kind': 'preference', 'paths': ('corpora/preferences/**/*.jsonl',)}
    },
    'smoke': {'chats': {'kind': 'stdlib_chat'}},
    'smoke_preferences': {'preferences': {'kind': 'stdlib_preference'}},
}


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.sources = SOURCES[variant]
    for source in config.sources.values():
        source.format = 'phi3'
    config.tokenizer = '' if 'smoke' in variant else 'microsoft/Phi-3-mini-4k-instruct'
    config.vocab_size = 4096
    config.heldout_fraction = 0.02
    return config
