"""A fitted forest: what it says of texts by their features, and its files, plain and checked."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from jaxtyping import Float, Int

from phijax.data import files
from phijax.data.errors import MissingDataError
from phijax.data.filtering.forest.trees import Trees, Walker, check
from phijax.errors import InputError

ARRAYS, CARD = 'forest.safetensors', 'forest.json'
_FORMAT = 1
_KEYS = frozenset({'format', 'digest', 'width', 'classes', 'positive', 'embedder', 'report'})


@dataclasses.dataclass(frozen=True, eq=False)
class Forest:
    """Trees whose votes are averaged.

    Attributes:
        classes: the label of each class, which is also its value in `score`.
        positive: the lowest label that counts as valuable.
        width: how many features a row has.
        embedder: the digest of the embedder that made them; empty if it was not told.
        report: how it was fitted and how good it is, as plain values.
    """

    trees: Trees
    classes: tuple[int, ...]
    positive: int
    width: int
    embedder: str
    report: dict[str, Any]

    def __post_init__(self) -> None:
        check(self.trees, self.width, len(self.classes))

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all that decides what the forest says."""
        facts = [self.classes, self.positive, self.width, self.embedder]
        made = hashlib.sha256(json.dumps(facts).encode())
        for array in self.trees:
            made.update(f'{array.dtype.str}{array.shape}'.encode())
            made.update(np.ascontiguousarray(array).data)
        return made.hexdigest()

    @functools.cached_property
    def _walker(self) -> Walker:
        return Walker(self.trees)

    def check_embedder(self, digest: str) -> None:
        """Returns when features of the embedder with this digest are what the forest learnt on.

        Raises:
            InputError: it learnt on those of another, which may have as many numbers.
        """
        if self.embedder and digest != self.embedder:
            raise InputError(
                f'the forest was fitted on features of the embedder {self.embedder}, these are of '
                f'{digest}; embed with the same settings and model'
            )

    def leaves(self, features: Float[np.ndarray, 'n w']) -> Int[np.ndarray, 'n tree']:
        """The leaf of each tree that a row ends in, counted from the tree's root.

        Raises:
            InputError: as `predict_proba`.
        """
        blocks = [block[self._walker.places].T for block in self._walker(self._checked(features))]
        empty = np.zeros((0, len(self._walker.places)), np.int32)
        found: np.ndarray = np.concatenate([empty, *blocks]) - self.trees.start[:-1]
        return found

    def predict_proba(self, features: Float[np.ndarray, 'n w']) -> Float[np.ndarray, 'n class']:
        """The probability of each class: bit for bit what scikit-learn's forest says.

        The leaves are found on the device, and their shares summed here in the order of the trees.

        Raises:
            InputError: the features are not rows of `width` finite numbers.
        """
        blocks = [self._summed(leaves) for leaves in self._walker(self._checked(features))]
        summed = np.concatenate([np.zeros((0, len(self.classes))), *blocks])
        summed /= len(self._walker.places)
        return summed

    def score(self, features: Float[np.ndarray, 'n w']) -> Float[np.ndarray, ' n']:
        """The mean label that the classes' probabilities make: of two, that of being valuable.

        Raises:
            InputError: as `predict_proba`.
        """
        return self.predict_proba(features) @ np.array(self.classes, np.float64)

    def valuable(self, shares: Float[np.ndarray, 'n class']) -> Float[np.ndarray, ' n']:
        """The share of the classes that count as valuable."""
        chosen: np.ndarray = shares[:, np.array(self.classes) >= self.positive].sum(axis=1)
        return chosen

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes the arrays and then the card that holds their digest, each whole or not at all."""
        target = Path(directory)
        target.mkdir(parents=True, exist_ok=True)
        partial = target / f'{ARRAYS}.partial'
        safetensors.numpy.save_file(self.trees._asdict(), partial)
        files.publish(partial, target / ARRAYS)
        card = {
            'format': _FORMAT,
            'digest': self.digest,
            'width': self.width,
            'classes': list(self.classes),
            'positive': self.positive,
            'embedder': self.embedder,
            'report': self.report,
        }
        files.write_json(target / CARD, card)

    @staticmethod
    def load(directory: str | os.PathLike[str]) -> Forest:
        """The forest in a directory that `save` wrote.

        Raises:
            MissingDataError: it holds none.
            InputError: a file is damaged or was changed; nothing in it is run.
        """
        place = Path(directory)
        for name in (CARD, ARRAYS):
            if not (place / name).is_file():
                raise MissingDataError(f'{place} is no forest: it has no {name}.')
        try:
            return _read(files.read_json(place / CARD), _tensors(place / ARRAYS))
        except InputError as error:
            raise InputError(f'{place}: {error}') from error

    def _checked(self, features: Any) -> np.ndarray:
        array = np.asarray(features, np.float32)
        if array.ndim != 2 or array.shape[1] != self.width:
            raise InputError(
                f'features must be rows of {self.width} numbers, got the shape {array.shape}'
            )
        return array

    def _summed(self, leaves: Int[np.ndarray, 'tree n']) -> Float[np.ndarray, 'n class']:
        summed = np.zeros((leaves.shape[1], len(self.classes)))
        part = np.empty_like(summed)
        for place in self._walker.places:
            # Leaves are in bounds, as `check` saw; with `raise`, numpy would copy once more.
            self.trees.value.take(leaves[place], axis=0, out=part, mode='clip')
            summed += part
        return summed


def _tensors(path: Path) -> dict[str, np.ndarray]:
    try:
        loaded: dict[str, np.ndarray] = safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{ARRAYS} is damaged: {error}') from error
    return loaded


def _read(card: Any, tensors: dict[str, np.ndarray]) -> Forest:
    """The forest of a card and the arrays beside it, if each is what it must be."""
    if not isinstance(card, dict) or card.keys() != _KEYS or card['format'] != _FORMAT:
        raise InputError(f'{CARD} is not a card of format {_FORMAT} ({", ".join(sorted(_KEYS))})')
    classes, width, positive = card['classes'], card['width'], card['positive']
    numbers = [*classes, width, positive] if isinstance(classes, list) else [None]
    if not all(type(number) is int for number in numbers):
        raise InputError(f'{CARD}: classes, positive and width must be whole numbers')
    if not isinstance(card['embedder'], str) or not isinstance(card['report'], dict):
        raise InputError(f'{CARD}: embedder must be a text, and report an object')
    if tensors.keys() != set(Trees._fields):
        raise InputError(f'{ARRAYS} has {sorted(tensors)}, not {sorted(Trees._fields)}')
    forest = Forest(
        Trees(**tensors), tuple(classes), positive, width, card['embedder'], card['report']
    )
    if forest.digest != card['digest']:
        raise InputError(f'the digest is {forest.digest}, the card says {card["digest"]}')
    return forest
