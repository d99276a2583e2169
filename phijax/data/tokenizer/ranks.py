"""cl100k_base, the tokenizer of phi-3-small, from the ranks that its authors publish."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from tokenizers import AddedToken, Regex, pre_tokenizers

from phijax.data.tokenizer.byte_pairs import CHARACTERS, BytePairTokenizer, byte_level
from phijax.data.tokenizer.codec import parsed
from phijax.errors import InputError

RANKS = 100256
VOCABULARY = 100352

# Source: phi-3-small's tokenizer; every other id from 100256 to 100351 is a dummy. Open: whether
# its dummies have these names; phi-4, of the same ranks, counts its own so.
NAMED = {
    '<|endoftext|>': 100257,
    '<|fim_prefix|>': 100258,
    '<|fim_middle|>': 100259,
    '<|fim_suffix|>': 100260,
    '<|system|>': 100261,
    '<|user|>': 100262,
    '<|assistant|>': 100263,
    '<|end|>': 100266,
    '<|endofprompt|>': 100276,
}

# Source: cl100k_base of OpenAI's tiktoken, by what it matches: a contraction, a word with at most
# one sign before it, up to three digits, signs, line ends, other white space.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    r'|[^\r\n\p{L}\p{N}]?\p{L}+'
    r'|\p{N}{1,3}'
    r'| ?[^\s\p{L}\p{N}]+[\r\n]*'
    r'|\s*[\r\n]+'
    r'|\s+(?!\S)'
    r'|\s+'
)

Token = TypeVar('Token', str, bytes)


def cl100k(path: Path) -> BytePairTokenizer:
    """phi-3-small's tokenizer from `cl100k_base.tiktoken`: 100352 ids, as many as its model has.

    Raises:
        InputError: the file holds something else than the ranks of cl100k_base.
    """
    ranks = read(path)
    if len(ranks) != RANKS:
        raise InputError(f'{path} has {len(ranks)} ranks; cl100k_base has {RANKS}.')
    spelled = {token.decode('latin-1').translate(CHARACTERS): i for token, i in ranks.items()}
    cut = [
        pre_tokenizers.Split(Regex(WORDS), behavior='isolated'),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    # A word that is a token is that token, whether or not merges lead to it.
    inner = byte_level(spelled, merges(spelled), pre_tokenizers.Sequence(cut), ignore_merges=True)
    inner.add_special_tokens([AddedToken(t, normalized=False) for t in special_tokens()])
    return BytePairTokenizer(inner)


def special_tokens() -> list[str]:
    """The tokens after the ranks, in the order of their ids."""
    names = {i: name for name, i in NAMED.items()}
    dummies = (i for i in range(RANKS, VOCABULARY) if i not in names)
    names |= {i: f'<|dummy_{number}|>' for number, i in enumerate(dummies)}
    return [names[i] for i in range(RANKS, VOCABULARY)]


def read(path: Path) -> dict[bytes, int]:
    """The rank of each token in a `.tiktoken` file: lines of base64, a space, and the rank.

    Raises:
        InputError: a line is not such a line, or the ranks are not 0, 1, 2 and so on.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(path.read_bytes().splitlines()):
        token, rank = parsed(partial(_line, line), f'Line {number + 1} of {path}')
        if rank != number or token in ranks:
            raise InputError(
                f'{path} has rank {rank} in line {number + 1}, expected {number}, new.'
            )
        ranks[token] = rank
    return ranks


def merges(ranks: Mapping[Token, int]) -> list[tuple[Token, Token]]:
    """Every pair of tokens that make a token together, the pair of the lowest rank first.

    So BPE by merges joins what BPE by ranks joins: there, any two neighbours whose whole has a
    rank may join, the lowest first.
    """
    pairs = []
    for whole, rank in ranks.items():
        for at in range(1, len(whole)):
            left, right = whole[:at], whole[at:]
            if left in ranks and right in ranks:
                pairs.append((rank, ranks[left], ranks[right], left, right))
    return [pair[3:] for pair in sorted(pairs)]


def _line(line: bytes) -> tuple[bytes, int]:
    token, rank = line.split(b' ')
    return base64.b64decode(token, validate=True), int(rank)
