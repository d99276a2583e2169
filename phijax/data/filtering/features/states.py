"""Embeddings by a model: its hidden states after the last norm, of each text made into one."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from phijax import interop, models, partitioning
from phijax.data.filtering.features import Counts, Settings
from phijax.errors import InputError

_VERSION = 1
# Positions that a device works on at once.
_AT_ONCE = {'cpu': 1024, 'gpu': 16_384}
# With fewer batches than about this, texts of one batch have too unlike lengths.
_LEAST_BATCHES = 128
# Widths of batches: so many for each doubling, and multiples of so many.
_WIDTHS, _MULTIPLE = 8, 8
# Batches that wait on the devices, and texts that are tokenised together.
_AHEAD, _TEXTS_AT_ONCE = 2, 512


class Batch(NamedTuple):
    """Rows of one step: the numbers of their texts, and the shape that they are padded to."""

    texts: Int[np.ndarray, ' n']
    shape: tuple[int, int]


class StateEmbedder:
    """The hidden states of a model, pooled over the real tokens of each text.

    Attributes:
        width: of the model.
        digest: a hash of the parameters, the tokenizer and the settings that decide.
        counts: what has been done so far.
    """

    def __init__(self, settings: Settings, devices: Sequence[jax.Device] | None = None) -> None:
        """Opens the model and copies it to every device.

        Args:
            devices: which work, each on rows of its own; by default all of this process.

        Raises:
            FileNotFoundError: there is no model at the path.
            InputError: it cannot be used, has no tokenizer, or reads fewer than `max_tokens`.
        """
        config, params, tokenizer = interop.open(settings.model)
        if tokenizer is None:
            raise InputError(f'{settings.model} has no tokenizer, so it cannot read texts')
        if settings.max_tokens > config.max_length:
            raise InputError(
                f'max_tokens is {settings.max_tokens}; {settings.model} reads at most '
                f'{config.max_length}'
            )
        self._settings, self._tokenizer = settings, tokenizer
        # Many shapes are compiled, which takes long for a stack that is unrolled.
        self._config = dataclasses.replace(config, dtype=settings.dtype, unroll=config.unroll or 1)
        self.width, self.counts = config.embed_dim, Counts()
        self.digest = _digest(config, params, tokenizer.digest, settings)
        devices = jax.local_devices() if devices is None else devices
        self._mesh = partitioning.make_mesh((len(devices), 1, 1), devices)
        self._params = jax.device_put(params, partitioning.replicated(self._mesh))
        self._shapes: set[tuple[int, int]] = set()

    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, 'n w']:
        """A row for each text in float32; an empty text is one end of text."""
        rows = self._tokenised(texts)
        lengths = np.array([len(row) for row in rows], np.int32)
        found = np.empty((len(rows), self.width), np.float32)
        waiting: list[tuple[Batch, Array]] = []
        parts = partitioning.num_row_shards(self._mesh)
        default = _AT_ONCE.get(jax.default_backend(), _AT_ONCE['gpu'])
        at_once = (self._settings.tokens_at_once or default) * parts
        for batch in batches(lengths, self._settings.max_tokens, at_once, parts):
            waiting.append((batch, self._started(batch, rows)))
            self._count(batch, lengths)
            if len(waiting) > _AHEAD:
                _collect(*waiting.pop(0), found)
        for batch, pooled in waiting:
            _collect(batch, pooled, found)
        return found

    def _tokenised(self, texts: Sequence[str]) -> list[np.ndarray]:
        """What is read of each text."""
        most, rows = self._settings.max_tokens, []
        for begin in range(0, len(texts), _TEXTS_AT_ONCE):
            for ids in self._tokenizer.encode_batch(list(texts[begin : begin + _TEXTS_AT_ONCE])):
                rows.append(np.array(ids[:most] or [self._tokenizer.end_of_text], np.int32))
                self.counts.truncated += len(ids) > most
        self.counts.texts += len(rows)
        return rows

    def _started(self, batch: Batch, rows: Sequence[np.ndarray]) -> Array:
        """The batch's embeddings, which the devices have begun to compute."""
        tokens = np.zeros(batch.shape, np.int32)
        lengths = np.ones(batch.shape[0], np.int32)
        for place, number in enumerate(batch.texts):
            lengths[place] = len(rows[number])
            tokens[place, : lengths[place]] = rows[number]
        inputs = jax.device_put((tokens, lengths), partitioning.rows(self._mesh))
        with partitioning.activations(self._mesh):
            pooled: Array = _pooled(self._config, self._settings.pooling, self._params, *inputs)
        return pooled

    def _count(self, batch: Batch, lengths: Int[np.ndarray, ' n']) -> None:
        self._shapes.add(batch.shape)
        self.counts.tokens += int(lengths[batch.texts].sum())
        self.counts.positions += batch.shape[0] * batch.shape[1]
        self.counts.shapes = len(self._shapes)


