"""How tokens are drawn and when a row ends. Pure Python: a mistake is answered before jax loads."""

import dataclasses

from phijax.errors import InputError

NUM_STREAMS = 2**32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What `generate` is asked for.

    Tokens are drawn as transformers does it: the repetition penalty, the temperature, then `top_k`,
    `top_p` and `min_p`, each among what the one before left.

    Attributes:
        max_new_tokens: most tokens of a row.
        temperature: 0 takes the likeliest token; 1 draws from the model's own distribution.
        top_k: draw only from this many of the likeliest tokens; 0 is no limit.
        top_p: draw only from the fewest tokens whose probabilities reach this sum.
        min_p: draw only from tokens at least this share as likely as the likeliest.
        repetition_penalty: above 1, tokens that the row has already are less likely, at
            temperature 0 too.
        seed: number of the random draw.
        ends: a row stops before any of these tokens; with none it has `max_new_tokens`.
        vocab_size: only ids below it are drawn, for a tokenizer smaller than the model's table.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    ends: tuple[int, ...] = ()
    vocab_size: int | None = None

    def __post_init__(self) -> None:
        infinity = float('inf')
        self._check('max_new_tokens', 'at least 1', self.max_new_tokens >= 1)
        self._check(
            'temperature', '0 (the likeliest) or positive', 0 <= self.temperature < infinity
        )
        self._check('top_k', '0 (no limit) or positive', self.top_k >= 0)
        self._check('top_p', 'in (0, 1]', 0 < self.top_p <= 1)
        self._check('min_p', 'in [0, 1]', 0 <= self.min_p <= 1)
        self._check('repetition_penalty', 'positive', 0 < self.repetition_penalty < infinity)
        check_number(self.seed)

    def _check(self, field: str, allowed: str, holds: bool) -> None:
        if not holds:
            raise InputError(f'{field} must be {allowed}, got {getattr(self, field)}')


def check_number(number: int) -> None:
    """Returns when `number` can be that of a random draw or of a stream.

    Raises:
        InputError: it cannot.
    """
    if not 0 <= number < NUM_STREAMS:
        raise InputError(f'seed and streams must be in 0..{NUM_STREAMS - 1}, got {number}')
