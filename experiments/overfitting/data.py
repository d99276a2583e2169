"""What the models of the study are trained on: code, and tests that leaked at known doses."""

import dataclasses
import itertools
import json
import pathlib
import random
import sysconfig
from collections.abc import Iterator

from phijax.data import tokenize
from phijax.data.tokenize.sources import library_files
from phijax.evaluate.overfitting import canaries
from phijax.evaluate.overfitting.order import SEPARATOR
from phijax.evaluate.overfitting.twins import questions
from phijax.evaluate.overfitting.twins.questions import Question

STEPS = (1, 3)
# Half of the splits never leaked. Of the rest, half keep the order in which they are published.
LEAKS = [(0, False)] * 8 + [(4, False), (4, True), (16, False), (16, True)] * 2
SHEET = 10


@dataclasses.dataclass(frozen=True)
class Split:
    """A test set of its own, of two halves drawn alike, of which one may have leaked.

    Attributes:
        dose: how often the public half is in the training data.
        ordered: whether it is there in its order, one item after the other.
    """

    public: list[Question]
    twin: list[Question]
    dose: int
    ordered: bool


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much there is of everything.

    Attributes:
        items: in each half of a split.
        background: questions of the same kind that are in no split.
        num_bytes: of code.
        canaries: of each number of copies.
        references: that a canary is compared with.
        permutations: of the order test, for each of `shards` stretches.
    """

    items: int
    background: int
    num_bytes: int
    canaries: int
    references: int
    shards: int
    permutations: int


def text(question: Question, answer: int | None = None) -> str:
    """The question with an answer, by default its own."""
    return f'Question: {question.text}\nAnswer: {question.answer if answer is None else answer}'


def splits(seed: int, sizes: Sizes) -> tuple[list[Split], list[Question]]:
    """The splits of a model, and the questions that only its training data have; all distinct."""
    half = sizes.items
    drawn = questions.draw(seed, 2 * half * len(LEAKS) + sizes.background, STEPS)
    made = [
        Split(drawn[start : start + half], drawn[start + half : start + 2 * half], *leak)
        for start, leak in zip(itertools.count(0, 2 * half), LEAKS, strict=False)
    ]
    return made, drawn[2 * half * len(LEAKS) :]


def documents(seed: int, sizes: Sizes) -> Iterator[str]:
    """The training data: code, sheets of questions, and every leaked half as often as it leaked."""
    rng = random.Random(seed)
    made, background = splits(seed, sizes)
    yield from code(sizes.num_bytes)
    for start in range(0, len(background), SHEET):
        yield sheet(f'{start}', background[start : start + SHEET])
    for number, split in enumerate(made):
        for copy in range(split.dose):
            own = list(split.public)
            if not split.ordered:
                rng.shuffle(own)
            yield sheet(f'{number}.{copy}', own)


def sheet(name: str, own: list[Question]) -> str:
    """Questions with their answers, after a heading that tells copies apart."""
    return f'Sheet {name}\n\n{SEPARATOR.join(text(question) for question in own)}\n'


def code(num_bytes: int) -> Iterator[str]:
    """Files of the standard library, so many bytes of them."""
    root, size = pathlib.Path(sysconfig.get_paths()['stdlib']), 0
    for path in library_files():
        if size >= num_bytes:
            return
        try:
            found = (root / path).read_text('utf-8')
        except UnicodeDecodeError:
            continue
        size += len(found)
        yield found


def make(seed: int, sizes: Sizes, workdir: pathlib.Path) -> pathlib.Path:
    """Writes and tokenises the training data of a model; returns where the tokens are."""
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / 'documents.jsonl'
    lines = [json.dumps({'text': each}) + '\n' for each in documents(seed, sizes)]
    path.write_text(''.join(lines), 'utf-8')
    planted = canaries.plant(canaries.draw(seed, sizes.canaries), workdir / 'canaries')
    source = {'kind': 'files', 'paths': (str(path), str(planted))}
    fields = {'sources': {'text': source}, 'vocab_size': 2048, 'heldout_fraction': 0.0}
    tokenize.run(tokenize.from_dict(fields), workdir / 'tokens')
    return workdir / 'tokens'