def batches(
    lengths: Int[np.ndarray, ' n'], longest: int, at_once: int, parts: int
) -> Iterator[Batch]:
    """Texts of similar length together, the longest first, in few shapes.

    A batch of a width has always the same number of rows; only the last, which lacks some, is
    padded to a power of two.

    Args:
        longest: no text is longer.
        at_once: positions in a batch at most, as far as there is a row for each part; fewer where
            there are few texts.
        parts: how many equal parts a batch's rows are cut into.
    """
    order = np.argsort(-lengths, kind='stable')
    at_once = min(at_once, 1 << (int(lengths.sum()) // _LEAST_BATCHES).bit_length())
    begin = 0
    while begin < len(order):
        width = _width(int(lengths[order[begin]]), longest)
        rows = max(at_once // width // parts, 1)
        texts = order[begin : begin + rows * parts]
        needed = -(-len(texts) // parts)
        rows = min(rows, 1 << (needed - 1).bit_length())
        yield Batch(texts, (rows * parts, width))
        begin += len(texts)


def _width(length: int, longest: int) -> int:
    """The least of 8, 16, ... 64, 72, ... 128, 144, ... that is not below `length`."""
    step = max((1 << (length - 1).bit_length()) // (2 * _WIDTHS), _MULTIPLE)
    return min(-(-length // step) * step, longest)


def _collect(batch: Batch, pooled: Array, found: Float[np.ndarray, 'n w']) -> None:
    found[batch.texts] = np.asarray(pooled)[: len(batch.texts)]


@functools.partial(jax.jit, static_argnames=('config', 'pooling'))
def _pooled(
    config: models.Config,
    pooling: str,
    params: models.Params,
    tokens: Int[Array, 'b t'],
    lengths: Int[Array, ' b'],
) -> Float[Array, 'b d']:
    """One row of numbers for each row of tokens."""
    x = models.hidden(config, params, tokens, lengths=lengths)[0].astype(jnp.float32)
    if pooling == 'last':
        return jnp.take_along_axis(x, lengths[:, None, None] - 1, axis=1)[:, 0]
    real = (jnp.arange(tokens.shape[1]) < lengths[:, None])[..., None]
    if pooling == 'max':
        return jnp.where(real, x, -jnp.inf).max(axis=1)
    return jnp.where(real, x, 0).sum(axis=1) / lengths[:, None]


def _digest(
    config: models.Config, params: models.Params, tokenizer: str, settings: Settings
) -> str:
    """A hash of all that decides the numbers, up to the order of summation."""
    fields = models.to_dict(config)
    facts: list[Any] = [_VERSION, tokenizer, settings.pooling, settings.max_tokens, settings.dtype]
    for name in ('dtype', 'remat', 'unroll', 'attention'):
        del fields[name]  # how it is computed, not what
    made = hashlib.sha256(json.dumps([facts, fields], sort_keys=True).encode())
    for path, leaf in jax.tree.leaves_with_path(params):
        array = np.ascontiguousarray(leaf)
        made.update(f'{jax.tree_util.keystr(path)} {array.dtype} {array.shape}'.encode())
        made.update(array.data)
    return made.hexdigest()
