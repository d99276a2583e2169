"""Texts of any length as rows of a model, and their scores."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from phijax import models
from phijax.data.tokenizer import Tokenizer
from phijax.evaluate.overfitting.tokens import TokenScores, token_scores


class Reader(NamedTuple):
    """A model with its tokenizer, as the detectors ask it."""

    config: models.Config
    params: models.Params
    tokenizer: Tokenizer
    rows_at_once: int = 32

    def scores(self, texts: Sequence[str]) -> list[TokenScores]:
        """The scores of every token of each text, each text as a document of its own.

        A text longer than the model's rows is read in stretches, each after the end of text.
        """
        pieces = [list(self._rows(text)) for text in texts]
        flat = [row for rows in pieces for row in rows]
        found = iter(token_scores(self.config, self.params, flat, self.rows_at_once))
        return [
            TokenScores(*map(np.concatenate, zip(*(next(found) for _ in rows), strict=True)))
            for rows in pieces
        ]

    def log_likelihoods(self, texts: Sequence[str]) -> list[float]:
        """Of each text, in nats."""
        return [each.log_likelihood for each in self.scores(texts)]

    def _rows(self, text: str) -> Iterator[list[int]]:
        tokens = self.tokenizer.encode(text)
        for start in range(0, len(tokens), self.config.max_length):
            yield [self.tokenizer.end_of_text, *tokens[start : start + self.config.max_length]]
