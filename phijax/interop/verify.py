"""The logits of a checkpoint beside those that were published for it."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phijax import interop, models
from phijax.errors import InputError
from phijax.interop.fields import Fields, read_json

PUBLISHED = Path(__file__).with_name('published')


@dataclasses.dataclass(frozen=True)
class Golden:
    """Logits to reach, `(positions, ids)`: of the first positions of `tokens` and the first ids.

    Attributes:
        tolerance: how far a logit may be off, absolutely plus relatively.
    """

    model: str
    source: str
    tolerance: float
    tokens: np.ndarray
    logits: np.ndarray


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How far logits are from the golden ones: the largest difference, and how many are too far."""

    golden: Golden
    largest: float
    wrong: int

    def __str__(self) -> str:
        size, tolerance = self.golden.logits.size, self.golden.tolerance
        verdict = f'{self.wrong} are wrong' if self.wrong else 'all agree'
        return (
            f'{self.golden.model}: of {size} logits {verdict} (largest difference '
            f'{self.largest:.2g}, tolerance {tolerance:g} + {tolerance:g} |logit|)\n'
            f'source: {self.golden.source}'
        )


def compare(checkpoint: str | Path, golden: str | Path) -> Comparison:
    """The checkpoint's float32 logits against `golden`, a published model's name or a JSON file.

    Raises:
        FileNotFoundError: the checkpoint or the golden file is not there.
        ValueError: one of them cannot be used, or the model has too few ids.
    """
    expected = read(golden)
    config, params, _ = interop.open(checkpoint)
    _check_size(config, expected)
    config = dataclasses.replace(config, dtype='float32', attention='blocked')
    logits = _logits(config, jax.device_put(params), expected)
    difference = np.abs(logits - expected.logits)
    near = difference <= expected.tolerance * (1 + np.abs(expected.logits))
    return Comparison(expected, float(difference.max()), int((~near).sum()))


def read(golden: str | Path) -> Golden:
    """The golden logits of a published model, by name such as `phi-2`, or those in a JSON file.

    Raises:
        FileNotFoundError: neither a name nor a file.
        ValueError: the file does not hold golden logits.
    """
    known = {path.stem: path for path in sorted(PUBLISHED.glob('*.json'))}
    path = known.get(str(golden).removeprefix('microsoft/'), Path(golden))
    if not path.is_file():
        raise InputError(
            f'golden logits {str(golden)!r}: not one of {", ".join(known)}, nor a JSON file'
        )
    fields = Fields(read_json(path))
    try:
        return Golden(
            model=str(fields.values.get('model', path.stem)),
            source=str(fields.values.get('source', path)),
            tolerance=fields.number('tolerance', 1e-4),
            tokens=_array(fields.values, 'tokens', 1, np.int32),
            logits=_array(fields.values, 'logits', 2, np.float32),
        )
    except ValueError as error:
        raise InputError(f'{path}: {error}') from error


def _array(values: dict[str, Any], name: str, rank: int, dtype: type) -> np.ndarray:
    try:
        array = np.asarray(values.get(name))
        if array.ndim == rank and array.size and np.can_cast(array.dtype, dtype, 'same_kind'):
            return array.astype(dtype)
    except ValueError as error:  # rows of unlike lengths
        raise InputError(f'{name} must be rows of one length: {error}') from error
    raise InputError(f'{name} must be numbers in {rank} dimension(s)')


def _check_size(config: models.Config, golden: Golden) -> None:
    ids = max(int(golden.tokens.max()) + 1, golden.logits.shape[1])
    if golden.tokens.min() < 0 or ids > config.vocab_size:
        raise InputError(
            f'the golden logits of {golden.model} are of ids up to {ids - 1}; the model has '
            f'{config.vocab_size}'
        )
    if len(golden.logits) > len(golden.tokens):
        raise InputError(f'{golden.model} has more rows of logits than tokens')


def _logits(config: models.Config, params: models.Params, golden: Golden) -> np.ndarray:
    rows, columns = golden.logits.shape

    @jax.jit
    def run(params: models.Params, tokens: jax.Array) -> jax.Array:
        return models.apply(config, params, tokens)[0][0, :rows, :columns]

    return np.asarray(run(params, jnp.asarray(golden.tokens)[None]))
