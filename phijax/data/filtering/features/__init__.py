"""Embeddings of texts: by a model's hidden states, or by hashed n-grams where there is no device.

jax and the models are loaded when a model is opened, and not for n-grams.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float

from phijax.data.settings import check

KINDS = ('ngrams', 'model')
POOLINGS = ('mean', 'last', 'max')
DTYPES = ('float32', 'bfloat16')


@dataclasses.dataclass(frozen=True)
class Settings:
    """What makes the embeddings.

    Source: arXiv:2306.11644, sec. 2.1 (the output embedding of a pretrained CodeGen model). Our
    choice: which of them, the pooling and the length, which the report does not tell.

    Attributes:
        kind: `ngrams` or `model`.
        width: of `ngrams`: how many numbers an embedding has; a model has its own width.
        seed: of `ngrams`: what the hashes begin with.
        model: a workdir, a Hugging Face directory or a GGUF file, with its tokenizer.
        pooling: of a text's hidden states: their `mean`, the `last`, or of each feature the `max`.
        max_tokens: how much of a text the model reads.
        dtype: what the model's products are computed in.
        tokens_at_once: positions in a step of one device; 0 is its own measure.
    """

    kind: str = 'ngrams'
    width: int = 256
    seed: int = 0
    model: str = ''
    pooling: str = 'mean'
    max_tokens: int = 1024
    dtype: str = 'float32'
    tokens_at_once: int = 0

    def __post_init__(self) -> None:
        check(self.kind in KINDS, 'kind', self.kind, f'one of {", ".join(KINDS)}')
        check(self.kind != 'model' or self.model != '', 'model', self.model, 'the path of a model')
        check(self.width >= 32, 'width', self.width, 'at least 32')
        check(0 <= self.seed < 1 << 32, 'seed', self.seed, 'in 0..2**32 - 1')
        check(self.pooling in POOLINGS, 'pooling', self.pooling, f'one of {", ".join(POOLINGS)}')
        check(self.max_tokens > 0, 'max_tokens', self.max_tokens, 'positive')
        check(self.dtype in DTYPES, 'dtype', self.dtype, f'one of {", ".join(DTYPES)}')
        at_once = self.tokens_at_once
        check(at_once >= 0, 'tokens_at_once', at_once, '0 (choose) or positive')


@dataclasses.dataclass
class Counts:
    """What an embedder has done.

    Attributes:
        truncated: texts of which only the first `max_tokens` were read.
        tokens: those that were read.
        positions: those that were computed, padding included.
        shapes: how many programs were compiled for it.
    """

    texts: int = 0
    truncated: int = 0
    tokens: int = 0
    positions: int = 0
    shapes: int = 0

    @property
    def waste(self) -> float:
        """The share of the positions that was padding."""
        return 1 - self.tokens / self.positions if self.positions else 0.0


class Embedder(Protocol):
    """From texts to rows of numbers.

    Attributes:
        width: how many numbers a row has.
        digest: a hash of everything that decides them.
        counts: what has been done so far.
    """

    width: int
    digest: str
    counts: Counts

    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, 'n w']:
        """A row for each text in float32, whatever the other texts are."""


def make(settings: Settings) -> Embedder:
    """The embedder of the settings.

    Raises:
        FileNotFoundError: there is no model at the path.
        InputError: the model cannot be used, has no tokenizer, or reads fewer than `max_tokens`.
    """
    if settings.kind == 'ngrams':
        from phijax.data.filtering.features.ngrams import NgramEmbedder

        return NgramEmbedder(settings.width, settings.seed)
    from phijax.data.filtering.features.states import StateEmbedder

    return StateEmbedder(settings)
