"""The ways to extend a context that need no search, each as factors of LongRoPE.

Factors divide the frequencies of the rotated pairs; `stretch` is the target length over the
original one.
"""

import dataclasses
import math

import numpy as np

from phijax import models

MAGNITUDES = ('none', 'sqrt', 'yarn')


@dataclasses.dataclass(frozen=True)
class Method:
    """One way to extend a context.

    Attributes:
        factors: what the frequency of each pair is divided by.
        magnitude: what cosines and sines are multiplied by.
    """

    factors: tuple[float, ...]
    magnitude: float = 1.0


def every(config: models.Config, target_length: int) -> dict[str, Method]:
    """No extension, and the three published ones, by name."""
    stretch = target_length / config.max_length
    return {
        'none': Method((1.0,) * (config.rotary_dim // 2)),
        'linear': linear(config, stretch),
        'ntk': ntk(config, stretch),
        'yarn': yarn(config, stretch),
    }


def linear(config: models.Config, stretch: float) -> Method:
    """Every pair slower by the stretch, so that positions fall between those of training.

    Source: arXiv:2306.15595, sec. 2.3.
    """
    return Method((float(stretch),) * (config.rotary_dim // 2))


def ntk(config: models.Config, stretch: float) -> Method:
    """Another base: the slowest pair slower by the stretch, the fastest as it was.

    With base theta * s^(d / (d - 2)), pair i has the frequency of before divided by s^(2i/(d - 2)).
    Source: arXiv:2309.00071, sec. 3.1 (its eq. 16).
    """
    width = config.rotary_dim
    pairs = range(width // 2)
    return Method(tuple(float(stretch ** (2 * pair / max(width - 2, 1))) for pair in pairs))


def yarn(
    config: models.Config, stretch: float, *, beta_fast: float = 32.0, beta_slow: float = 1.0
) -> Method:
    """Pairs of many turns in the original length as they were, of less than one turn as `linear`.

    Source: arXiv:2309.00071, sec. 3.2 (the ramp, 32 and 1 turns for Llama), sec. 3.4 (0.1 ln s + 1
    for cosines and sines); `find_correction_range` of jquesnelle/yarn for rounding to whole pairs.
    """
    low = max(math.floor(_pair_of(config, beta_fast)), 0)
    high = min(math.ceil(_pair_of(config, beta_slow)), config.rotary_dim - 1)
    pairs = np.arange(config.rotary_dim // 2)
    kept = 1 - np.clip((pairs - low) / max(high - low, 1e-3), 0, 1)
    factors = 1 / (kept + (1 - kept) / stretch)
    return Method(tuple(factors.tolist()), magnitude('yarn', config.max_length, stretch))


def magnitude(policy: str, original_length: int, stretch: float) -> float:
    """What cosines and sines are multiplied by, one of `MAGNITUDES`.

    Source: arXiv:2402.13753, sec. 3 (none); arXiv:2309.00071, sec. 3.4 (yarn); the `su` policy of
    microsoft/LongRoPE (sqrt, which phi-3 has).
    """
    return {
        'none': 1.0,
        'sqrt': math.sqrt(1 + math.log(stretch) / math.log(original_length)),
        'yarn': 0.1 * math.log(stretch) + 1,
    }[policy]


def _pair_of(config: models.Config, turns: float) -> float:
    """The pair, counted from the fastest, that turns so often in the original length."""
    position = config.max_length / (turns * 2 * math.pi)
    return config.rotary_dim * math.log(position) / (2 * math.log(config.rope_theta))
