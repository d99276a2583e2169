"""Llama-2's pieces with their scores, phi-3's tokens, and a small tokenizer of that kind."""

import json
import pathlib

from phijax.data import tokenizer

SPACE = '\u2581'
FIRST_WORD = 259
LOWEST = -1e9

# Source: phi-3-mini's added_tokens.json: ids 32000 to 32010.
PHI3 = (
    '<|endoftext|>',
    '<|assistant|>',
    '<|placeholder1|>',
    '<|placeholder2|>',
    '<|placeholder3|>',
    '<|placeholder4|>',
    '<|system|>',
    '<|end|>',
    '<|placeholder5|>',
    '<|placeholder6|>',
    '<|user|>',
)
PHI3_IDS = {token: 32000 + i for i, token in enumerate(PHI3)}
ALWAYS = (['<unk>', '<s>', '</s>', *(f'<0x{i:02X}>' for i in range(256))], [2, 3, 3, *[6] * 256])


def lists(directory: pathlib.Path) -> tuple[list[str], list[float], list[int]]:
    """Pieces, scores and types of Llama-2's tokenizer.model, from its tokenizer.json.

    There a piece has minus its place as its score, but one that is only spaces the lowest.
    """
    definition = json.loads((directory / 'l2_supercat_tokenizer_config.json').read_text())
    vocab = definition['model']['vocab']
    pieces = sorted(vocab, key=vocab.get)
    assert pieces[:FIRST_WORD] == ALWAYS[0]
    words = pieces[FIRST_WORD:]
    scores = [LOWEST if set(word) == {SPACE} else float(-i) for i, word in enumerate(words)]
    return pieces, [0.0] * FIRST_WORD + scores, ALWAYS[1] + [1] * len(words)


def small(*words: str, end: str = '</s>') -> tokenizer.SentencePieceTokenizer:
    """A tokenizer of bytes and some words, the first most urgent, and of their characters."""
    words = (*words, SPACE, *sorted(set(''.join(words)) - {SPACE}))
    pieces = [*ALWAYS[0], *words]
    scores = [0.0] * FIRST_WORD + [float(-i) for i in range(len(words))]
    types = [*ALWAYS[1], *(1 for _ in words)]
    return tokenizer.from_pieces(pieces, scores, types, pieces.index(end))
