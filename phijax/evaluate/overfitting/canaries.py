"""Random strings that are planted in the training data, to measure what a run memorises.

    python -m phijax.evaluate.overfitting --plant=canaries/ --seed=0

writes `canaries.jsonl`, documents that `phijax.data.tokenize` reads as a source of kind `files`,
and `canaries.json`, which says what was planted how often. A canary is a name and random digits;
the model has memorised it when it finds these digits likelier than others.
"""

import json
import math
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from phijax.data import document
from phijax.data.tokenize.shards import split_of
from phijax.errors import InputError

FORMAT = 'phijax-canaries-1'
DOCUMENTS = 'canaries.jsonl'
PLANTED = 'canaries.json'
COPIES = (1, 4, 16)
DIGITS = 10
# More than any recipe holds out: a document that is in training at this is so at less.
_HELDOUT = 0.5

_FIRST = ('amber', 'birch', 'cedar', 'delta', 'ember', 'fjord', 'grove', 'heron', 'ivory', 'jade')
_SECOND = ('anvil', 'basin', 'crown', 'depot', 'forge', 'gate', 'harbour', 'kiln', 'mill', 'tower')
_NAMES = tuple(f'{first} {second}' for first in _FIRST for second in _SECOND)


class Canary(NamedTuple):
    """A planted string.

    Attributes:
        text: what stands before the digits.
        digits: the secret.
        copies: documents that have it; 0 is a control that was never planted.
    """

    text: str
    digits: str
    copies: int


class Exposure(NamedTuple):
    """How far a canary stands out among strings that might have been planted in its place.

    Attributes:
        exposure: binary logarithm of the references over the rank; near 0 to 1 where nothing was
            memorised, and at most `log2` of the references plus one.
        rank: of the canary among the references and itself, 1 the likeliest.
        references: how many others it was compared with.
    """

    exposure: float
    rank: int
    references: int

    @property
    def p_value(self) -> float:
        """That a string that was never planted would rank as high; exact, as it was drawn so."""
        return self.rank / (self.references + 1)


def draw(seed: int, each: int = 4, copies: Sequence[int] = COPIES) -> list[Canary]:
    """Canaries from a seed: `each` of every number of copies, and as many that are not planted.

    Raises:
        InputError: there are more than there are names for.
    """
    count = each * (len(copies) + 1)
    if not 0 < count <= len(_NAMES) or min(copies, default=1) < 1:
        raise InputError(
            f'{each} canaries of each of {len(copies)} numbers of copies and of controls are '
            f'{count}; allowed are 1 to {len(_NAMES)}, and 1 copy or more'
        )
    rng = random.Random(seed)
    names = rng.sample(_NAMES, count)
    numbers = [number for number in (0, *copies) for _ in range(each)]
    return [
        Canary(f'The number of the {name} is ', _digits(rng), number)
        for name, number in zip(names, numbers, strict=True)
    ]


def plant(canaries: Sequence[Canary], directory: str | os.PathLike[str]) -> Path:
    """Writes the documents and what they are; returns the path of the documents.

    Each copy has a number of its own in front: tokenising drops documents that are equal. The
    numbers are such that no copy is held out, whatever share up to a half is.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    lines = []
    for canary in canaries:
        texts: list[str] = []
        number = 0
        while len(texts) < canary.copies:
            number += 1
            text = _document(number, canary, canary.digits)
            if split_of(document.identify(text), _HELDOUT) == 'train':
                texts.append(text)
        lines += [json.dumps({'text': text}) + '\n' for text in texts]
    (directory / DOCUMENTS).write_text(''.join(lines), 'utf-8')
    stated = {'format': FORMAT, 'canaries': [canary._asdict() for canary in canaries]}
    (directory / PLANTED).write_text(json.dumps(stated, indent=1) + '\n', 'utf-8')
    return directory / DOCUMENTS


def planted(path: str | os.PathLike[str]) -> list[Canary]:
    """The canaries that `plant` wrote into a `canaries.json`.

    Raises:
        InputError: there is no such file, or it is another.
    """
    try:
        stated: Any = json.loads(Path(path).read_text('utf-8'))
        found = stated['format']
        canaries = [Canary(**fields) for fields in stated['canaries']]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path} has no canaries: {error!r}') from error
    if found != FORMAT:
        raise InputError(f'{path} has format {found!r}; this version reads {FORMAT!r}')
    return canaries


def exposures(
    canaries: Sequence[Canary],
    log_likelihoods: Callable[[list[str]], Sequence[float]],
    references: int = 1000,
    seed: int = 0,
) -> list[Exposure]:
    """The exposure of each canary among random references.

    Source: Carlini et al. 2019, arXiv:1802.08232, sec. 4.3 and 4.4 (exposure by sampling: the space
    of all digits is too large to rank); their extrapolation beyond the sample is not made.
    """
    rng, found = random.Random(seed), []
    for canary in canaries:
        others = [_digits(rng) for _ in range(references)]
        texts = [_document(0, canary, digits) for digits in (canary.digits, *others)]
        own, *values = log_likelihoods(texts)
        rank = 1 + sum(value >= own for value in values)
        found.append(Exposure(math.log2((references + 1) / rank), rank, references))
    return found


def _document(number: int, canary: Canary, digits: str) -> str:
    return f'Note {number}. {canary.text}{digits}.\n'


def _digits(rng: random.Random) -> str:
    return ' '.join(rng.choices('0123456789', k=DIGITS))
